// The processes as `/proc` shows them at one moment: each is asked for each thing at most once.
import type { BootStamp } from '../../ledger/types.ts';
import { containerNameIn } from './container.ts';
import type { Wanted, World } from './find.ts';
import { explainNobody } from './nobody.ts';
import { createOwnCommandTest } from './ours.ts';
import {
  findProcess,
  listPids,
  listProcesses,
  type ProcessRow,
  processFolder,
  readArguments,
  readComm,
  readMountInfo,
  readRootMount,
  readRow,
} from './proc.ts';
import { receives, type Sending } from './receives.ts';
import { createSearches, type Search } from './search.ts';
import { fits, type ProcessView, type Selector } from './selector.ts';
import { createWrapperMemory } from './wrappers.ts';

/** Looks at the processes, again and again. */
export interface Scanner {
  /** `strangers`: numbers that are not asked at all. */
  readonly scan: (seenAt: Pick<BootStamp, 'ticks'>, strangers: ReadonlySet<number>) => World;
  /** The numbers of those who are certainly not meant. */
  readonly strangers: () => ReadonlySet<number>;
}

export function createScanner({ pidFile: _, ...wanted }: Wanted, sending: Sending): Scanner {
  const isOurs = createOwnCommandTest();
  const wrappers = createWrapperMemory();
  const searches = wanted.pattern === undefined ? null : createSearches(wanted.pattern);
  const createScene = (ticks: number | null = null): Scene => {
    const search = searches?.() ?? NO_SEARCH;
    const view = createView();
    const asked = {
      receives: (row: ProcessRow) => receives(row, sending, ticks),
      wasWrapper: (row: ProcessRow) => wrappers.has(row, view.arguments(row.pid)),
    };
    return { search, view: { ...view, ...asked, search: search.test, isOurs } };
  };
  const scan: Scanner['scan'] = ({ ticks }, strangers) => {
    const scene = createScene(ticks);
    return {
      view: scene.view,
      rows: (selector) => listRows(selector, scene, strangers),
      noteWrappers: (rows) => {
        for (const row of rows) wrappers.add(row, scene.view.arguments(row.pid));
      },
      startedAtMs: ({ startTicks }) => (ticks === null ? null : Date.now() - (ticks - startTicks) * 10),
      explain: (reason, selector) =>
        explainNobody(reason, selector, { view: scene.view, countSlow: scene.search.countSlow }),
    };
  };
  const strangers = (): ReadonlySet<number> => {
    const pids = listPids();
    const meant = new Set(sieve(pids, wanted, createScene()));
    return new Set(pids.filter((pid) => !meant.has(pid)));
  };
  return { scan, strangers };
}

interface Scene {
  readonly view: ProcessView;
  readonly search: Search;
}

const NO_SEARCH: Search = { test: () => false, prepare: () => {}, countSlow: () => 0 };

function createView(): Omit<ProcessView, 'search' | 'isOurs' | 'receives' | 'wasWrapper'> {
  const container = once((pid: number) => readRootMount(processFolder(pid)));
  const names = new Map<string, string | null>();
  return {
    self: process.pid,
    arguments: once(createArgumentReader()),
    container,
    isAboveUs: isAboveUs(),
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
const LINES_BYTES = 16 * 1024 * 1024;
const SHORT_LINE_BYTES = 4096;

function createArgumentReader(): (pid: number) => readonly string[] {
  let leftBytes = LINES_BYTES;
  return (pid) => {
    const words = readArguments(processFolder(pid), leftBytes > 0 ? undefined : SHORT_LINE_BYTES);
    leftBytes -= words.reduce((sum, word) => sum + word.length, 0);
    return words;
  };
}

/** By a look of its own, and only when one is asked for: there is nearly never a candidate among them. */
function isAboveUs(): ProcessView['isAboveUs'] {
  let above: ReadonlySet<number> | null = null;
  return ({ pid }) => {
    above ??= numbersAbove(process.pid);
    return above.has(pid);
  };
}

/** Parents up to the first that is out of sight. The rows are not read in one moment: a reused number could close a circle. */
function numbersAbove(pid: number): ReadonlySet<number> {
  const above = new Set<number>();
  let parent = readRow(processFolder(pid))?.ppid ?? 0;
  while (parent > 0 && !above.has(parent)) {
    above.add(parent);
    parent = readRow(processFolder(parent))?.ppid ?? 0;
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

function listRows(
  selector: Selector,
  scene: Scene,
  strangers: ReadonlySet<number>,
): readonly ProcessRow[] | null {
  if (selector.pid !== undefined) return findProcess(selector.pid)?.rows ?? null;
  const pids = listPids();
  const known = pids.filter((pid) => !strangers.has(pid));
  const meant = new Set(sieve(known, selector, scene));
  return listProcesses((pid) => meant.has(pid), pids)?.rows ?? null;
}

/** A first sieve, without the dear `stat`: what passes is looked at again, wholly, by the rules of choice. */
function sieve(
  pids: readonly number[],
  { pattern, ...selector }: Selector,
  { view, search }: Scene,
): readonly number[] {
  const passed = pids.filter((pid) =>
    fits(selector, { ...view, pid, comm: () => readComm(processFolder(pid)) }),
  );
  if (pattern === undefined) return passed;
  const lines = passed.map((pid) => view.arguments(pid).join(' '));
  search.prepare(lines);
  return passed.filter((_, index) => search.test(lines[index] ?? ''));
}
