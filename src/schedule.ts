// When things are due: debounce, interval, splay and retry delays, as pure functions of times in milliseconds.
import { createHash } from 'node:crypto';

/** A number in [0, 1), as Math.random gives; injected so that tests can say which. */
export type Random = () => number;

/** How fast tries that failed are repeated. */
export interface Backoff {
  readonly firstMs: number;
  readonly factor: number;
  readonly maxMs: number;
}

/** Hooks and publications (README, "Policies"): 1 s, doubled up to 1 min. */
export const RETRY: Backoff = { firstMs: 1_000, factor: 2, maxMs: 60_000 };

/** Sources: a first try soon, since most drops are short, growing gently up to 1 min. */
export const SOURCE_RETRY: Backoff = { firstMs: 250, factor: 1.6, maxMs: 60_000 };

/** What is probably a wrong setting is tried again this slowly (README, "Policies"). */
export const SLOW_RETRY_MS = 300_000;

/** Upper bounds for one wait, so that a hot loop cannot come of a random zero. */
const MIN_RETRY_MS = 20;

/** The delay before the try after `failures` failed ones (1 = the first failed): full jitter below a growing bound. */
export function retryDelay(failures: number, backoff: Backoff, random: Random): number {
  const bound = Math.min(backoff.maxMs, backoff.firstMs * backoff.factor ** Math.max(0, failures - 1));
  return Math.max(MIN_RETRY_MS, Math.round(bound * random()));
}

/** The interval spread by up to 10 % either way, so that replicas do not ask in step. */
export function spread(intervalMs: number, random: Random): number {
  return Math.round(intervalMs * (0.9 + 0.2 * random()));
}

/** The share of SPLAY that belongs to this instance: the same for the same name, evenly spread over names. */
export function splayOf(instance: string, splayMs: number): number {
  const share = createHash('sha256').update(instance).digest().readUInt32BE(0) / 2 ** 32;
  return Math.floor(splayMs * share);
}

/** A stream of changes not yet looked at: when the first and the newest of them came. */
export interface Changes {
  readonly first: number;
  readonly latest: number;
}

/** When a stream of changes has been quiet for long enough, or has gone on for too long to wait. */
export function debounceDue(changes: Changes, debounceMs: number, debounceMaxMs: number): number {
  return Math.min(changes.latest + debounceMs, changes.first + Math.max(debounceMs, debounceMaxMs));
}
