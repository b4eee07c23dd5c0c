// The processes as `/proc` shows them at one moment: each is asked for each thing at most once.
import type { BootStamp } from '../../ledger/types.ts';
import { createChoiceMemory } from './choice.ts';
import { containerNameIn } from './container.ts';
import type { ProcessWorld } from './find.ts';
import { explainNotFound } from './not-found.ts';
import { createOwnCommandTest } from './own-command.ts';
import {
  findProcess,
  isThere,
  isThread,
  listPids,
  listProcesses,
  type ProcessRow,
  processFolder,
  readArguments,
  readComm,
  readMountInfo,
  readNewestPid,
  readRootMount,
  readRow,
  SECOND,
} from './proc.ts';
import { receives, type Sending } from './receives.ts';
import { faceOf, fits, type ProcessView, type Selector } from './selector.ts';
import { createUnrelatedMemory, type UnrelatedMemory } from './unrelated.ts';
import { createWrapperMemory } from './wrappers.ts';

/** Looks at the processes, again and again. */
export interface Scanner {
  /** `nowMs`: any clock that does not jump. */
  readonly scan: (seenAt: Pick<BootStamp, 'ticks'>, nowMs: number) => ProcessWorld;
  /** Forgets which processes are not meant, so that the next scan asks all. @returns false when the last one did. */
  readonly forget: () => boolean;
}

export function createScanner(sending: Sending): Scanner {
  const isOwnCommand = createOwnCommandTest();
  const isAboveUs = createAncestorTest();
  const wrappers = createWrapperMemory();
  const unrelated = createUnrelatedMemory();
  const choice = createChoiceMemory();
  const createSceneView = (ticks: number | null): ProcessView => {
    const view = createView();
    const asked = {
      receives: (row: ProcessRow) => receives(row, sending, ticks),
      wasWrapper: (row: ProcessRow) => wrappers.has(row, view.arguments(row.pid)),
    };
    return { ...view, ...asked, isOwnCommand, isAboveUs };
  };
  const scan: Scanner['scan'] = ({ ticks }, nowMs) => {
    const view = createSceneView(ticks);
    let meant: readonly number[] | null = null;
    return {
      view,
      chosenBefore: (selector) => {
        meant = listMeant(selector, view, { unrelated, nowMs });
        return choice.recall({ meant, nowMs }, view.arguments);
      },
      rows: (selector) => listRows(meant, selector),
      noteChosen: (chosen, rows) => choice.note({ meant, nowMs }, { chosen, rows }, view.arguments),
      noteWrappers: (rows) => {
        for (const row of rows) wrappers.add(row, view.arguments(row.pid));
      },
      startedAtMs: ({ startTicks }) => (ticks === null ? null : Date.now() - (ticks - startTicks) * 10),
      explain: (reason, selector) => explainNotFound(reason, selector, view),
    };
  };
  return { scan, forget: unrelated.forget };
}

function createView(): Omit<ProcessView, 'isOwnCommand' | 'isAboveUs' | 'receives' | 'wasWrapper'> {
  const container = once((pid: number) => readRootMount(processFolder(pid)));
  const names = new Map<string, string | null>();
  return {
    self: process.pid,
    arguments: once(createArgumentReader()),
    container,
    // The table of mounts can be long, and is the same for all processes of a container.
    containerName: (pid) => {
      const root = container(pid);
      if (root === null) return null;
      if (!names.has(root)) names.set(root, containerNameIn(readMountInfo(processFolder(pid)) ?? ''));
      return names.get(root) ?? null;
    },
  };
}

/** What the command lines of one look may hold together; those read after that are cut to their beginnings. */
const LINES_BYTES = 4 * 1024 * 1024;
const SHORT_LINE_BYTES = 4096;

function createArgumentReader(): (pid: number) => readonly string[] {
  let leftBytes = LINES_BYTES;
  return (pid) => {
    const words = readArguments(processFolder(pid), leftBytes > 0 ? undefined : SHORT_LINE_BYTES);
    leftBytes -= words.reduce((sum, word) => sum + word.length, 0);
    return words;
  };
}

/**
 * Asked only when there is a candidate, and of the kernel once: when one of our ancestors ends, the kernel gives us to another of
 * them.
 */
function createAncestorTest(): ProcessView['isAboveUs'] {
  let above: ReadonlyMap<number, number> | null = null;
  return ({ pid, startTicks }) => {
    above ??= startsAbove(process.pid);
    return above.get(pid) === startTicks;
  };
}

/** Start times of the parents, up to the first that is out of sight. */
function startsAbove(pid: number): ReadonlyMap<number, number> {
  const above = new Map<number, number>();
  let row = readRow(processFolder(pid));
  while (row !== null && row.ppid > 0) {
    row = readRow(processFolder(row.ppid));
    // The rows are not read in one moment: a reused number could close a circle.
    if (row === null || above.has(row.pid)) break;
    above.set(row.pid, row.startTicks);
  }
  return above;
}

/** A second answer could be another one: a process may rename itself at any time. */
function once<T>(ask: (pid: number) => T): (pid: number) => T {
  const known = new Map<number, T>();
  return (pid) => {
    const before = known.get(pid);
    if (before !== undefined) return before;
    const answer = ask(pid);
    known.set(pid, answer);
    return answer;
  };
}

interface Remembered {
  readonly unrelated: UnrelatedMemory;
  readonly nowMs: number;
}

/** The numbers of those that may be meant; null where processes cannot be listed. */
function listMeant(
  selector: Selector,
  view: ProcessView,
  { unrelated, nowMs }: Remembered,
): readonly number[] | null {
  if (selector.pid !== undefined) return [selector.pid];
  const newest = readNewestPid();
  // Without the expensive `stat`: what passes is looked at again, wholly, by the rules of choice.
  const isMeant = (pid: number): boolean =>
    fits(
      selector,
      faceOf(pid, () => readComm(processFolder(pid)), view),
    );
  const before = unrelated.passedBefore(
    newest,
    (pid) => isThere(pid) && isMeant(pid) && !isThread(pid),
    nowMs,
  );
  if (before !== null) return before;
  const pids = listPids();
  if (pids.length === 0) return null;
  return unrelated.prefilter(pids, isMeant, nowMs, newest);
}

function listRows(meant: readonly number[] | null, { pid }: Selector): readonly ProcessRow[] | null {
  if (meant === null) return null;
  if (pid !== undefined) return findProcess(pid)?.rows ?? null;
  return listProcesses(undefined, [SECOND, ...meant])?.rows ?? null;
}
