// How busy a process is: what is still starting computes, or would if the machine had time for it.
import { listThreads, readProc } from './proc.ts';

/** More threads than a program has while it starts. */
const MAX_THREADS = 256;

/**
 * Milliseconds since its start in which its threads ran, or waited for a processor; null where the kernel does not count
 * that. Threads that have ended are not in it, so it can shrink.
 */
export function readCpuTimeMs(folder: string): number | null {
  let nanoseconds = 0;
  let isKnown = false;
  for (const thread of listThreads(folder).slice(0, MAX_THREADS)) {
    const counts = /^(\d+) (\d+)/.exec(readProc(`${folder}/task/${thread}/schedstat`) ?? '');
    if (counts === null) continue;
    isKnown = true;
    nanoseconds += Number(counts[1]) + Number(counts[2]);
  }
  return isKnown ? nanoseconds / 1e6 : null;
}
