// Reads the kernel's process table. Synchronous on purpose: it lies between a change and its signal, and a trip
// through the thread pool costs more than the read.
import { closeSync, constants, openSync, readdirSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { errnoOf } from '../errors.ts';

/** What tells a process from every other one, also from a later one with the same number. */
export interface ProcessId {
  readonly pid: number;
  /** Start time in 1/100 s since boot (field 22 of `/proc/PID/stat`). */
  readonly startTicks: number;
}

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
}

/** What can be seen of the process table. */
export interface ProcessTable {
  /** Those asked for, and all their ancestors. */
  readonly rows: readonly ProcessRow[];
  /** Counts the processes that are there but may not be looked at (`/proc` mounted with `hidepid`). */
  readonly countHidden: () => number;
}

/** Parent of the kernel's threads, where those can be seen. */
const SECOND = 2;

/**
 * The process table, or null where there is no `/proc`. To read `stat` is the dearest question, so it is asked only for
 * processes that are wanted, for their ancestors, and for number 2, which tells whether this is a machine of its own.
 */
export function listProcesses(isWanted: (pid: number) => boolean = () => true): ProcessTable | null {
  const pids = listNumbers();
  if (pids.length === 0) return null;
  const rows = new Map<number, ProcessRow>();
  for (const pid of pids) {
    if (pid === SECOND || isWanted(pid)) addFamily(rows, pid);
  }
  return { rows: [...rows.values()], countHidden: () => pids.filter(isHidden).length };
}

/** The same for one number, which a PID file may hold; it is nobody's when it is that of a thread. */
export function findProcess(pid: number): ProcessTable | null {
  if (readRow('/proc/self') === null) return null;
  const rows = new Map<number, ProcessRow>();
  if (!isThread(pid)) addFamily(rows, pid);
  addFamily(rows, SECOND);
  return { rows: [...rows.values()], countHidden: () => (isHidden(pid) ? 1 : 0) };
}

/** Threads have folders as well, which are only not listed; and a signal sent to one reaches its whole process. */
function isThread(pid: number): boolean {
  const text = readProc(`${processFolder(pid)}/status`);
  return typeof text === 'string' && Number(/^Tgid:\s+(\d+)/m.exec(text)?.[1]) !== pid;
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

function isHidden(pid: number): boolean {
  return readProc(`${processFolder(pid)}/comm`) === DENIED;
}

function listNumbers(): readonly number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

/** The row of one process, or null when there is none (or none that may be looked at). `folder`: see `processFolder`. */
export function readRow(folder: string): ProcessRow | null {
  const stat = readProc(`${folder}/stat`);
  return typeof stat === 'string' ? parseStat(stat) : null;
}

/** True while this very process lives; a zombie, or another one with its number, is not it. */
export function isAlive(id: ProcessId): boolean {
  const row = readRow(processFolder(id.pid));
  return row !== null && row.startTicks === id.startTicks && !isDead(row);
}

/** A zombie accepts signals without an error, and does nothing. */
export function isDead(row: ProcessRow): boolean {
  return row.state === 'Z' || row.state === 'X' || row.state === 'x';
}

/** Where the kernel tells about a process. */
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
  return typeof text === 'string' ? text.slice(0, -1) : null;
}

/** The words of a process's command line; empty for kernel threads and for what is gone or hidden. */
export function readArguments(folder: string): readonly string[] {
  const text = readProc(`${folder}/cmdline`, { encoding: 'utf8' });
  if (typeof text !== 'string') return [];
  const words = text.split('\0');
  // Ends with NUL, except where the process rewrote it: those titles are padded with many.
  while (words.length > 0 && words.at(-1) === '') words.pop();
  return words;
}

/** Signal masks, users and capabilities of a process, or null when it is gone or may not be looked at. */
export function readStatus(folder: string): ProcessStatus | null {
  const text = readProc(`${folder}/status`);
  return typeof text === 'string' ? parseStatus(text) : null;
}

/** Parses `/proc/PID/status`. Masks are 64 bits wide, which a JavaScript number is not. */
export function parseStatus(text: string): ProcessStatus | null {
  const uids = /^Uid:\s+(\d+)\s+(\d+)\s+(\d+)/m.exec(text);
  if (uids === null) return null;
  const mask = (line: RegExp): bigint => BigInt(`0x${line.exec(text)?.[1] ?? '0'}`);
  return {
    realUid: Number(uids[1]),
    effectiveUid: Number(uids[2]),
    savedUid: Number(uids[3]),
    effectiveCapabilities: mask(/^CapEff:\s+([0-9a-f]+)/m),
    caught: mask(/^SigCgt:\s+([0-9a-f]+)/m),
    ignored: mask(/^SigIgn:\s+([0-9a-f]+)/m),
    blocked: mask(/^SigBlk:\s+([0-9a-f]+)/m),
  };
}

/**
 * The signals that every thread blocks: those wait for `sigwait` or `signalfd`, or for a server that replaces itself. One
 * thread that does not block is enough for the kernel to deliver there, with the default action when nobody catches it.
 * Helper threads that block everything are common (Node.js has one), so a single thread proves nothing.
 */
export function readBlockedInAllThreads(folder: string): bigint {
  const threads = listThreads(folder);
  if (threads.length === 0) return 0n;
  let blocked = ~0n;
  for (const thread of threads) blocked &= readStatus(`${folder}/task/${thread}`)?.blocked ?? 0n;
  return blocked;
}

function listThreads(folder: string): readonly string[] {
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

/** Name of the program in the first word of a command line; of a rewritten one (`nginx: master process`) `nginx`. */
export function programName(word: string): string {
  return basename(/^([^\s:]+): /.exec(word)?.[1] ?? word);
}

/** Number of the mount a process has as its root: the same for all processes of a container, and for no others. */
export function readRootMount(folder: string): string | null {
  // The table can be long, and the kernel writes only as much of it as is asked for.
  const text = readProc(`${folder}/mountinfo`, { maxBytes: 32 });
  return typeof text === 'string' ? (/^\d+/.exec(text)?.[0] ?? null) : null;
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

/** The file is there, but not for us: `/proc` is mounted with `hidepid`. */
const DENIED = Symbol('denied');

// One for all reads: none of them is interrupted by another.
let buffer = Buffer.alloc(4096);

interface Reading {
  /** Default: as much as there is. */
  readonly maxBytes?: number;
  /** Default: latin1, the fastest. */
  readonly encoding?: BufferEncoding;
}

/** The text; null when the process is gone. */
function readProc(
  path: string,
  { maxBytes, encoding = 'latin1' }: Reading = {},
): string | typeof DENIED | null {
  let handle: number | null = null;
  try {
    handle = openSync(path, constants.O_RDONLY);
    let size = readSync(handle, buffer, 0, maxBytes ?? buffer.length, null);
    while (size === buffer.length) {
      buffer = Buffer.concat([buffer], buffer.length * 2);
      size += readSync(handle, buffer, size, buffer.length - size, null);
    }
    return buffer.toString(encoding, 0, size);
  } catch (thrown) {
    const code = errnoOf(thrown);
    return code === 'EPERM' || code === 'EACCES' ? DENIED : null;
  } finally {
    if (handle !== null) closeSync(handle);
  }
}
