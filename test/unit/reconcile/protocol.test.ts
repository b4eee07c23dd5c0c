import fc from 'fast-check';
import { describe, it } from 'vitest';
import type { Setting } from '../../support/reconcile/contents.ts';
import { anyEvents, anySetting, harmlessEvents } from '../../support/reconcile/generate.ts';
import { judge, lawOfQuiet } from '../../support/reconcile/laws.ts';
import { type Event, World } from '../../support/reconcile/world.ts';

/** Longer than any chain of growing delays, and than what is tried again slowly. */
const LONG_MS = 420_000;
const QUIET_MS = 200_000;

/** `PROTOCOL_RUNS`: how many sequences the first property is given, the second half of them; `FAST_CHECK_SEED`: the seed of a run that failed. */
const RUNS = Number(process.env['PROTOCOL_RUNS'] ?? 1_000);
/** `PROTOCOL_SHRINKS=no`: the first sequence that fails will do. */
const HOW = { endOnFailure: process.env['PROTOCOL_SHRINKS'] === 'no' };
const SEED = Number(process.env['FAST_CHECK_SEED'] ?? Date.now() % 2 ** 31);

/** Trouble, then none for long, then nothing at all. */
async function live(how: Setting, events: readonly Event[], onlyContent: boolean): Promise<void> {
  const world = new World(how, { onlyContent });
  await world.play(events, 0);
  world.heal();
  await world.play([], LONG_MS);
  judge(world);
  await lawOfQuiet(world, QUIET_MS, () => world.play([], QUIET_MS));
}

describe('whatever happens', () => {
  it('it ends at its goal once the trouble ends, and nothing forbidden happens on the way', async () => {
    console.log(`protocol: FAST_CHECK_SEED=${SEED}`);
    const property = fc.asyncProperty(anySetting, anyEvents, (how, events) => live(how, events, false));
    await fc.assert(property, { ...HOW, seed: SEED, numRuns: RUNS });
  }, 3_600_000);

  it('only what really does not work is blocked when nothing but the content is at fault', async () => {
    const property = fc.asyncProperty(anySetting, harmlessEvents, (how, events) => live(how, events, true));
    await fc.assert(property, { ...HOW, seed: SEED, numRuns: Math.ceil(RUNS / 2) });
  }, 3_600_000);
});
