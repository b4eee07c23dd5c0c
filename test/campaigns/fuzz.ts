// Generated text for everything that reads text from outside: `npm run fuzz`, ten minutes, or as many seconds as are given.
import fc from 'fast-check';
import {
  AWKWARD,
  costMs,
  filters,
  pairs,
  type Reader,
  readers,
  repeated,
} from '../support/render/awkward.ts';
import { text as anyText } from '../support/render/document/generate.ts';

const seconds = Number(process.argv[2] ?? 600);
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31);
if (!(seconds > 0) || !Number.isInteger(seed))
  throw new Error('Give seconds, and a seed if you like: npm run fuzz -- 600 7');
const endsAt = performance.now() + seconds * 1000;

/** A quadratic reader needs more for 64 KiB; a linear one some milliseconds. */
const LENGTH = 64 * 1024;
const MOST_MS = 1_200;

const parts = fc.oneof(fc.constantFrom(...AWKWARD), anyText);
const texts: fc.Arbitrary<string> = fc.oneof(
  fc.array(parts, { maxLength: 40 }).map((some) => some.join('')),
  fc
    .tuple(fc.array(parts, { maxLength: 3 }), fc.array(parts, { minLength: 1, maxLength: 4 }), parts)
    .map(([start, middle, end]) => start.join('') + repeated(middle.join('') || 'a', LENGTH) + end),
);

let inputs = 0;
const findings = new Set<string>();

async function tryOne(reader: Reader, text: string): Promise<void> {
  inputs += 1;
  try {
    const ms = await costMs(reader, text);
    if (ms > MOST_MS)
      findings.add(`${reader.name}: ${ms.toFixed(0)} ms for ${JSON.stringify(text.slice(0, 40))}`);
  } catch (thrown) {
    const cause = thrown instanceof Error && thrown.cause instanceof Error ? `: ${thrown.cause.message}` : '';
    findings.add(`${String(thrown)}${cause}`);
  }
}

const all = [...(await readers()), ...(await filters())];
const plain = await readers();
const everyPair = pairs(LENGTH / 2);
const random = fc.sample(texts, { numRuns: 200, seed });
for (let round = 0; performance.now() < endsAt && findings.size < 20; round += 1) {
  const pair = everyPair.next().value;
  const text = random[round % random.length] ?? '';
  if (round % random.length === random.length - 1) {
    random.splice(0, random.length, ...fc.sample(texts, { numRuns: 200, seed: seed + round }));
  }
  for (const reader of plain) if (pair !== undefined) await tryOne(reader, pair);
  const reader = all[round % all.length];
  if (reader !== undefined) await tryOne(reader, text);
  for (const one of plain) await tryOne(one, text);
}

console.log(
  JSON.stringify({
    seed,
    seconds,
    inputs,
    everyPair: everyPair.next().done === true,
    findings: [...findings],
  }),
);
process.exitCode = findings.size === 0 ? 0 : 1;
