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

/** Hooks and publications (docs/operations.md): 1 s, doubled up to 1 min. */
export const RETRY: Backoff = { firstMs: 1_000, factor: 2, maxMs: 60_000 };

/** Sources: a first try soon, since most drops are short, growing up to 1 min. See `sourceRetryDelay`. */
export const SOURCE_RETRY: Backoff = { firstMs: 250, factor: 1.6, maxMs: 60_000 };

/** A source that says no, and says it again: the credentials are probably wrong, and too many tries lock accounts. */
const DENIED_RETRY: Backoff = { firstMs: 10_000, factor: 2, maxMs: 60_000 };

/** What is probably a wrong setting is tried again this slowly (docs/operations.md). */
export const SLOW_RETRY_MS = 300_000;

/** Upper bounds for one wait, so that a hot loop cannot come of a random zero. */
const MIN_RETRY_MS = 20;

/** The delay before the try after `failures` failed ones (1 = the first failed): full jitter below a growing bound. */
export function retryDelay(failures: number, backoff: Backoff, random: Random): number {
  return Math.max(MIN_RETRY_MS, Math.round(boundOf(failures, backoff) * random()));
}

function boundOf(failures: number, { firstMs, factor, maxMs }: Backoff): number {
  return Math.min(maxMs, firstMs * factor ** Math.max(0, failures - 1));
}

/** What is known of an outage of a source. */
export interface Outage {
  /** Failed tries in a row, at least 1. */
  readonly failures: number;
  /** Since the first of them. */
  readonly ageMs: number;
  /** Refusals for want of rights in a row, so far. */
  readonly denials: number;
  /** How long the source asked us to wait (Retry-After). */
  readonly askedMs: number | undefined;
}

/** A source is asked at least this often while its outage is younger than eight times this. */
const SOON_MS = 1_000;
/** In relation to the age of the outage: one of 5 s is followed by a try within a second, one of 8 min by one within a minute. */
const SHARE_OF_OUTAGE = 1 / 8;
/** Who asks us to wait for less asks for nothing: "Retry-After: 0", taken at its word, would be a hot loop. */
const LEAST_ASKED_MS = 100;

/**
 * The delay before a source is asked again. Full jitter below a bound that grows with the tries, but not beyond an
 * eighth of the outage: what was away for moments is found at once, and what was away for long is not stormed when it
 * is back. What the source asked for is kept, and spread by as much again, since it asked all clients for the same. After a
 * second refusal in a row `DENIED_RETRY` holds, never less than half of its bound.
 */
export function sourceRetryDelay(outage: Outage, random: Random): number {
  const { failures, ageMs, denials, askedMs = 0 } = outage;
  const { maxMs } = SOURCE_RETRY;
  if (askedMs >= LEAST_ASKED_MS)
    return Math.round(askedMs + random() * Math.max(askedMs / 10, Math.min(askedMs, maxMs)));
  if (denials > 1) return Math.round(boundOf(denials - 1, DENIED_RETRY) * (0.5 + random() / 2));
  const grown = Math.min(maxMs, Math.max(SOON_MS, ageMs * SHARE_OF_OUTAGE));
  return retryDelay(failures, { ...SOURCE_RETRY, maxMs: grown }, random);
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
