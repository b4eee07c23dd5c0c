// What is remembered of a process between two looks, to see that it changes and how old it really is.
import type { ProcessId } from '../../ledger/types.ts';
import { readCpuTimeMs } from './cpu-time.ts';
import { type ProcessRow, type ProcessStatus, processFolder } from './proc.ts';
import { isOpaque, type SentSignal, START_MS } from './readiness.ts';

/** One process at the moment of a look. */
export interface ProcessObservation {
  readonly row: ProcessRow;
  readonly status: ProcessStatus;
  /** Any clock that does not jump. */
  readonly nowMs: number;
  /** 1/100 s since boot; null where start times mean nothing. */
  readonly ticks: number | null;
}

/** A look, and what was remembered then; `history` is null when no process was found. */
export interface PastLook {
  readonly nowMs: number;
  readonly history: ProcessHistory | null;
}

export interface ProcessHistory extends ProcessId {
  readonly comm: string;
  /** What must stay the same for a while. */
  readonly masks: string;
  readonly firstSeenMs: number;
  readonly sameSinceMs: number;
  /** It became this program under our eyes, between the look before its first and that. */
  readonly hasAppeared: boolean;
  /** How often it has changed its name. */
  readonly renames: number;
  readonly busy: CpuUse;
}

interface CpuUse {
  /** See `ReadinessQuestion.busyProcessors`. */
  readonly share: number | 'unseen' | null;
  /** What the kernel had counted, and when that was read. */
  readonly totalMs: number;
  readonly atMs: number;
}

/** An earlier look shows when something appeared only if it was recent. */
const RECENT_MS = 5000;

/** A chain of start scripts is not longer; a process that shows what it does in its name never ends to change it. */
const MAX_RENAMES = 5;

/** What to remember of this look. */
export function nextHistory(
  before: PastLook | null,
  observation: ProcessObservation,
  signal: SentSignal | null,
): ProcessHistory {
  const { row, status, nowMs } = observation;
  const { pid, startTicks, comm } = row;
  const masks = `${status.caught.toString(16)} ${status.ignored.toString(16)}`;
  const history = before?.history ?? null;
  const last = history?.pid === pid && history.startTicks === startTicks ? history : null;
  const isRenamed = last !== null && last.comm !== comm && last.renames < MAX_RENAMES;
  const isSame = last !== null && !isRenamed;
  const appears = before !== null && nowMs - before.nowMs < RECENT_MS;
  return {
    ...{ pid, startTicks, comm, masks },
    firstSeenMs: isSame ? last.firstSeenMs : nowMs,
    sameSinceMs: isSame && last.masks === masks ? last.sameSinceMs : nowMs,
    hasAppeared: isSame ? last.hasAppeared : appears,
    renames: (last?.renames ?? 0) + (isRenamed ? 1 : 0),
    busy: nextCpuUse(isSame ? last.busy : null, observation, signal),
  };
}

const NOT_ASKED: CpuUse = { share: null, totalMs: 0, atMs: 0 };
/** Over less than this nothing can be said. */
const MEASURE_MS = 100;

function nextCpuUse(last: CpuUse | null, observation: ProcessObservation, signal: SentSignal | null): CpuUse {
  const { row, status, nowMs } = observation;
  const { caught, ignored, blocked } = status;
  if (
    signal === null ||
    livedMs(observation) >= START_MS ||
    !isOpaque({ caught, ignored, blocked }, signal)
  ) {
    return NOT_ASKED;
  }
  const seen = last === null || last.share === null ? null : last;
  if (seen !== null && nowMs - seen.atMs < MEASURE_MS) return seen;
  const totalMs = readCpuTimeMs(processFolder(row.pid));
  if (totalMs === null) return NOT_ASKED;
  const share = seen === null ? 'unseen' : (totalMs - seen.totalMs) / (nowMs - seen.atMs);
  return { share, totalMs, atMs: nowMs };
}

/**
 * A program that took the place of another in the same process (`exec` at the end of a long start script) is as young
 * as that. Where start times mean nothing, what we saw ourselves must do.
 */
export function ageMs(observation: ProcessObservation, history: ProcessHistory): number {
  const seenForMs = observation.nowMs - history.firstSeenMs;
  if (observation.ticks === null) return seenForMs;
  return history.hasAppeared ? Math.min(livedMs(observation), seenForMs) : livedMs(observation);
}

/** Without start times as young as can be. */
function livedMs({ row, ticks }: ProcessObservation): number {
  return ticks === null ? 0 : (ticks - row.startTicks) * 10;
}
