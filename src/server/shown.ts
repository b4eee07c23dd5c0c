// Small facts in words, the same on the page and in `status`.
import type { SeenApplication, VisibleProcess } from '../application/visible-processes.ts';
import { toTheSecond } from '../lib/age.ts';
import type { PinStatus } from './status-shape.ts';

/** `nginx (pid 7, user 1000)`. */
export function shownApplication(application: SeenApplication | null): string {
  if (application === null) return 'not found, or none is configured';
  const { pid, program, user } = application;
  return `${program} (pid ${pid}${user === null ? '' : `, user ${user}`})`;
}

/** `to generation 12 by alice (control socket), 2026-01-31T12:00:00Z: too many 502s`. */
export function shownPin({ generation, by, at, reason }: PinStatus): string {
  const who = by === null ? '' : ` by ${by}`;
  const when = at === null ? '' : `, ${toTheSecond(at)}`;
  return `to generation ${generation}${who}${when}${reason === null ? '' : `: ${reason}`}`;
}

/** `12.3 MiB`; the empty text where it cannot be seen. */
export function shownMemory({ memoryBytes }: VisibleProcess): string {
  return memoryBytes === null ? '' : `${(memoryBytes / 2 ** 20).toFixed(1)} MiB`;
}
