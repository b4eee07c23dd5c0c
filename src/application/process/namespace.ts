// Whether the process namespace is shared with the application, as far as the visible processes show.

import {
  describeProcess,
  isDead,
  listPids,
  listProcesses,
  type ProcessRow,
  processFolder,
  readRootMount,
  readRow,
} from './proc.ts';

/** Only we are there, with who started us and whom we started: so it looks from within, in a process namespace of our own. */
export function isWithoutOthers(self: number): boolean {
  const above = new Set(chainOf(self));
  return listPids().every((pid) => above.has(pid) || chainOf(pid).includes(self));
}

/** The process and all its ancestors. */
function chainOf(pid: number): readonly number[] {
  const chain: number[] = [];
  // The table is not read in one moment, so a reused number could close a circle.
  for (let at = pid; at > 0 && !chain.includes(at); at = readRow(processFolder(at))?.ppid ?? 0)
    chain.push(at);
  return chain;
}

/** What a command that is run beside the sidecar sees. */
export interface InSight {
  /** Only our own container, on what is not a machine of its own: its process namespace is not shared. */
  readonly isOwnContainerOnly: boolean;
  /** Some that could have been meant. */
  readonly names: readonly string[];
}

const MOST_NAMED = 12;

export function inSight(): InSight {
  const rows = (listProcesses()?.rows ?? []).filter((row) => !isDead(row));
  const own = readRootMount('/proc/self');
  const isMachine = rows.some(({ pid, comm }) => pid === 2 && comm === 'kthreadd');
  const isOwn = ({ pid }: ProcessRow): boolean => readRootMount(processFolder(pid)) === own;
  const others = rows.filter((row) => row.pid !== process.pid && row.ppid !== 2 && row.pid !== 2);
  const elsewhere = others.filter((row) => !isOwn(row));
  const listed = (elsewhere.length > 0 && !isMachine ? elsewhere : others).map(describeProcess);
  const more = listed.length > MOST_NAMED ? [`${listed.length - MOST_NAMED} more`] : [];
  return {
    isOwnContainerOnly: !isMachine && rows.every(isOwn),
    names: [...listed.slice(-MOST_NAMED), ...more],
  };
}
