// The process that must survive: whether it does, whether another one has replaced it, and the requested restart.

import type { ProcessId } from '../../ledger/types.ts';
import { printDuration } from '../../settings/units.ts';
import { isHalted, isLiving } from '../process/liveness.ts';
import { isOfAnotherBoot, startedAfterTellingMs, startedAfterTrialMs } from './trial-clock.ts';
import { type ConfirmResult, type FailedCheck, intervalMs, pending, type View } from './view.ts';

/** Whether there is a process that must survive. */
export function watches({ trial, settings }: Pick<View, 'trial' | 'settings'>): boolean {
  return trial.process !== null && settings.periodMs > 0;
}

/** What its process says of the trial; null: nothing against it, so far. */
export function lookAtProcess(view: View): ConfirmResult | null {
  const { process: id, restarts } = view.trial;
  if (id === null) return null;
  if (restarts) return lookAtRestart(view, id);
  const next = replacedByHook(view, id);
  if (next !== null) return { kind: 'restarted', process: next };
  if (!watches(view) || isStillLiving(view)) return null;
  return view.isReturn ? lookBack(view, id) : died(view, id);
}

/** Whether the trial's process lives. */
export function isStillLiving({ trial: { process: id, moment } }: Pick<View, 'trial'>): boolean {
  return id !== null && !isOfAnotherBoot(moment) && isLiving(id);
}

/** Stopped (SIGSTOP) it shows nothing. null: it runs, or none is watched. */
export function missingLife(view: View): FailedCheck | null {
  const { process: id } = view.trial;
  if (id === null || !watches(view) || !isHalted(id)) return null;
  const reason = `process ${id.pid} is stopped (SIGSTOP or a debugger), so it cannot show that it works`;
  return { code: 'confirm.stopped', reason };
}

function lookAtRestart(view: View, id: ProcessId): ConfirmResult {
  const { settings, version, waitedMs } = view;
  const living = isStillLiving(view);
  const next = successorOf(view, id);
  if (!living && next !== null) return { kind: 'restarted', process: next };
  const leftMs = settings.timeoutMs - waitedMs;
  if (leftMs > 0) return pending(Math.min(leftMs, intervalMs(view)));
  const reason = living
    ? `process ${id.pid} was asked to end, and is still running`
    : `process ${id.pid} ended as it was asked to, and no other process has started; a supervisor has to start it again`;
  const message = `Cannot confirm revision "${version.revision}" within ${printDuration(settings.timeoutMs)} (CONFIRM_TIMEOUT): ${reason}`;
  return { kind: 'unconfirmed', code: 'confirm.not-restarted', message };
}

/**
 * A command, or a request, that replaces the process (`haproxy -sf`): the new one started before the hook had answered, and
 * is the one that must survive. One that starts later has replaced a process that died.
 */
function replacedByHook(view: View, id: ProcessId): ProcessId | null {
  if (!view.trial.evidence.includes('answered')) return null;
  const next = successorOf(view, id);
  const lateMs = next === null ? null : startedAfterTrialMs(next, view.trial);
  return lateMs !== null && lateMs <= 0 ? next : null;
}

/** While we were away, a replacement is a death only if it started within the period. */
function lookBack(view: View, id: ProcessId): ConfirmResult {
  const next = successorOf(view, id);
  if (next === null) return { kind: 'absent' };
  const livedMs = startedAfterTrialMs(next, view.trial);
  if (livedMs === null || livedMs > view.settings.periodMs) return { kind: 'restarted', process: next };
  return died(view, id);
}

/** Who has its place. A process that was there before, such as an orphaned worker, is no successor. */
function successorOf({ trial, sightings }: View, id: ProcessId): ProcessId | null {
  const { current } = sightings;
  if (current === null) return null;
  // Of two that look the same, the one of another boot is gone.
  const isSame = current.pid === id.pid && current.startTicks === id.startTicks;
  if (isSame && !isOfAnotherBoot(trial.moment)) return null;
  return (startedAfterTellingMs(current, trial) ?? 0) < 0 ? null : current;
}

const SINCE = {
  told: 'it was notified',
  'picked-up': 'its trial began',
  published: 'the publication',
} as const;

function died(view: View, id: ProcessId): ConfirmResult {
  const { trial, version, ageMs } = view;
  const next = successorOf(view, id);
  const place = next === null ? '' : `, and process ${next.pid} has taken its place`;
  const age = `${(ageMs / 1000).toFixed(1)} s after ${SINCE[trial.how]}`;
  const message = `Cannot confirm revision "${version.revision}": process ${id.pid} was found dead ${age}${place}`;
  return { kind: 'died', code: 'confirm.died', message, replaced: next !== null };
}
