// What the loop of a target asks: is the application there, which process is it, and can it be told now?
import { type BootStamp, bootStamp } from './boot-clock.ts';
import { type GateAnswer, gate, isReceived, type ReloadSignal } from './gate.ts';
import { createOwnCommandTest } from './ours.ts';
import { readPidFile } from './pid-file.ts';
import {
  describeProcess,
  findProcess,
  listProcesses,
  type ProcessId,
  type ProcessRow,
  type ProcessStatus,
  processFolder,
  readArguments,
  readBlockedInAllThreads,
  readComm,
  readRootMount,
  readStatus,
} from './proc.ts';
import { fits, type ProcessView, type Selector, select } from './select.ts';

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
      /** When it was looked for, on the boot clock. */
      readonly seenAt: BootStamp;
    };

/**
 * Finds one application, again and again. What is remembered is its last name and signal masks, to see them change, and
 * for a moment who is certainly not meant.
 */
export interface Lookup {
  /** Looks now. `nowMs` is any clock that does not jump; it is compared with earlier looks only. Never throws. */
  look(nowMs: number): ProcessFact;
  /**
   * Sorts out beforehand who is certainly not meant, so that a look soon after has to ask only about the others. To be
   * called when nothing is urgent: to ask every process for its name is the dearest part of a look.
   */
  glance(nowMs: number): void;
}

/**
 * For so long those sorted out are not asked again. One that turned into the application meanwhile (`exec`) would not be
 * told any sooner, since it has not settled; and when nobody is found, everybody is asked.
 */
const GLANCE_MS = 1000;

interface Strangers {
  readonly seenAtMs: number;
  readonly pids: ReadonlySet<number>;
}

/** A look-up by what the settings say (`APP_PROCESS`, `APP_PID_FILE`). */
export function createLookup(options: LookupOptions): Lookup {
  const view = createView();
  let before: Look | null = null;
  let strangers: Strangers | null = null;
  const look = (nowMs: number): ProcessFact => {
    const seenAt = bootStamp();
    const known = strangers !== null && nowMs - strangers.seenAtMs <= GLANCE_MS ? strangers.pids : NOBODY;
    const found = find(options, { view, seenAt, strangers: known });
    const sight = found.kind === 'one' ? lookAt(found.process, nowMs) : null;
    const sample = sight && nextSample(before, sight);
    before = { nowMs, sample };
    if (found.kind !== 'one') return found;
    const name = describeProcess(found.process);
    if (sight === null || sample === null)
      return { kind: 'none', reason: `process ${name} cannot be looked at` };
    const answer = askGate({ ...sight, sample, options, ticks: seenAt.ticks });
    return { kind: 'found', id: idOf(found.process), name, gate: answer, seenAt };
  };
  const glance = (nowMs: number): void => {
    if (options.pidFile !== undefined) return;
    if (strangers !== null && nowMs - strangers.seenAtMs <= GLANCE_MS / 2) return;
    strangers = { seenAtMs: nowMs, pids: findStrangers(selectorOf(options)) };
  };
  return { look, glance };
}

const NOBODY: ReadonlySet<number> = new Set();

function findStrangers(selector: Selector): ReadonlySet<number> {
  const pids = new Set<number>();
  listProcesses((pid) => {
    if (!mayBe(selector, pid)) pids.add(pid);
    return false;
  });
  return pids;
}

