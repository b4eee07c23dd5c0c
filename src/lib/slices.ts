// Long work in slices: the event loop gets a turn between them, so that signals, probes and other targets are served.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { compileWhatIsHot } from './engine.ts';

/**
 * Work that yields wherever it may be interrupted. Its author makes sure that nothing it reads is changed by
 * others meanwhile, or that it does not matter.
 */
export type Sliced<T> = Generator<void, T, void>;

/** In one turn of the event loop all sliced work together may take this long. */
const SLICE_MS = 5;
/** To ask for the time costs about as much as a step; and work of so few steps is done without a pause. */
const STEPS_PER_LOOK = 16;
/** Work of so many steps runs through the same code often enough to have it compiled. */
const LONG_WORK_STEPS = 2_048;

/** Does the work in one go. */
export function atOnce<T>(work: Sliced<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

/** So many are put in order at once. */
const SORTED_AT_ONCE = 512;

/** The list in order, as `sort` gives it: what is equal stays in its order. */
export function* sorting<T>(list: readonly T[], compare: (a: T, b: T) => number): Sliced<T[]> {
  let runs: T[][] = [];
  for (let from = 0; from < list.length; from += SORTED_AT_ONCE) {
    runs.push(list.slice(from, from + SORTED_AT_ONCE).sort(compare));
    yield;
  }
  while (runs.length > 1) {
    const longer: T[][] = [];
    for (let at = 0; at < runs.length; at += 2) {
      longer.push(yield* merging(runs[at] ?? [], runs[at + 1] ?? [], compare));
    }
    runs = longer;
  }
  return runs[0] ?? [];
}

function* merging<T>(left: readonly T[], right: readonly T[], compare: (a: T, b: T) => number): Sliced<T[]> {
  const merged: T[] = [];
  let next = 0;
  for (const item of left) {
    for (; next < right.length && compare(right[next] as T, item) < 0; next += 1) {
      merged.push(right[next] as T);
      if (next % SORTED_AT_ONCE === 0) yield;
    }
    merged.push(item);
    if (merged.length % SORTED_AT_ONCE === 0) yield;
  }
  for (; next < right.length; next += 1) merged.push(right[next] as T);
  return merged;
}

/** Does the work with pauses. It begins at once; work of a few steps is done before this returns. */
export async function inSlices<T>(work: Sliced<T>): Promise<T> {
  let startedAt = startOfTurn();
  for (let steps = STEPS_PER_LOOK; ; steps += STEPS_PER_LOOK) {
    const last = takeSteps(work);
    if (last !== null) return last.value;
    if (steps === LONG_WORK_STEPS) compileWhatIsHot();
    if (performance.now() - startedAt < SLICE_MS) continue;
    await nextTurn();
    startedAt = startOfTurn();
  }
}

/** A function of its own: one that waits is never compiled while it runs. Null when there is more to do. */
function takeSteps<T>(work: Sliced<T>): IteratorReturnResult<T> | null {
  for (let left = STEPS_PER_LOOK; left > 0; left -= 1) {
    const step = work.next();
    if (step.done === true) return step;
  }
  return null;
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
    if (steps === LONG_WORK_STEPS) compileWhatIsHot();
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
