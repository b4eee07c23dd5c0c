// What a notification that did not arrive is called, and when the next try is due. Pure.

import { RETRY, retryDelay, SLOW_RETRY_MS } from '../../lib/schedule.ts';
import type { ReloadResult } from './hook.ts';

/** The application said no this often in a row, and for this long: then it means it, and is not only busy with the reload before. */
const REFUSALS = 3;
const REFUSED_FOR_MS = 10_000;

/** A process that was there a moment ago is looked for again; at once, it could be a hot loop. */
const GONE_RETRY_MS = 100;

/** The tries for what is on the volume that failed so far; a new publication starts over. */
export interface NotifyTries {
  readonly failures: number;
  /** When the next is due, on the loop's clock; 0: at once. */
  readonly dueAt: number;
  /** How the last one ended; null: none has failed. */
  readonly lastResult: string | null;
  /** How often in a row the application said no, and since when on the loop's clock; null: it did not. */
  readonly refusals: number;
  readonly refusedSince: number | null;
}

export interface Setback {
  /** `refused`: a verdict; there is no next try. */
  readonly outcome: 'no-target' | 'not-permitted' | 'failed' | 'refused';
  /** With this one. */
  readonly tries: NotifyTries & { readonly lastResult: string };
}

/** What follows now, at `ms` of the loop's clock; `chance` in [0, 1) spreads the next try. */
export function setbackOf(
  failed: Exclude<ReloadResult, { kind: 'told' }>,
  before: NotifyTries,
  { ms, chance }: { readonly ms: number; readonly chance: number },
): Setback {
  const lastResult = failed.kind === 'owed' ? failed.class : failed.kind;
  const failures = before.failures + 1;
  const refusedSince = lastResult === 'refused' ? (before.refusedSince ?? ms) : null;
  const refusals = refusedSince === null ? 0 : before.refusals + 1;
  const leftMs = refusals < REFUSALS ? null : (refusedSince ?? ms) + REFUSED_FOR_MS - ms;
  const inMs =
    leftMs ??
    delayOf(
      failed,
      retryDelay(failures, RETRY, () => chance),
    );
  return {
    outcome: leftMs !== null && leftMs <= 0 ? 'refused' : OUTCOMES[failed.kind],
    tries: { failures, dueAt: ms + inMs, lastResult, refusals, refusedSince },
  };
}

const OUTCOMES = { owed: 'failed', gone: 'no-target', 'not-permitted': 'not-permitted' } as const;

function delayOf(failed: Exclude<ReloadResult, { kind: 'told' }>, growing: number): number {
  if (failed.kind === 'gone') return GONE_RETRY_MS;
  if (failed.kind !== 'owed') return growing;
  return failed.class === 'misconfigured' ? SLOW_RETRY_MS : Math.max(growing, failed.retryAfterMs ?? 0);
}
