// Long work leaves the event loop its turns, and work that follows other work shares the turn with it.
import { describe, expect, it } from 'vitest';
import { atOnce, inSlices, type Sliced, sorting } from '../../../src/lib/slices.ts';

/** Computes for `stepMs` in each of its steps; gives how many there were. */
function* busy(steps: number, stepMs: number): Sliced<number> {
  for (let step = 0; step < steps; step += 1) {
    for (const startedAt = performance.now(); performance.now() - startedAt < stepMs; );
    yield;
  }
  return steps;
}

/** How many turns the event loop takes while the work is done. */
async function turnsOf(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isDone = false;
  const count = (): void => {
    turns += 1;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  await work();
  isDone = true;
  return turns;
}

describe('sliced work', () => {
  it('gives what it gives in one go', async () => {
    expect(atOnce(busy(100, 0))).toBe(100);
    expect(await inSlices(busy(100, 0))).toBe(100);
  });

  it('lets the event loop turn while it takes long, and not while it is short', async () => {
    // 16 steps of 2 ms are more than a slice: a turn after each 16.
    expect(await turnsOf(() => inSlices(busy(160, 2)))).toBeGreaterThanOrEqual(9);
    expect(await turnsOf(() => inSlices(busy(15, 2)))).toBe(0);
  });

  it('pauses as well when many short works follow each other', async () => {
    const manyWorks = async () => {
      for (let work = 0; work < 10; work += 1) await inSlices(busy(16, 1));
    };
    expect(await turnsOf(manyWorks)).toBeGreaterThanOrEqual(4);
  });

  it('fails with what is thrown in any of its steps', async () => {
    function* failing(): Sliced<void> {
      yield* busy(40, 1);
      throw new Error('no further');
    }
    expect(() => atOnce(failing())).toThrow('no further');
    await expect(inSlices(failing())).rejects.toThrow('no further');
  });

  it('of a few steps is done before the call returns', () => {
    let isDone = false;
    function* short(): Sliced<void> {
      yield;
      isDone = true;
    }
    void inSlices(short());
    expect(isDone).toBe(true);
  });
});

describe('sorting in slices', () => {
  const compare = (a: { readonly rank: number }, b: { readonly rank: number }): number => a.rank - b.rank;
  it.each([0, 1, 511, 512, 513, 1_500, 5_000])('gives what sorting at once gives: %i items', (length) => {
    const list = Array.from({ length }, (_, at) => ({ at, rank: (at * 7_919) % 97 }));
    expect(atOnce(sorting(list, compare))).toEqual([...list].sort(compare));
  });
});
