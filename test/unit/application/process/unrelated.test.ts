// Which processes are asked again at the next look, and which are known for a moment.
import { expect, test } from 'vitest';
import { createUnrelatedMemory } from '../../../../src/application/process/unrelated.ts';

/** Sieves, and says which processes were asked. */
function sieving(meant: readonly number[]) {
  const memory = createUnrelatedMemory();
  const sieve = (pids: readonly number[], nowMs: number, newest: number | null = null) => {
    const asked: number[] = [];
    const isMeant = (pid: number): boolean => {
      asked.push(pid);
      return meant.includes(pid);
    };
    return { passed: memory.prefilter(pids, isMeant, nowMs, newest), asked };
  };
  return { sieve, forget: memory.forget, passedBefore: memory.passedBefore };
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

/** None of those that have started is meant. */
const no = (): boolean => false;

test('while no process has started, what passed before passes again, until the first would be asked again', () => {
  const { sieve, passedBefore, forget } = sieving([7]);
  expect(passedBefore(9, no, 0)).toBeNull();
  sieve([1, 7, 8], 0, 9);
  sieve([1, 7, 8, 10], 600, 10);
  expect(passedBefore(10, no, 1_000)).toEqual([7]);
  expect(forget()).toBe(true);
  sieve([1, 7], 0, 9);
  sieve([1, 7, 8, 10], 600, 10);
  expect(passedBefore(null, no, 700)).toBeNull();
  expect(passedBefore(10, no, 1_001)).toBeNull();
  expect(passedBefore(10, no, -1)).toBeNull();
});

test('of those that have started since, each is asked once; one that is meant, or too many of them, makes all be asked', () => {
  const { sieve, passedBefore } = sieving([7]);
  sieve([1, 7, 8], 0, 9);
  const asked: number[] = [];
  const isMeant = (pid: number): boolean => asked.push(pid) > 0 && pid === 14;
  expect(passedBefore(11, isMeant, 100)).toEqual([7]);
  expect(passedBefore(13, isMeant, 200)).toEqual([7]);
  expect(asked).toEqual([10, 11, 12, 13]);
  expect(passedBefore(15, isMeant, 300)).toBeNull();
  expect(asked).toEqual([10, 11, 12, 13, 14]);
  expect(passedBefore(13 + 17, no, 400)).toBeNull();
  // The numbers have started over: nothing is known of those in between.
  expect(passedBefore(12, no, 400)).toBeNull();
});

test('where nothing passed, or it is not told which process is the newest, all are asked', () => {
  const { sieve, passedBefore } = sieving([7]);
  sieve([1, 8], 0, 9);
  expect(passedBefore(9, no, 10)).toBeNull();
  sieve([1, 7], 20, null);
  expect(passedBefore(null, no, 30)).toBeNull();
});
