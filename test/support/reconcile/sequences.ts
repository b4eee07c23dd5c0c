// Generated sequences of trouble, each lived through by the real loop in a small world, and judged.
import fc from 'fast-check';
import type { Setting } from './contents.ts';
import { anyEvents, anySetting, harmlessEvents } from './generate.ts';
import { judge, lawOfQuiet } from './laws.ts';
import { type Event, World } from './world.ts';

/** Longer than any chain of growing delays, and than what is tried again slowly. */
const LONG_MS = 420_000;
const QUIET_MS = 200_000;

/** `FAST_CHECK_SEED`: the seed of a run that failed. */
const SEED = Number(process.env['FAST_CHECK_SEED'] ?? Date.now() % 2 ** 31);
/** `PROTOCOL_SHRINKS=no`: the first sequence that fails will do. */
const HOW = { seed: SEED, endOnFailure: process.env['PROTOCOL_SHRINKS'] === 'no' };

/** Anything may happen: it ends at its goal once the trouble ends, and nothing forbidden happens on the way. */
export async function liveThroughAnything(sequences: number): Promise<void> {
  console.log(`protocol: FAST_CHECK_SEED=${SEED}`);
  const property = fc.asyncProperty(anySetting, anyEvents, (how, events) => live(how, events, false));
  await fc.assert(property, { ...HOW, numRuns: sequences });
}

/** Nothing but the content is at fault: only what really does not work is blocked. */
export async function liveThroughHarmless(sequences: number): Promise<void> {
  const property = fc.asyncProperty(anySetting, harmlessEvents, (how, events) => live(how, events, true));
  await fc.assert(property, { ...HOW, numRuns: sequences });
}

/** Trouble, then none for long, then nothing at all. */
async function live(how: Setting, events: readonly Event[], onlyContent: boolean): Promise<void> {
  const world = new World(how, { onlyContent });
  await world.play(events, 0);
  world.heal();
  await world.play([], LONG_MS);
  judge(world);
  await lawOfQuiet(world, QUIET_MS, () => world.play([], QUIET_MS));
}
