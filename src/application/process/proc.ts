// Reads the kernel's process table. Synchronous on purpose: it lies between a change and its signal, and a trip
// through the thread pool costs more than the read.

import { closeSync, constants, existsSync, openSync, readdirSync, readSync, statfsSync } from 'node:fs';
import type { ProcessId } from '../../ledger/types.ts';

/** What `/proc/PID/stat` says. */
export interface ProcessRow extends ProcessId {
  readonly ppid: number;
  /** The kernel's name: at most 15 bytes. */
  readonly comm: string;
  /** `Z` and `X` are dead. */
  readonly state: string;
}

/** What `/proc/PID/status` says about signals and permission. Signal n is bit n-1. */
export interface ProcessStatus {
  readonly realUid: number;
  readonly effectiveUid: number;
  readonly savedUid: number;
  readonly effectiveCapabilities: bigint;
  readonly caught: bigint;
  readonly ignored: bigint;
  readonly blocked: bigint;
  /** It is the first process of a PID namespace, ours or one below it: the kernel drops what it does not catch. */
  readonly isInit: boolean;
}

/** What can be seen of the process table. */
export interface ProcessTable {
  /** Those asked for, and all their ancestors. */
  readonly rows: readonly ProcessRow[];
}

/** Parent of the kernel's threads, where those can be seen. */
export const SECOND = 2;

/**
 * The process table, or null where there is no `/proc`. To read `stat` is the most expensive read, so it is asked only for
 * processes that are wanted, for their ancestors, and for number 2, which shows whether this is a whole machine.
 */
export function listProcesses(
  isWanted: (pid: number) => boolean = () => true,
  pids = listPids(),
): ProcessTable | null {
  if (pids.length === 0) return null;
  const rows = new Map<number, ProcessRow>();
  for (const pid of pids) {
    if (pid === SECOND || isWanted(pid)) addFamily(rows, pid);
  }
  return { rows: [...rows.values()] };
}

/** The same for one number, which a PID file may hold; a number of a thread belongs to no process. */
export function findProcess(pid: number): ProcessTable | null {
  if (readRow('/proc/self') === null) return null;
  const rows = new Map<number, ProcessRow>();
  if (!isThread(pid)) addFamily(rows, pid);
  addFamily(rows, SECOND);
  return { rows: [...rows.values()] };
}

/** Whether a process or thread has this number: the cheapest question. */
export function isThere(pid: number): boolean {
  return existsSync(processFolder(pid));
}

/** Threads have folders as well, which are only not listed; and a signal sent to one reaches its whole process. */
export function isThread(pid: number): boolean {
  const text = readProc(`${processFolder(pid)}/status`);
  return text !== null && lineOf(text, 'Tgid') !== String(pid);
}

function addFamily(rows: Map<number, ProcessRow>, pid: number): void {
  let next = pid;
  while (next > 0 && !rows.has(next)) {
    const row = readRow(processFolder(next));
    if (row === null) return;
    rows.set(next, row);
    next = row.ppid;
  }
}

/** The numbers of all processes in sight; none where there is no `/proc`. */
export function listPids(): readonly number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

const LOADS = '/proc/loadavg';
/** statfs(2) of the kernel's own `/proc`: some container systems lay files of theirs over a part of it (lxcfs). */
const PROC_MAGIC = 0x9fa0;
let tellsNewest: boolean | undefined;

/**
 * The number that the kernel gave out last, to a process or a thread: while it is the same, none has started. null where it is not told.
 */
export function readNewestPid(): number | null {
  tellsNewest ??= isKernels(LOADS);
  if (!tellsNewest) return null;
  const newest = Number(readKept(LOADS)?.trimEnd().split(' ').at(-1));
  return Number.isSafeInteger(newest) && newest > 0 ? newest : null;
}

function isKernels(path: string): boolean {
  try {
    return statfsSync(path).type === PROC_MAGIC;
  } catch {
    return false;
  }
}

