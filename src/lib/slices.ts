// Long work in slices: the event loop gets a turn between them, so that signals, probes and other targets are served.
import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Work that yields wherever it may be interrupted. Its author makes sure that nothing it reads is changed by
 * others meanwhile, or that it does not matter.
 */
export type Sliced<T> = Generator<void, T, void>;

/** In one turn of the event loop all sliced work together may take this long. */
const SLICE_MS = 5;
/** To ask for the time costs about as much as a step; and work of so few steps is done without a pause. */
const STEPS_PER_LOOK = 16;

/** Does the work in one go. */
export function atOnce<T>(work: Sliced<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

/** Does the work with pauses. It begins at once; work of a few steps is done before this returns. */
export async function inSlices<T>(work: Sliced<T>): Promise<T> {
  let startedAt = startOfTurn();
  for (let steps = 1; ; steps += 1) {
    const { done, value } = work.next();
    if (done === true) return value;
    if (steps % STEPS_PER_LOOK !== 0 || performance.now() - startedAt < SLICE_MS) continue;
    await nextTurn();
    startedAt = startOfTurn();
  }
}

/**
 * For work that waits for other things as well: to be called at each step. It gives a promise to wait for where a pause is due, and
 * null elsewhere.
 */
export function createPauses(): () => Promise<void> | null {
  let steps = 0;
  let startedAt = startOfTurn();
  return () => {
    steps += 1;
    if (steps % STEPS_PER_LOOK !== 0 || performance.now() - startedAt < SLICE_MS) return null;
    return nextTurn().then(() => {
      startedAt = startOfTurn();
    });
  };
}

let turnStartedAt: number | null = null;

/** When the first sliced work of this turn began: one may follow the other without a turn between them. */
function startOfTurn(): number {
  if (turnStartedAt === null) {
    turnStartedAt = performance.now();
    setImmediate(() => {
      turnStartedAt = null;
    });
  }
  return turnStartedAt;
}
