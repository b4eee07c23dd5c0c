import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { freesAfterWork } from '../../../src/lib/engine.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('memory is freed once, ten seconds after the last of much work, and not after a little', () => {
  const free = vi.fn();
  const work = freesAfterWork(free);
  for (let i = 0; i < 99; i += 1) work();
  vi.advanceTimersByTime(60_000);
  expect(free).not.toHaveBeenCalled();
  for (let i = 0; i < 200; i += 1) {
    work();
    vi.advanceTimersByTime(9_999);
  }
  expect(free).not.toHaveBeenCalled();
  vi.advanceTimersByTime(60_000);
  expect(free).toHaveBeenCalledTimes(1);
  work();
  vi.advanceTimersByTime(60_000);
  expect(free).toHaveBeenCalledTimes(1);
});
