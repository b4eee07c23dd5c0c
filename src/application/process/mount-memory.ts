// Remembers for a moment that no publication can make a mount of the application stale.
import { basename } from 'node:path';
import type { ProcessId } from '../../ledger/types.ts';
import type { Output } from '../../publish/publisher.ts';
import { canBecomeStale, staleMount } from './mounts.ts';
import { processFolder, readMountInfo } from './proc.ts';

/** Sees stale mounts of one application again and again; see `staleMount`. */
export interface MountMemory {
  /** Looks before a publication, for the question after it. */
  readonly prefetch: (id: ProcessId, nowMs: number) => void;
  /** Why the process cannot see what is published at one of the outputs; null when nothing speaks against it. `nowMs`: as for `prefetch`. */
  readonly stale: (id: ProcessId, nowMs: number) => string | null;
}

/** For so long it counts that a process has no mount that can become stale: mounts come when a container is made, before its processes. */
const KNOWN_MS = 1000;

/**
 * The table of mounts is long, and asking for it takes the kernel longer than all else that is asked about a process. So it is asked
 * while the disk is at work on a publication, and once a second at most, as long as no publication can make a mount in it stale.
 */
export function createMountMemory(outputs: readonly Pick<Output, 'kind' | 'path'>[]): MountMemory {
  // In a directory everything but its content stays as it is.
  const names = outputs.filter(({ kind }) => kind === 'file').map(({ path }) => basename(path));
  let safe: (ProcessId & { readonly atMs: number }) | null = null;
  const isSafe = ({ pid, startTicks }: ProcessId, nowMs: number): boolean => {
    const isFresh = safe !== null && nowMs >= safe.atMs && nowMs - safe.atMs <= KNOWN_MS;
    return isFresh && safe?.pid === pid && safe.startTicks === startTicks;
  };
  return {
    prefetch: (id, nowMs) => {
      if (isSafe(id, nowMs)) return;
      const text = readMountInfo(processFolder(id.pid));
      safe = text !== null && !canBecomeStale(text, names) ? { ...id, atMs: nowMs } : null;
    },
    stale: (id, nowMs) => {
      if (isSafe(id, nowMs)) return null;
      return outputs.map(({ path }) => staleMount(id.pid, path)).find((reason) => reason !== null) ?? null;
    },
  };
}
