import { describe, it } from 'vitest';
import { liveThroughAnything, liveThroughHarmless } from '../../support/reconcile/sequences.ts';

/** `PROTOCOL_RUNS`: how many sequences the first property is given, the second half of them; the campaigns run far more. */
const RUNS = Number(process.env['PROTOCOL_RUNS'] ?? 600);
const LONGEST_MS = 3_600_000;

describe('whatever happens', () => {
  it(
    'it ends at its goal once the trouble ends, and nothing forbidden happens on the way',
    async () => {
      await liveThroughAnything(RUNS);
    },
    LONGEST_MS,
  );

  it(
    'only what really does not work is blocked when nothing but the content is at fault',
    async () => {
      await liveThroughHarmless(Math.ceil(RUNS / 2));
    },
    LONGEST_MS,
  );
});