/** The row of one process, or null when there is none (or none that may be looked at). `folder`: see `processFolder`. */
export function readRow(folder: string): ProcessRow | null {
  const stat = readProc(`${folder}/stat`);
  return stat === null ? null : parseStat(stat);
}

/** A zombie accepts signals without an error, and does nothing. */
export function isDead(row: ProcessRow): boolean {
  return row.state === 'Z' || row.state === 'X' || row.state === 'x';
}

/** Stopped by SIGSTOP or a terminal, until SIGCONT. A debugger's own stops (`t`) are over in a moment. */
export function isStopped(row: ProcessRow): boolean {
  return row.state === 'T';
}

/** Where the kernel describes a process. */
export function processFolder(pid: number): string {
  return `/proc/${pid}`;
}

/** Parses `/proc/PID/stat`. The name may hold anything, `) S 1 (` as well, so what counts is the last `)`. */
export function parseStat(stat: string): ProcessRow | null {
  const open = stat.indexOf('(');
  const close = stat.lastIndexOf(')');
  if (open < 1 || close < open) return null;
  const fields = stat.slice(close + 2).split(' ', 20);
  const pid = Number(stat.slice(0, open));
  const [state, ppid] = fields;
  const startTicks = Number(fields[19]);
  if (!Number.isInteger(pid) || state === undefined || !Number.isSafeInteger(startTicks)) return null;
  const comm = Buffer.from(stat.slice(open + 1, close), 'latin1').toString();
  return { pid, startTicks, ppid: Number(ppid), comm, state };
}

/** The kernel's name for a process, or null when it is gone or hidden: half the price of `readRow`. */
export function readComm(folder: string): string | null {
  const text = readProc(`${folder}/comm`, { encoding: 'utf8' });
  return text?.slice(0, -1) ?? null;
}

/** Of a command line so much is looked at: the kernel allows a single word as much. */
const LINE_BYTES = 131_072;

/**
 * The words of a process's command line; empty for kernel threads and for what is gone or hidden. A process can make its own
 * as long as it likes: of more than `maxBytes` (default 128 KiB) only the beginning is read.
 */
export function readArguments(folder: string, maxBytes = LINE_BYTES): readonly string[] {
  const text = readProc(`${folder}/cmdline`, { encoding: 'utf8', maxBytes });
  if (text === null) return [];
  const words = text.split('\0');
  // Ends with NUL, except where the process rewrote it: those titles are padded with many.
  while (words.length > 0 && words.at(-1) === '') words.pop();
  return words;
}

/** Signal masks, users and capabilities of a process, or null when it is gone or may not be looked at. */
export function readStatus(folder: string): ProcessStatus | null {
  const text = readProc(`${folder}/status`);
  return text === null ? null : parseStatus(text);
}

/**
 * Parses `/proc/PID/status`. Masks are 64 bits wide, which a JavaScript number is not. Lines are searched for as they are written: this is
 * on the way of every change. A name in it has no line of its own: the kernel writes `\n` for that.
 */
export function parseStatus(text: string): ProcessStatus | null {
  const uids = lineOf(text, 'Uid')?.split('\t');
  if (uids === undefined) return null;
  const mask = (line: string): bigint => BigInt(`0x${lineOf(text, line) ?? '0'}`);
  return {
    realUid: Number(uids[0]),
    effectiveUid: Number(uids[1]),
    savedUid: Number(uids[2]),
    effectiveCapabilities: mask('CapEff'),
    caught: mask('SigCgt'),
    ignored: mask('SigIgn'),
    blocked: mask('SigBlk'),
    // Its numbers from our namespace down to its own.
    isInit: lineOf(text, 'NSpid')?.split('\t').at(-1) === '1' || lineOf(text, 'Pid') === '1',
  };
}

/** What follows the name of a line. */
function lineOf(text: string, name: string): string | undefined {
  const start = text.indexOf(`\n${name}:\t`) + name.length + 3;
  return start < name.length + 3 ? undefined : text.slice(start, text.indexOf('\n', start));
}

