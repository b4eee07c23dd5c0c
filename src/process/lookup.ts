// What the loop of a target asks: is the application there, which process is it, and can it be told now?
import { bootTicks } from './boot-clock.ts';
import { type GateAnswer, gate, isReceived, type ReloadSignal } from './gate.ts';
import { createOwnCommandTest } from './ours.ts';
import { readPidFile } from './pid-file.ts';
import {
  describeProcess,
  listProcesses,
  type ProcessId,
  type ProcessRow,
  type ProcessStatus,
  type ProcessTable,
  processFolder,
  readArguments,
  readBlockedInAllThreads,
  readRootMount,
  readStatus,
} from './proc.ts';
import { type ProcessView, type Selector, select } from './select.ts';

export interface LookupOptions {
  readonly name?: string;
  readonly pattern?: RegExp;
  /** Path of the file the application writes its number to; read at every look. */
  readonly pidFile?: string;
  /** What will be sent; null where nothing is (another hook, or `none`): then a process that is there is ready. */
  readonly signal: ReloadSignal | null;
  /** `RELOAD_GATE=off`. */
  readonly gateOff: boolean;
}

/** What is known of the application's process at one moment. `reason` is a clause, for `Cannot …: <reason>`. */
export type ProcessFact =
  | { readonly kind: 'none'; readonly reason: string }
  | { readonly kind: 'ambiguous'; readonly pids: readonly number[]; readonly reason: string }
  | {
      readonly kind: 'found';
      readonly id: ProcessId;
      /** `4711 (nginx)`. */
      readonly name: string;
      readonly gate: GateAnswer;
    };

/** Finds one application, again and again; nothing is remembered but its last signal masks, to see them change. */
export interface Lookup {
  /** Looks now. `nowMs` is any clock that does not jump; it is compared with earlier looks only. Never throws. */
  look(nowMs: number): ProcessFact;
}

/** A look-up by what the settings say (`APP_PROCESS`, `APP_PID_FILE`). */
export function createLookup(options: LookupOptions): Lookup {
  const view = createView();
  let seen: Sample | null = null;
  const look = (nowMs: number): ProcessFact => {
    const found = find(options, view);
    if (found.kind !== 'one') {
      seen = null;
      return found;
    }
    const row = found.process;
    const status = readStatus(processFolder(row.pid));
    if (status === null)
      return { kind: 'none', reason: `process ${describeProcess(row)} cannot be looked at` };
    seen = nextSample(seen, { row, status, nowMs });
    const answer = askGate({ row, status, sample: seen, nowMs, options });
    return { kind: 'found', id: idOf(row), name: describeProcess(row), gate: answer };
  };
  return { look };
}

function createView(): ProcessView {
  return {
    self: process.pid,
    arguments: (pid) => readArguments(processFolder(pid)),
    container: (pid) => readRootMount(processFolder(pid)),
    isOurs: createOwnCommandTest(),
  };
}

type Found =
  | { readonly kind: 'one'; readonly process: ProcessRow }
  | Extract<ProcessFact, { readonly kind: 'none' | 'ambiguous' }>;

function find({ name, pattern, pidFile }: LookupOptions, view: ProcessView): Found {
  const table = listProcesses();
  if (table === null) return { kind: 'none', reason: 'there is no /proc on this system to find it in' };
  const selector: Selector = {
    ...(name !== undefined && { name }),
    ...(pattern !== undefined && { pattern }),
  };
  if (pidFile === undefined) return findIn(table, selector, view);
  const number = readPidFile(pidFile);
  if (number.kind === 'none') return number;
  const found = findIn(table, { ...selector, pid: number.pid }, view);
  if (found.kind === 'none') {
    return { kind: 'none', reason: `the PID file "${pidFile}" holds ${number.pid}, but ${found.reason}` };
  }
  if (found.kind === 'ambiguous' || !isReused(found.process, number.writtenAtMs)) return found;
  const reason = `the PID file "${pidFile}" is older than process ${describeProcess(found.process)}: its number was reused`;
  return { kind: 'none', reason };
}

function findIn(table: ProcessTable, selector: Selector, view: ProcessView): Found {
  const selection = select(table.rows, selector, view);
  if (selection.kind === 'one') return selection;
  if (selection.kind === 'ambiguous') {
    return { kind: 'ambiguous', pids: selection.processes.map(({ pid }) => pid), reason: selection.reason };
  }
  const hidden =
    table.hidden === 0 ? '' : ` (${table.hidden} processes are hidden: /proc is mounted with hidepid)`;
  return { kind: 'none', reason: selection.reason + hidden };
}

/** The file's time and ours are of different clocks, and small steps of the wall clock are usual. */
const CLOCK_TOLERANCE_MS = 2000;

/** Whether the process started after its number was written down: then the number was meant for another one. */
function isReused(row: ProcessRow, writtenAtMs: number): boolean {
  const ticks = bootTicks();
  if (ticks === null) return false;
  const startedAtMs = Date.now() - (ticks - row.startTicks) * 10;
  return startedAtMs > writtenAtMs + CLOCK_TOLERANCE_MS;
}

interface Sample {
  readonly pid: number;
  readonly startTicks: number;
  /** What must stay the same for a while. */
  readonly face: string;
  readonly firstSeenMs: number;
  readonly sameSinceMs: number;
}

interface Sight {
  readonly row: ProcessRow;
  readonly status: ProcessStatus;
  readonly nowMs: number;
}

function nextSample(before: Sample | null, { row, status, nowMs }: Sight): Sample {
  const face = `${row.comm} ${status.caught.toString(16)} ${status.ignored.toString(16)}`;
  const isSame = before !== null && before.pid === row.pid && before.startTicks === row.startTicks;
  return {
    ...idOf(row),
    face,
    firstSeenMs: isSame ? before.firstSeenMs : nowMs,
    sameSinceMs: isSame && before.face === face ? before.sameSinceMs : nowMs,
  };
}

interface GateCase extends Sight {
  readonly sample: Sample;
  readonly options: LookupOptions;
}

function askGate({ row, status, sample, nowMs, options }: GateCase): GateAnswer {
  const ticks = bootTicks();
  const sender = readStatus('/proc/self') ?? status;
  const { caught, ignored } = status;
  return gate({
    signal: options.signal,
    pid: row.pid,
    gateOff: options.gateOff,
    masks: { caught, ignored, blocked: blockedFor(row, status, options.signal) },
    // Where start times mean nothing here, what we saw ourselves must do.
    ageMs: ticks === null ? nowMs - sample.firstSeenMs : (ticks - row.startTicks) * 10,
    stableForMs: nowMs - sample.sameSinceMs,
    sender,
    receiver: status,
  });
}

/** Threads are asked only when it matters: there can be thousands, and this is on the way of every change. */
function blockedFor(row: ProcessRow, { caught, blocked }: ProcessStatus, signal: ReloadSignal | null): bigint {
  if (signal === null || isReceived({ caught, blocked: 0n }, signal)) return 0n;
  return isReceived({ caught: 0n, blocked }, signal) ? readBlockedInAllThreads(processFolder(row.pid)) : 0n;
}

function idOf({ pid, startTicks }: ProcessRow): ProcessId {
  return { pid, startTicks };
}
