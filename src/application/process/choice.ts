// Remembers for a moment which process was chosen, and why no other could be: to weigh all candidates and their ancestors again is
// most of what a look costs.
import { isDead, type ProcessRow, processFolder, readRow } from './proc.ts';
import type { ProcessView } from './selector.ts';

/**
 * For so long a choice counts. Within it goes unnoticed what leaves no trace in what is checked: that a process which is not meant turns into
 * one that is (`exec`), which is not asked more often anyway (see `createUnrelatedMemory`), or ends between two that are meant.
 */
const KNOWN_MS = 1000;

/** What a choice was made from. */
interface Ground {
  /** The numbers of the processes that may be meant; null where they cannot be listed. */
  readonly meant: readonly number[] | null;
  /** Any clock that does not jump. */
  readonly nowMs: number;
}

/** What was chosen of what. */
interface Weighed {
  readonly chosen: ProcessRow;
  readonly rows: readonly ProcessRow[];
}

type ReadArguments = ProcessView['arguments'];

export interface ChoiceMemory {
  /** Remembers what was chosen by weighing all that are meant. */
  readonly note: (ground: Ground, weighed: Weighed, read: ReadArguments) => void;
  /**
   * The chosen process as it is now; null when all must be weighed again. It would be chosen again while the same numbers are meant (one
   * that has started since would be among them), and all of them are the processes of then (start time), with the same name and parent:
   * of one whose parent has ended, the kernel changes the parent. The command line of the chosen one must be the same as well.
   */
  readonly recall: (ground: Ground, read: ReadArguments) => ProcessRow | null;
}

interface Choice {
  readonly atMs: number;
  readonly pid: number;
  readonly line: string;
  /** Those that are meant, in their order. */
  readonly rows: readonly ProcessRow[];
}

export function createChoiceMemory(): ChoiceMemory {
  let last: Choice | null = null;
  const lineOf = (words: readonly string[]): string => words.join('\0');
  return {
    note: ({ meant, nowMs }, { chosen, rows }, read) => {
      const known = meant?.map((pid) => rows.find((row) => row.pid === pid)) ?? [];
      const isWhole = known.every((row) => row !== undefined);
      last = isWhole ? { atMs: nowMs, pid: chosen.pid, line: lineOf(read(chosen.pid)), rows: known } : null;
    },
    recall: ({ meant, nowMs }, read) => {
      const isFresh = last !== null && nowMs >= last.atMs && nowMs - last.atMs <= KNOWN_MS;
      const now = isFresh && last !== null ? rowsAsBefore(meant ?? [], last.rows) : null;
      const row = now?.find(({ pid }) => pid === last?.pid);
      if (row !== undefined && !isDead(row) && lineOf(read(row.pid)) === last?.line) return row;
      last = null;
      return null;
    },
  };
}

/** The rows of these numbers; null when they are not those of before. */
function rowsAsBefore(pids: readonly number[], before: readonly ProcessRow[]): readonly ProcessRow[] | null {
  if (pids.length !== before.length) return null;
  const rows: ProcessRow[] = [];
  for (const [i, pid] of pids.entries()) {
    const [row, known] = [readRow(processFolder(pid)), before[i]];
    if (row === null || known?.pid !== pid || !isSame(row, known)) return null;
    rows.push(row);
  }
  return rows;
}

function isSame(one: ProcessRow, other: ProcessRow): boolean {
  const isSameProcess = one.startTicks === other.startTicks && one.ppid === other.ppid;
  return isSameProcess && one.comm === other.comm && isDead(one) === isDead(other);
}
