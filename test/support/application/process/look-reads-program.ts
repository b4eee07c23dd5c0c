// Looks for one process again and again, and prints how many reads the cheapest look took. Words: the expression, how many looks.
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { createLookup } from '../../../../src/application/process/lookup.ts';
import { loadPattern } from '../../../../src/lib/linear-regexp.ts';

const [, , pattern = '', looks = '50'] = process.argv;
const lookup = createLookup({ pattern: await loadPattern(pattern), signal: 'SIGHUP', gateOff: false });

/** Reads of this thread so far; the one of this file counts at the next call. */
function readsSoFar(): number {
  return Number(/^syscr: (\d+)$/m.exec(readFileSync('/proc/thread-self/io', 'latin1'))?.[1]);
}

const [empty, all, kinds] = [[] as number[], [] as number[], new Set<string>()];
for (let i = 0; i < Number(looks); i += 1) {
  const [first, before] = [readsSoFar(), readsSoFar()];
  const found = lookup.look(performance.now());
  all.push(readsSoFar() - before);
  empty.push(before - first);
  kinds.add(found.kind === 'found' ? found.readiness.kind : found.kind);
  await wait(20);
}
const own = Math.min(...empty);
process.stdout.write(
  JSON.stringify({ least: Math.min(...all) - own, most: Math.max(...all) - own, kinds: [...kinds] }),
);
