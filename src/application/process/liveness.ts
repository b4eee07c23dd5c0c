// Whether a process still lives, and which children it has: what "it lived through the reload" is said from.
import type { ProcessId } from '../../ledger/types.ts';
import { errnoOf } from '../../lib/errors.ts';
import { isDead, listProcesses, processFolder, readRow } from './proc.ts';

/**
 * The living children of this very process; none when it is gone. Children of another user are not in sight where
 * `/proc` is mounted with `hidepid`, and none are where there is no `/proc`.
 */
export function childrenOf(id: ProcessId): readonly ProcessId[] {
  if (!isLiving(id)) return [];
  // The whole table: what the kernel keeps as a list of children may leave out one while another ends.
  return (listProcesses()?.rows ?? [])
    .filter((row) => row.ppid === id.pid && !isDead(row))
    .map(({ pid, startTicks }) => ({ pid, startTicks }));
}

/**
 * True while this very process lives; a zombie, or another one with its number, is not it. Where there is no `/proc`
 * only the number can be asked for.
 */
export function isLiving({ pid, startTicks }: ProcessId): boolean {
  const row = readRow(processFolder(pid));
  if (row !== null) return row.startTicks === startTicks && !isDead(row);
  return readRow('/proc/self') === null && hasNumber(pid);
}

/** Whether it does nothing at this moment because it was stopped: by a signal (`T`), or by a debugger (`t`). */
export function isHalted({ pid, startTicks }: ProcessId): boolean {
  const row = readRow(processFolder(pid));
  return row !== null && row.startTicks === startTicks && (row.state === 'T' || row.state === 't');
}

function hasNumber(pid: number): boolean {
  // 0 and less would be whole groups of processes.
  if (!Number.isSafeInteger(pid) || pid < 1) return false;
  try {
    return process.kill(pid, 0);
  } catch (thrown) {
    return errnoOf(thrown) === 'EPERM';
  }
}
