// What a container needs of the machine's memory.
import { readdirSync, readFileSync } from 'node:fs';
import type { Pod } from './pod.ts';

export interface Memory {
  /** Of all its processes, in MiB; what they share counts once for each. */
  readonly resident: number;
  /** What of that lies in no file. */
  readonly anonymous: number;
}

/** Adds up the processes of a container. */
export async function memoryOf(pod: Pod, container: string): Promise<Memory> {
  const first = await pod.pid(container);
  const cgroup = (pid: number | string): string => readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  const own = cgroup(first);
  const pids = readdirSync('/proc').filter((entry) => {
    try {
      return /^\d+$/.test(entry) && cgroup(entry) === own;
    } catch {
      return false;
    }
  });
  const sum = (field: string): number => {
    const kilobytes = pids.map((pid) => {
      const found = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(
        readFileSync(`/proc/${pid}/status`, 'utf8'),
      );
      return Number(found?.[1] ?? 0);
    });
    return Math.round((kilobytes.reduce((all, one) => all + one, 0) / 1024) * 10) / 10;
  };
  return { resident: sum('VmRSS'), anonymous: sum('RssAnon') };
}
