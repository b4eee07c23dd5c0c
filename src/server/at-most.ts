// Bounds how often something costly is made, without ever giving an old one.
import { setTimeout as pause } from 'node:timers/promises';

/** So many may be made one right after the other … */
const AT_ONCE = 4;
/** … and then one in so many milliseconds. */
const EVERY_MS = 250;

/**
 * Calls `make` at most four times a second in the long run. What is asked for more often waits, and is answered together by
 * the next one that is made: each answer was made after it was asked for.
 */
export function atMostAFewTimesASecond<T>(make: () => T | Promise<T>): () => Promise<T> {
  let credits = AT_ONCE;
  let countedAt = performance.now();
  let next: Promise<T> | null = null;
  const count = (): void => {
    const now = performance.now();
    credits = Math.min(AT_ONCE, credits + (now - countedAt) / EVERY_MS);
    countedAt = now;
  };
  const makeLater = async (): Promise<T> => {
    await pause((1 - credits) * EVERY_MS);
    next = null;
    count();
    credits -= 1;
    return await make();
  };
  return async () => {
    if (next !== null) return await next;
    count();
    if (credits < 1) {
      next = makeLater();
      return await next;
    }
    credits -= 1;
    return await make();
  };
}
