// Tries that failed in a row, and when the next may be made: without the chance of src/reconcile/retries.ts.

/** What is slow is tried again after this. */
export const SLOW_MS = 300_000;

export function delayOf(failures: number): number {
  return Math.min(60_000, 500 * 2 ** failures);
}
