// For people who look at the status: which process is the application, and which others are in sight.

import type { ProcessId } from '../ledger/types.ts';
import { bootTicks } from './process/boot-clock.ts';
import { isLiving } from './process/liveness.ts';
import type { Lookup } from './process/lookup.ts';
import {
  isDead,
  listPids,
  listProcesses,
  type ProcessRow,
  processFolder,
  readProc,
  readRow,
} from './process/proc.ts';

/** The application's process. */
export interface SeenApplication {
  readonly pid: number;
  /** The kernel's name for it: at most 15 bytes. */
  readonly program: string;
  /** Its user's number; null when that cannot be seen. */
  readonly user: number | null;
}

/** One process in sight. */
export interface VisibleProcess extends SeenApplication {
  readonly ageSeconds: number | null;
  /** Resident; null when that cannot be seen. */
  readonly memoryBytes: number | null;
  readonly isApplication: boolean;
}

/** What can be seen of processes; nothing where there is no `/proc`. */
export interface VisibleProcesses {
  /** The application, or null: none is named, or it is not there. */
  readonly application: () => SeenApplication | null;
  /** Resolves when all of this can be asked for; before, the application may be null. */
  readonly ready: () => Promise<void>;
  /** Every process but the kernel's own, the application first; at most `MOST_SHOWN`. */
  readonly processes: () => readonly VisibleProcess[];
}

/** A whole look at the process table is worth this long: status can be asked for often. */
const LOOK_MS = 1_000;
/** More than a pod has. On a machine the others are not what anyone looks for. */
const MOST_SHOWN = 60;

/**
 * @param load makes a look-up that nothing else asks, when it is needed; null when no process is named.
 * @param known the process that was notified or looked at last.
 */
export function createVisibleProcesses(
  load: () => Promise<Lookup | null>,
  known: () => ProcessId | null,
): VisibleProcesses {
  let found: ProcessId | null = null;
  let lookup: Lookup | null = null;
  let loading: Promise<void> | null = null;
  const ready = (): Promise<void> => {
    loading ??= load().then(
      (made) => {
        lookup = made;
      },
      () => {},
    );
    return loading;
  };
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  const look = (from: Lookup): void => {
    const nowMs = performance.now();
    if (nowMs - lookedAtMs < LOOK_MS) return;
    lookedAtMs = nowMs;
    const sight = listPids().length === 0 ? null : from.look(nowMs);
    found = sight?.kind === 'found' ? sight.id : null;
  };
  const current = (): ProcessId | null => {
    const id = known();
    if (id !== null && isLiving(id)) return id;
    void ready();
    if (lookup !== null && (found === null || !isLiving(found))) look(lookup);
    return found;
  };
  let listed: Listed | null = null;
  const processes = (): readonly VisibleProcess[] => {
    const application = current();
    const nowMs = performance.now();
    const isOld = listed === null || nowMs - listed.atMs >= LOOK_MS;
    // The application may have come since.
    if (listed === null || isOld || listed.application?.pid !== application?.pid)
      listed = { atMs: nowMs, application, all: listAll(application) };
    return listed.all;
  };
  return {
    ready,
    application: () => {
      const id = current();
      const row = id === null ? null : readRow(processFolder(id.pid));
      return row === null ? null : describe(row);
    },
    processes,
  };
}

interface Listed {
  readonly atMs: number;
  readonly application: ProcessId | null;
  readonly all: readonly VisibleProcess[];
}

/** Parent of the kernel's threads. */
const KERNEL = 2;

function listAll(application: ProcessId | null): readonly VisibleProcess[] {
  const ticks = bootTicks();
  const isApplication = (row: ProcessRow): boolean =>
    row.pid === application?.pid && row.startTicks === application.startTicks;
  const rows = (listProcesses()?.rows ?? []).filter(
    (row) => !isDead(row) && row.pid !== KERNEL && row.ppid !== KERNEL,
  );
  return [...rows]
    .sort((a, b) => Number(isApplication(b)) - Number(isApplication(a)) || a.pid - b.pid)
    .slice(0, MOST_SHOWN)
    .map((row) => ({
      ...describe(row),
      ageSeconds: ticks === null ? null : Math.max(0, Math.floor((ticks - row.startTicks) / 100)),
      memoryBytes: numberIn(row.pid, /^VmRSS:\s+(\d+) kB/m, 1024),
      isApplication: isApplication(row),
    }));
}

function describe({ pid, comm }: ProcessRow): SeenApplication {
  return { pid, program: comm, user: numberIn(pid, /^Uid:\s+\d+\s+(\d+)/m, 1) };
}

function numberIn(pid: number, line: RegExp, unit: number): number | null {
  const found = line.exec(readProc(`${processFolder(pid)}/status`) ?? '')?.[1];
  return found === undefined ? null : Number(found) * unit;
}
