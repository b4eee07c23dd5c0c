// A clock that stands still until the test advances it, for policies of waiting: minutes pass in moments, in order.
import type { sleep } from '../../src/lib/wait.ts';

export interface VirtualClock {
  /** Milliseconds since it was made. */
  readonly now: () => number;
  /** As the real one, by this clock. */
  readonly sleep: typeof sleep;
  /** Lets this much time pass: waits end in the order of their times. */
  readonly advance: (ms: number) => Promise<void>;
}

interface Timer {
  readonly atMs: number;
  readonly wake: () => void;
}

/** Starts at 0. */
export function createVirtualClock(): VirtualClock {
  const timers = new Set<Timer>();
  let nowMs = 0;
  let changes = 0;
  const sleepVirtually = (ms: number, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        timers.delete(timer);
        changes++;
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const timer: Timer = { atMs: nowMs + ms, wake };
      timers.add(timer);
      changes++;
      signal.addEventListener('abort', wake, { once: true });
    });
  };
  const advance = async (ms: number): Promise<void> => {
    const endMs = nowMs + ms;
    for (;;) {
      await untilStill(() => changes);
      const atMs = [...timers].reduce(
        (least, timer) => Math.min(least, timer.atMs),
        Number.POSITIVE_INFINITY,
      );
      if (atMs > endMs) break;
      nowMs = Math.max(nowMs, atMs);
      for (const timer of [...timers]) if (timer.atMs === atMs) timer.wake();
    }
    nowMs = endMs;
  };
  return { now: () => nowMs, sleep: sleepVirtually, advance };
}

/** What was woken goes on in real turns of the event loop: over when no wait has begun or ended for some turns. */
async function untilStill(changes: () => number): Promise<void> {
  let before = -1;
  for (let still = 0; still < 4; ) {
    await new Promise((resolve) => setImmediate(resolve));
    still = changes() === before ? still + 1 : 0;
    before = changes();
  }
}
