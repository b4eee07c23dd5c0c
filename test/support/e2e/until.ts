// Waiting for what must come to pass.
import { setTimeout as sleep } from 'node:timers/promises';

/** Between two looks at first, and at most: many wait at once, and the looks alone would keep the machine busy. */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [20, 100];

/** What has not come by then will not come, however busy the machine is. */
const PATIENCE_MS = 90_000;

type Nothing = false | null | undefined | 0 | '';

/** Waits until the condition gives something; says what did not come to pass otherwise. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<Exclude<T, Nothing>> {
  const deadline = Date.now() + patienceMs;
  let pauseMs = FIRST_PAUSE_MS;
  let reason = '';
  while (Date.now() < deadline) {
    try {
      const value = await condition();
      if (value) return value as Exclude<T, Nothing>;
    } catch (thrown) {
      reason = thrown instanceof Error ? `: ${thrown.message}` : '';
    }
    await sleep(pauseMs);
    pauseMs = Math.min(pauseMs * 1.2, LONGEST_PAUSE_MS);
  }
  throw new Error(`Waited ${patienceMs / 1000} s in vain until ${what}${reason}`);
}