function selectorOf({ name, pattern }: LookupOptions): Selector {
  return { ...(name !== undefined && { name }), ...(pattern !== undefined && { pattern }) };
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

interface Surroundings {
  readonly view: ProcessView;
  readonly seenAt: BootStamp;
  readonly strangers: ReadonlySet<number>;
}

function find(options: LookupOptions, { view, seenAt, strangers }: Surroundings): Found {
  const { pidFile } = options;
  const selector = selectorOf(options);
  if (pidFile === undefined) {
    const found = findBy(selector, view, strangers);
    // That nobody is there, and why, is said only after everybody was asked.
    return found.kind === 'none' && strangers.size > 0 ? findBy(selector, view, NOBODY) : found;
  }
  const number = readPidFile(pidFile);
  if (number.kind === 'none') return number;
  const found = findBy({ ...selector, pid: number.pid }, view, NOBODY);
  if (found.kind === 'none') {
    return { kind: 'none', reason: `the PID file "${pidFile}" holds ${number.pid}, but ${found.reason}` };
  }
  if (found.kind === 'ambiguous' || !isReused(found.process, number.writtenAtMs, seenAt)) return found;
  const reason = `the PID file "${pidFile}" is older than process ${describeProcess(found.process)}: its number was reused`;
  return { kind: 'none', reason };
}

function findBy(selector: Selector, view: ProcessView, strangers: ReadonlySet<number>): Found {
  const { pid } = selector;
  const isWanted = (each: number): boolean => !strangers.has(each) && mayBe(selector, each);
  const table = pid === undefined ? listProcesses(isWanted) : findProcess(pid);
  if (table === null) return { kind: 'none', reason: 'there is no /proc on this system to find it in' };
  const selection = select(table.rows, selector, view);
  if (selection.kind === 'one') return selection;
  if (selection.kind === 'ambiguous') {
    return { kind: 'ambiguous', pids: selection.processes.map(({ pid }) => pid), reason: selection.reason };
  }
  const hidden = table.countHidden();
  const hint = hidden === 0 ? '' : ` (${hidden} processes are hidden: /proc is mounted with hidepid)`;
  return { kind: 'none', reason: selection.reason + hint };
}

/** A first sieve, without the dear `stat`: what passes is looked at again, wholly, by the rules of choice. */
function mayBe(selector: Selector, pid: number): boolean {
  const folder = processFolder(pid);
  return fits(selector, { pid, comm: () => readComm(folder), words: () => readArguments(folder) });
}

/** The file's time and ours are of different clocks, and small steps of the wall clock are usual. */
const CLOCK_TOLERANCE_MS = 2000;

/** Whether the process started after its number was written down: then the number was meant for another one. */
function isReused(row: ProcessRow, writtenAtMs: number, { ticks }: BootStamp): boolean {
  if (ticks === null) return false;
  const startedAtMs = Date.now() - (ticks - row.startTicks) * 10;
  return startedAtMs > writtenAtMs + CLOCK_TOLERANCE_MS;
}

interface Look {
  readonly nowMs: number;
  readonly sample: Sample | null;
}

interface Sample {
  readonly pid: number;
  readonly startTicks: number;
  readonly comm: string;
  /** What must stay the same for a while. */
  readonly masks: string;
  readonly firstSeenMs: number;
  readonly sameSinceMs: number;
  /** It became this program under our eyes, between the look before its first and that. */
  readonly hasAppeared: boolean;
}

interface Sight {
  readonly row: ProcessRow;
  readonly status: ProcessStatus;
  readonly nowMs: number;
}

function lookAt(row: ProcessRow, nowMs: number): Sight | null {
  const status = readStatus(processFolder(row.pid));
  return status && { row, status, nowMs };
}

/** An earlier look tells when something appeared only if it was not long ago. */
const RECENT_MS = 5000;

function nextSample(before: Look | null, { row, status, nowMs }: Sight): Sample {
  const { comm } = row;
  const masks = `${status.caught.toString(16)} ${status.ignored.toString(16)}`;
  const last = before?.sample ?? null;
  const isSame =
    last !== null && last.pid === row.pid && last.startTicks === row.startTicks && last.comm === comm;
  const appears = before !== null && nowMs - before.nowMs < RECENT_MS;
  return {
    ...idOf(row),
    ...{ comm, masks },
    firstSeenMs: isSame ? last.firstSeenMs : nowMs,
    sameSinceMs: isSame && last.masks === masks ? last.sameSinceMs : nowMs,
    hasAppeared: isSame ? last.hasAppeared : appears,
  };
}

/**
 * A program that took the place of another in the same process (`exec` at the end of a long start script) is as young
 * as that. Where start times mean nothing, what we saw ourselves must do.
 */
function ageMs({ row, sample, ticks, nowMs }: Omit<GateCase, 'status' | 'options'>): number {
  const seenForMs = nowMs - sample.firstSeenMs;
  if (ticks === null) return seenForMs;
  const livedMs = (ticks - row.startTicks) * 10;
  return sample.hasAppeared ? Math.min(livedMs, seenForMs) : livedMs;
}

interface GateCase extends Sight {
  readonly sample: Sample;
  readonly options: LookupOptions;
  readonly ticks: number | null;
}

function askGate({ row, status, sample, nowMs, options, ticks }: GateCase): GateAnswer {
  const { caught, ignored } = status;
  return gate({
    signal: options.signal,
    pid: row.pid,
    gateOff: options.gateOff,
    masks: { caught, ignored, blocked: blockedFor(row, status, options.signal) },
    ageMs: ageMs({ row, sample, ticks, nowMs }),
    stableForMs: nowMs - sample.sameSinceMs,
    sender: readStatus('/proc/self') ?? status,
    receiver: status,
  });
}

/** Threads are asked only when it matters: there can be thousands, and this is on the way of every change. */
function blockedFor(
  row: ProcessRow,
  { caught, blocked }: ProcessStatus,
  signal: ReloadSignal | null,
): bigint {
  if (signal === null || isReceived({ caught, blocked: 0n }, signal)) return 0n;
  return isReceived({ caught: 0n, blocked }, signal) ? readBlockedInAllThreads(processFolder(row.pid)) : 0n;
}

function idOf({ pid, startTicks }: ProcessRow): ProcessId {
  return { pid, startTicks };
}
