// Waits for time to pass, and for an abort.

/** Beyond this a timer of Node.js fires at once. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Resolves after `ms` milliseconds (24 days at most), or as soon as the signal aborts: it never rejects, so look at `signal.aborted`
 * afterwards. Keeps the process alive meanwhile, and leaves no timer and no listener behind.
 */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, LONGEST_MS));
    signal.addEventListener('abort', done, { once: true });
  });
}

/** Resolves when the signal aborts, at once when it has. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
