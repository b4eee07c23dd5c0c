// What a notification that did not arrive is called, and when the next try is due. Pure.

import { type Random, RETRY, retryDelay, SLOW_RETRY_MS } from '../../lib/schedule.ts';
import type { ReloadResult } from './hook.ts';

/** The application said no this often in a row, and for this long: then it means it, and is not only busy with the reload before. */
const REFUSALS = 3;
const REFUSED_FOR_MS = 10_000;

/** A process that was there a moment ago is looked for again; at once, it could be a hot loop. */
const GONE_RETRY_MS = 100;

export interface Setback {
  readonly outcome: 'no-target' | 'not-permitted' | 'failed' | 'refused';
  /** For the metrics. */
  readonly result: string;
  /** Since when the application says no, on the loop's clock; null: it did not. */
  readonly refusedSince: number | null;
  readonly retryInMs: number;
}

/** The tries for what is on the volume that failed so far; a new publication starts over. */
export interface FailedTries {
  readonly failures: number;
  /** How often the application said no, and since when. */
  readonly refusals: number;
  readonly refusedSince: number | null;
}

export function setbackOf(
  result: Exclude<ReloadResult, { kind: 'told' }>,
  before: FailedTries,
  { random, nowMs }: { readonly random: Random; readonly nowMs: number },
): Setback {
  const growing = retryDelay(before.failures + 1, RETRY, random);
  if (result.kind === 'gone')
    return { outcome: 'no-target', result: 'gone', refusedSince: null, retryInMs: GONE_RETRY_MS };
  if (result.kind !== 'owed')
    return { outcome: 'not-permitted', result: result.kind, refusedSince: null, retryInMs: growing };
  const refusedSince = result.class === 'refused' ? (before.refusedSince ?? nowMs) : null;
  const leftMs = refusedSince === null ? 0 : refusedSince + REFUSED_FOR_MS - nowMs;
  const isSure = refusedSince !== null && before.refusals + 1 >= REFUSALS;
  const isFinal = isSure && leftMs <= 0;
  const isSlow = isFinal || result.class === 'misconfigured';
  const retryInMs = isSlow ? SLOW_RETRY_MS : Math.max(growing, result.retryAfterMs ?? 0);
  return {
    ...{ outcome: isFinal ? 'refused' : 'failed', result: result.class, refusedSince },
    retryInMs: isSure && !isFinal ? leftMs : retryInMs,
  };
}