/**
 * The signals that every thread blocks: those wait for `sigwait` or `signalfd`, or for a server that replaces itself. One
 * thread that does not block is enough for the kernel to deliver there, with the default action when no handler catches it.
 * Helper threads that block everything are common (Node.js has one), so a single thread proves nothing.
 */
export function readBlockedInAllThreads(folder: string): bigint {
  const threads = listThreads(folder);
  if (threads.length === 0) return 0n;
  let blocked = ~0n;
  for (const thread of threads) blocked &= readStatus(`${folder}/task/${thread}`)?.blocked ?? 0n;
  return blocked;
}

/** The numbers of its threads; none when it is gone or hidden. */
export function listThreads(folder: string): readonly string[] {
  try {
    return readdirSync(`${folder}/task`);
  } catch {
    return [];
  }
}

/** What to call a process when speaking of it. */
export function describeProcess({ pid, comm }: ProcessRow): string {
  return `${pid} (${comm})`;
}

/** Number of the mount a process has as its root: the same for all processes of a container, and for no others. */
export function readRootMount(folder: string): string | null {
  // The table can be long, and the kernel writes only as much of it as is asked for.
  const text = readProc(`${folder}/mountinfo`, { maxBytes: 32 });
  return /^\d+/.exec(text ?? '')?.[0] ?? null;
}

/** The mounts a process sees (proc_pid_mountinfo(5)), at most 1 MiB of them; null when it is gone or hidden. */
export function readMountInfo(folder: string): string | null {
  return readProc(`${folder}/mountinfo`, { encoding: 'utf8', inParts: true });
}

/** Runs `use` with a folder that stays bound to the process of this moment: after its end, reads from it fail. */
export function withProcessFolder<T>(pid: number, use: (folder: string) => T): T | null {
  let handle: number;
  try {
    handle = openSync(processFolder(pid), constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    return null;
  }
  try {
    return use(`/proc/self/fd/${handle}`);
  } finally {
    closeSync(handle);
  }
}

const kept = new Map<string, number>();

/**
 * The same for a short file of the whole system that is asked for several times at each change: it stays open, since to open and close it
 * costs twice as much as to read it. The kernel writes it anew for each read from its beginning.
 */
export function readKept(path: string): string | null {
  const handle = kept.get(path);
  if (handle !== undefined) {
    try {
      const size = readSync(handle, buffer, 0, buffer.length, 0);
      return buffer.toString('latin1', 0, size);
    } catch {
      // A container system may have put its own file there, and have ended.
      kept.delete(path);
      closeSync(handle);
    }
  }
  try {
    kept.set(path, openSync(path, constants.O_RDONLY));
  } catch {
    return null;
  }
  return readProc(path);
}

// One for all reads: none of them is interrupted by another.
let buffer = Buffer.alloc(4096);

/** What a process can make grow must not be able to stop us. */
const MAX_BYTES = 1 << 20;

interface Reading {
  /** Default: as much as there is, up to `MAX_BYTES`. */
  readonly maxBytes?: number;
  /** Default: latin1, the fastest. */
  readonly encoding?: BufferEncoding;
  /** The kernel gives a list of records a page at a time, however much is asked for; default: false, one read is all. */
  readonly inParts?: boolean;
}

/** The text of a file below `/proc`, at most 1 MiB of it; null when the process is gone, or hidden. */
export function readProc(path: string, reading: Reading = {}): string | null {
  const { maxBytes = MAX_BYTES, encoding = 'latin1', inParts = false } = reading;
  let handle: number | null = null;
  try {
    handle = openSync(path, constants.O_RDONLY);
    let size = 0;
    let got: number;
    do {
      if (size === buffer.length) buffer = Buffer.concat([buffer], size * 2);
      got = readSync(handle, buffer, size, Math.min(maxBytes, buffer.length) - size, null);
      size += got;
    } while (got > 0 && size < maxBytes && (inParts || size === buffer.length));
    return buffer.toString(encoding, 0, size);
  } catch {
    return null;
  } finally {
    if (handle !== null) closeSync(handle);
  }
}
