// Small facts in words, the same on the page and in `status`.
import type { SeenApplication, SeenProcess } from '../application/in-sight.ts';

/** `nginx (pid 7, user 1000)`. */
export function shownApplication(application: SeenApplication | null): string {
  if (application === null) return 'not found, or none is configured';
  const { pid, program, user } = application;
  return `${program} (pid ${pid}${user === null ? '' : `, user ${user}`})`;
}

/** `12.3 MiB`; the empty text where it cannot be seen. */
export function shownMemory({ memoryBytes }: SeenProcess): string {
  return memoryBytes === null ? '' : `${(memoryBytes / 2 ** 20).toFixed(1)} MiB`;
}
