// Which processes are asked again at the next look, and which are known for a moment.
import { expect, test } from 'vitest';
import { createUnrelatedMemory } from '../../../../src/application/process/unrelated.ts';

/** Sieves, and says which processes were asked. */
function sieving(meant: readonly number[]) {
  const memory = createUnrelatedMemory();
  const sieve = (pids: readonly number[], nowMs: number) => {
    const asked: number[] = [];
    const isMeant = (pid: number): boolean => {
      asked.push(pid);
      return meant.includes(pid);
    };
    return { passed: memory.prefilter(pids, isMeant, nowMs), asked };
  };
  return { sieve, forget: memory.forget };
}

test('for a second only new processes and those that may be meant are asked, and no longer', () => {
  const { sieve } = sieving([7]);
  expect(sieve([1, 7, 8], 0)).toEqual({ passed: [7], asked: [1, 7, 8] });
  expect(sieve([1, 7, 8, 9], 900)).toEqual({ passed: [7], asked: [7, 9] });
  // The second begins when a process was asked, not when it was seen last.
  expect(sieve([1, 7, 8, 9], 1_001)).toEqual({ passed: [7], asked: [1, 7, 8] });
  expect(sieve([1, 7, 8, 9], 1_902).asked).toEqual([7, 9]);
});

test('a number that was free at a look is asked again', () => {
  const { sieve } = sieving([]);
  sieve([8, 9], 0);
  sieve([9], 100);
  expect(sieve([8, 9], 200).asked).toEqual([8]);
});

test('a clock that was set back makes all of them unknown', () => {
  const { sieve } = sieving([]);
  sieve([8], 5_000);
  expect(sieve([8], 100).asked).toEqual([8]);
});

test('to forget is worth another look only when a process was passed over', () => {
  const { sieve, forget } = sieving([]);
  sieve([8], 0);
  expect(forget()).toBe(false);
  sieve([8], 10);
  sieve([8], 20);
  expect(forget()).toBe(true);
  expect(sieve([8], 30).asked).toEqual([8]);
});
