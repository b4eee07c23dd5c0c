// Nothing that reads a text from outside takes longer than in proportion to it: a quadratic one would need minutes here.
import { expect, test } from 'vitest';
import {
  AWKWARD,
  costMs,
  filters,
  pairs,
  type Reader,
  readers,
  repeated,
} from '../../support/render/awkward.ts';

const MIB = 1024 * 1024;
/** Of a mebibyte a slow but linear reader needs less than a second; a quadratic one some minutes. */
const MOST_MS = 4_000;
/** Of so much of a pair of characters a quadratic reader needs two seconds. */
const PAIR_LENGTH = 64 * 1024;
const MOST_PAIR_MS = 1_200;
/** Of all pairs, which `npm run fuzz` goes through. */
const PAIRS = 250;

/** Those that took too long, or threw what is no refusal. */
async function slow(
  all: readonly Reader[],
  texts: Iterable<string>,
  mostMs: number,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const text of texts) {
    for (const reader of all) {
      const ms = await costMs(reader, text);
      if (ms > mostMs) found.push(`${reader.name}: ${ms} ms for ${JSON.stringify(text.slice(0, 12))}`);
    }
  }
  return found;
}

test('a mebibyte of each awkward character is read, or refused, in time', { timeout: 900_000 }, async () => {
  const texts = AWKWARD.map((part) => `a = ${repeated(part, MIB)}x`);
  expect(await slow(await readers(), texts, MOST_MS)).toEqual([]);
});

test('text of pairs of awkward characters is read, or refused, in time', { timeout: 900_000 }, async () => {
  const texts = [...pairs(PAIR_LENGTH)];
  const step = Math.floor(texts.length / PAIRS);
  const some = texts.filter((_, n) => n % step === 0);
  expect(await slow(await readers(), some, MOST_PAIR_MS)).toEqual([]);
});

test('every filter takes 128 KiB of each awkward character', { timeout: 900_000 }, async () => {
  const texts = AWKWARD.map((part) => `${repeated(part, MIB / 8)}x`);
  expect(await slow(await filters(), texts, MOST_MS)).toEqual([]);
});

test('a quadratic reader would be found', async () => {
  const quadratic = { name: 'quadratic', read: (text: string) => /(^|\s+)#.*$/.exec(text) };
  expect(await slow([quadratic], [`${repeated(' ', PAIR_LENGTH)}x`], MOST_PAIR_MS)).toHaveLength(1);
});
