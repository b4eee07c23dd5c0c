// What a notification that did not arrive is called, and when the next try is due. Pure.

import type { ReloadResult } from '../application/reload/hook.ts';
import { type Random, RETRY, retryDelay, SLOW_RETRY_MS } from '../lib/schedule.ts';
import type { Outcome } from './journal.ts';
import type { Session } from './state.ts';

/** The application said no this often in a row: then it means it. */
const REFUSALS = 3;

/** A process that was there a moment ago is looked for again; at once, it could be a hot loop. */
const GONE_RETRY_MS = 100;

export interface Setback {
  readonly outcome: Outcome;
  /** For the metrics. */
  readonly result: string;
  /** The application said no. */
  readonly isRefusal: boolean;
  readonly retryInMs: number;
}

/** `before`: the tries for what is on the volume that failed so far; a new publication starts anew. */
export function setbackOf(
  result: Exclude<ReloadResult, { kind: 'told' }>,
  before: Pick<Session, 'refusals'> & { readonly tries: Pick<Session['tries'], 'notify'> },
  random: Random,
): Setback {
  const growing = retryDelay(before.tries.notify.failures + 1, RETRY, random);
  if (result.kind === 'gone')
    return { outcome: 'no-target', result: 'gone', isRefusal: false, retryInMs: GONE_RETRY_MS };
  if (result.kind !== 'owed')
    return { outcome: 'not-permitted', result: result.kind, isRefusal: false, retryInMs: growing };
  const isRefusal = result.class === 'refused';
  const isFinal = isRefusal && before.refusals + 1 >= REFUSALS;
  const isSlow = isFinal || result.class === 'misconfigured';
  return {
    ...{ outcome: isFinal ? 'refused' : 'failed', result: result.class, isRefusal },
    retryInMs: isSlow ? SLOW_RETRY_MS : Math.max(growing, result.retryAfterMs ?? 0),
  };
}
