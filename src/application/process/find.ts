// Finds the one process that the settings name, wherever the processes are listed from.
import { readPidFile } from './pid-file.ts';
import { describeProcess, type ProcessRow } from './proc.ts';
import { select } from './select.ts';
import type { ProcessView, Selector } from './selector.ts';

/** Whom the settings name; what is given must all match. */
export interface Wanted extends Omit<Selector, 'pid'> {
  /** Path of the file the application writes its number to; read at every look. */
  readonly pidFile?: string;
}

/** The processes at one moment. */
export interface ProcessWorld {
  readonly view: ProcessView;
  /** Asked first. The one that was chosen a moment ago, while it would be again; null: all must be weighed. */
  readonly chosenBefore: (selector: Selector) => ProcessRow | null;
  /** Those that may be meant, with all their ancestors; null where processes cannot be listed. */
  readonly rows: (selector: Selector) => readonly ProcessRow[] | null;
  /** Remembers which was chosen of all. */
  readonly noteChosen: (chosen: ProcessRow, rows: readonly ProcessRow[]) => void;
  /** Remembers those that only stand above the application. */
  readonly noteWrappers: (rows: readonly ProcessRow[]) => void;
  /** When it started, in Unix milliseconds; null where that is not known. */
  readonly startedAtMs: (row: ProcessRow) => number | null;
  /** Adds what is known of this world to the reason why no process was found. */
  readonly explain: (reason: string, selector: Selector) => string;
}

/** `reason` is a clause, for `Cannot …: <reason>`. */
export type Found =
  | { readonly kind: 'one'; readonly process: ProcessRow }
  | { readonly kind: 'none'; readonly reason: string }
  | { readonly kind: 'ambiguous'; readonly pids: readonly number[]; readonly reason: string };

/** The topmost oldest process that is meant. Never throws. */
export function find({ pidFile, ...selector }: Wanted, world: ProcessWorld): Found {
  if (pidFile === undefined) return findBy(selector, world);
  const number = readPidFile(pidFile);
  if (number.kind === 'none') return number;
  const found = findBy({ ...selector, pid: number.pid }, world);
  if (found.kind === 'none') {
    return { kind: 'none', reason: `the PID file "${pidFile}" holds ${number.pid}, but ${found.reason}` };
  }
  if (found.kind === 'ambiguous' || !isReused(found.process, number.writtenAtMs, world)) return found;
  const reason = `the PID file "${pidFile}" is older than process ${describeProcess(found.process)}: its number was reused`;
  return { kind: 'none', reason };
}

function findBy(selector: Selector, world: ProcessWorld): Found {
  const before = world.chosenBefore(selector);
  if (before !== null) return { kind: 'one', process: before };
  const rows = world.rows(selector);
  if (rows === null) return { kind: 'none', reason: 'the processes of this system cannot be listed' };
  const selection = select(rows, selector, world.view);
  world.noteWrappers(selection.wrappers);
  if (selection.kind === 'none') return { kind: 'none', reason: world.explain(selection.reason, selector) };
  if (selection.kind === 'one') {
    world.noteChosen(selection.process, rows);
    return { kind: 'one', process: selection.process };
  }
  const pids = selection.processes.map(({ pid }) => pid);
  return { kind: 'ambiguous', pids, reason: selection.reason };
}

/** The file's time and that of processes are of different clocks, and small steps of the wall clock are usual. */
const CLOCK_TOLERANCE_MS = 2000;

/** Whether the process started after its number was written down: then the number was meant for another one. */
function isReused(row: ProcessRow, writtenAtMs: number, world: ProcessWorld): boolean {
  const startedAtMs = world.startedAtMs(row);
  return startedAtMs !== null && startedAtMs > writtenAtMs + CLOCK_TOLERANCE_MS;
}
