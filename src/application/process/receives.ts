// Whether a process does something with a signal: asked of several, to see which of them is meant.

import {
  type ProcessRow,
  type ProcessStatus,
  processFolder,
  readBlockedInAllThreads,
  readStatus,
} from './proc.ts';
import { isReceived, type SentSignal } from './readiness.ts';

/** What is to be sent. */
export interface Sending {
  /** What will be sent; null where nothing is (another hook, or `none`): then a process that is there is ready. */
  readonly signal: SentSignal | null;
  /** `RELOAD_GATE=off`. */
  readonly gateOff: boolean;
}

/** Until then, in 1/100 s since its start, a process may only not have come to install its handler. */
const YOUNG_TICKS = 500;

/**
 * True unless it certainly does nothing with the signal, or dies of it: of one that is young, hidden, or sent nothing, that
 * cannot be said. `ticks`: now, since boot.
 */
export function receives(row: ProcessRow, { signal, gateOff }: Sending, ticks: number | null): boolean {
  if (signal === null || gateOff) return true;
  if (ticks === null || ticks - row.startTicks < YOUNG_TICKS) return true;
  const status = readStatus(processFolder(row.pid));
  if (status === null || (signal === 'SIGTERM' && !status.isInit)) return true;
  return isReceived({ caught: status.caught, blocked: allBlocked(row.pid, status, signal) }, signal);
}

/** Threads are asked only when it matters: there can be thousands, and this is on the way of every change. */
export function allBlocked(
  pid: number,
  { caught, blocked }: ProcessStatus,
  signal: SentSignal | null,
): bigint {
  if (signal === null || isReceived({ caught, blocked: 0n }, signal)) return 0n;
  return isReceived({ caught: 0n, blocked }, signal) ? readBlockedInAllThreads(processFolder(pid)) : 0n;
}
