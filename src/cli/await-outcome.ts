// Derives the result of a control request from the status. Pure.

import { EXIT } from '../lib/exit-codes.ts';
import type { ControlAction } from '../server/control.ts';
import type { GenerationStatus, SourceStatus, TargetStatus } from '../server/status-shape.ts';

/** A request that the sidecar accepted. */
export interface AwaitedRequest {
  readonly action: ControlAction;
  /** When it was accepted, by the sidecar's clock. ISO 8601. */
  readonly at: string;
  /** The generation rolled back to; null for other actions. */
  readonly generation: number | null;
}

export interface Result {
  /** 0 the application runs it, 3 source not reachable, 4 not accepted, 5 publishing, 6 reload or confirmation. */
  readonly exitCode: number;
  /** One sentence, or as many as the reason has. */
  readonly text: string;
}

/** A source that failed before is read again at once: one that is still down this long after that stays down for now. */
const DOWN_AFTER_MS = 3_000;

const DONE: readonly (string | null)[] = ['applied', 'unchanged', 'picked-up', 'pinned'];
/** It is on the volume, and the application does not run it. */
const NOT_RUNNING: readonly (string | null)[] = [
  'rolled-back',
  'rollback-failed',
  'refused',
  'target-died',
  'unconfirmed',
  'held-back',
  'no-target',
  'ambiguous',
  'not-permitted',
  'ignored',
  'stale-mount',
];

/** The result; null while it is not known. `now`: Unix milliseconds. */
export function outcomeOfRequest(asked: AwaitedRequest, target: TargetStatus, now: number): Result | null {
  if (asked.action === 'rollback') return isBusy(target) ? null : rolledBack(asked, target);
  const followed = [...target.sources, ...(target.template === null ? [] : [target.template])];
  const down = followed.find(({ up }) => !up);
  if (down !== undefined) {
    // A target without an outcome waits for just this source: it has nothing else to do.
    const isWaiting = target.outcome === null && !target.underWay;
    const isEarly = now - Date.parse(asked.at) < DOWN_AFTER_MS;
    return isEarly || (isBusy(target) && !isWaiting) ? null : unreachable(asked, down);
  }
  if (asked.action === 'sync' && !followed.every((one) => isReadSince(one, asked.at))) return null;
  return isBusy(target) ? null : caughtUp(asked, target);
}

/** The result when the time is up. */
export function timedOut(asked: AwaitedRequest, target: TargetStatus, waitedMs: number): Result {
  const { outcome, message, reloadOwed } = target;
  const isAboutReload = reloadOwed || NOT_RUNNING.includes(outcome);
  const text = `${DID[asked.action]}, but there was no result within ${waitedMs / 1000} s: ${stands(outcome, message)} See "config-sidecar status".`;
  return { exitCode: isAboutReload ? EXIT.reload : EXIT.unexpected, text };
}

const DID: Readonly<Record<ControlAction, string>> = {
  sync: 'Asked to sync',
  rollback: 'Rolled back',
  resume: 'Follows the source again',
};

/** One that waits for the application's handler waits for a moment only. */
function isBusy({ underWay, outcome, reloadOwed, pinned }: TargetStatus): boolean {
  const isOld = outcome === 'pinned' && !pinned;
  return (
    underWay || outcome === null || outcome === 'held-back' || isOld || (reloadOwed && DONE.includes(outcome))
  );
}

function isReadSince({ lastContactAt }: SourceStatus, at: string): boolean {
  return lastContactAt !== null && lastContactAt >= at;
}

function rolledBack({ at, generation: wanted }: AwaitedRequest, target: TargetStatus): Result | null {
  const { outcome, code, message, generations, history } = target;
  const pinned = generations.find((one) => one.pinned);
  if (pinned === undefined || pinned.generation !== wanted) {
    const text = `Rolled back to generation ${wanted}, but something else was chosen meanwhile. See "config-sidecar history".`;
    return { exitCode: EXIT.unexpected, text };
  }
  const isNews = (history[0]?.at ?? '') >= at;
  const name = `generation ${pinned.generation} (revision ${pinned.revision})`;
  if (isNews && !DONE.includes(outcome))
    return {
      exitCode: exitCodeOf(outcome, code),
      text: `Rolled back to ${name}, but: ${stands(outcome, message)}`,
    };
  if (!pinned.onVolume) return null;
  const text = `Rolled back to ${name}, and stays there until "config-sidecar resume"; ${proof(target, pinned)}.`;
  return { exitCode: EXIT.done, text };
}

function proof({ running }: TargetStatus, { rendering }: Pick<GenerationStatus, 'rendering'>): string {
  if (running?.rendering === rendering) return `the application runs it (${running.evidence})`;
  return 'it is on the volume';
}

function unreachable({ action }: AwaitedRequest, { url, error, lastContactAt }: SourceStatus): Result {
  const since = lastContactAt === null ? 'never reached' : `last reached ${lastContactAt}`;
  const reason = error === null ? '' : `: ${error.message}`;
  const text = `${DID[action]}, but "${url}" cannot be reached (${since})${reason}`;
  return { exitCode: EXIT.source, text };
}

function caughtUp({ action }: AwaitedRequest, target: TargetStatus): Result {
  const { outcome, code, message, desired, pinned, generations } = target;
  const did = action === 'sync' ? 'Read the source' : DID[action];
  if (pinned) {
    const number = generations.find((one) => one.pinned)?.generation ?? '?';
    const text = `${did}, but the target is pinned to generation ${number}; "config-sidecar resume" follows the source again.`;
    return { exitCode: EXIT.refused, text };
  }
  if (!DONE.includes(outcome))
    return { exitCode: exitCodeOf(outcome, code), text: `${did}, but: ${stands(outcome, message)}` };
  if (desired === null || desired.rendering === null)
    return { exitCode: EXIT.done, text: `${did}: ${stands(outcome, message)}` };
  const { revision, rendering } = desired;
  return {
    exitCode: EXIT.done,
    text: `${did}: revision ${revision}, ${outcome}; ${proof(target, { rendering })}.`,
  };
}

function stands(outcome: string | null, message: string): string {
  return message === '' ? `${outcome ?? 'starting'}.` : `${outcome ?? 'starting'}: ${message}`;
}

/** The errors of the disk, by the part of their code before the dot. */
const OF_THE_DISK: readonly string[] = ['publish', 'state', 'ledger'];

function exitCodeOf(outcome: string | null, code: string | null): number {
  if (NOT_RUNNING.includes(outcome)) return EXIT.reload;
  if (outcome === 'rejected' || outcome === 'blocked') return EXIT.refused;
  return OF_THE_DISK.includes(code?.split('.')[0] ?? '') ? EXIT.publishing : EXIT.reload;
}
