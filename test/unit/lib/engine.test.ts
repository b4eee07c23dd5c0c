import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { freesAfterWork } from '../../../src/lib/engine.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('memory is freed once, ten seconds after the start, and after the last of much work, but not after a little', () => {
  const [afterStart, afterWork] = [vi.fn(), vi.fn()];
  const work = freesAfterWork({ afterStart, afterWork });
  work();
  vi.advanceTimersByTime(9_999);
  expect(afterStart).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(afterStart).toHaveBeenCalledTimes(1);
  for (let i = 0; i < 99; i += 1) work();
  vi.advanceTimersByTime(60_000);
  expect(afterWork).not.toHaveBeenCalled();
  for (let i = 0; i < 200; i += 1) {
    work();
    vi.advanceTimersByTime(9_999);
  }
  expect(afterWork).not.toHaveBeenCalled();
  vi.advanceTimersByTime(60_000);
  expect(afterWork).toHaveBeenCalledTimes(1);
  work();
  vi.advanceTimersByTime(60_000);
  expect(afterWork).toHaveBeenCalledTimes(1);
  expect(afterStart).toHaveBeenCalledTimes(1);
});
