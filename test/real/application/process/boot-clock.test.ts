// The clock by which "started after the publication" is said, and when it is not to be believed.
import { describe, expect, test } from 'vitest';
import {
  bootStamp,
  bootTicks,
  isSameClock,
  startedAfter,
} from '../../../../src/application/process/boot-clock.ts';
import { processFolder, readRow } from '../../../../src/application/process/proc.ts';
import { createStage } from '../../../support/application/process/apart.ts';

const ID = { pid: 7, startTicks: 1000 };
const NOW = { bootId: 'this', ticks: 2000 };

describe('a process started after a publication', () => {
  test('when its start is later', () => {
    expect(startedAfter(ID, { bootId: 'this', ticks: 999 }, NOW)).toBe(true);
    expect(startedAfter(ID, { bootId: 'this', ticks: 1001 }, NOW)).toBe(false);
  });

  test('but not at the same tick', () =>
    expect(startedAfter(ID, { bootId: 'this', ticks: 1000 }, NOW)).toBe(false));

  test('when the machine was started in between', () => {
    expect(startedAfter(ID, { bootId: 'before', ticks: 999_999 }, NOW)).toBe(true);
  });

  test('never when that is not known', () => {
    expect(startedAfter(ID, { bootId: null, ticks: 1 }, NOW)).toBe(false);
    expect(startedAfter(ID, { bootId: 'this', ticks: null }, NOW)).toBe(false);
    expect(startedAfter(ID, { bootId: 'this', ticks: 1 }, { bootId: 'this', ticks: null })).toBe(false);
    expect(startedAfter(ID, { bootId: 'this', ticks: 1 }, { bootId: null, ticks: 2000 })).toBe(false);
  });
});

test("an uptime is believed when it fits this process's own start", () => {
  expect(isSameClock(10_500, 10_000, 5)).toBe(true);
  expect(isSameClock(10_497, 10_000, 5)).toBe(true);
  expect(isSameClock(300, 10_000, 5)).toBe(false);
  expect(isSameClock(900_000, 10_000, 5)).toBe(false);
  expect(isSameClock(500, 0, 5)).toBe(false);
});

test('real starts lie between the stamps taken before and after them', (context) => {
  const before = bootStamp();
  const { pid, startTicks } = createStage(context).start(['/bin/sleep', '600']);
  const after = bootStamp();
  expect(before.bootId).toMatch(/^[0-9a-f-]{36}$/);
  expect(startTicks).toBeGreaterThanOrEqual(before.ticks ?? Number.NaN);
  expect(startTicks).toBeLessThanOrEqual(after.ticks ?? Number.NaN);
  expect(startedAfter({ pid, startTicks }, after, bootStamp())).toBe(false);
  expect(bootTicks()).toBeGreaterThan(readRow(processFolder(process.pid))?.startTicks ?? Number.NaN);
});
