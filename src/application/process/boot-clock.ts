// Time since the machine started: the clock in which the kernel notes when a process began.

import type { BootStamp, ProcessId } from '../../ledger/types.ts';
import { readKept, readProc, readRow } from './proc.ts';

/** Now. For a publication it is taken after the rename: what starts later has read the new file. */
export function bootStamp(): BootStamp {
  return { bootId: bootId(), ticks: bootTicks() };
}

/**
 * When a file was changed that says so itself, put later by a second since the two clocks are not one.
 * @param unixMs null: nothing says when.
 */
export function stampOf(unixMs: number | null): BootStamp {
  const { bootId, ticks } = bootStamp();
  if (unixMs === null || ticks === null) return { bootId: null, ticks: null };
  return { bootId, ticks: ticks - Math.floor((Date.now() - unixMs) / 10) + 100 };
}

let knownBootId: string | null | undefined;
let knownOwnStart: number | null | undefined;

/** The running boot's id, or null where the kernel does not show it. */
export function bootId(): string | null {
  knownBootId ??= readProc('/proc/sys/kernel/random/boot_id')?.trim() || null;
  return knownBootId;
}

/** 1/100 s since boot, or null when `/proc/uptime` is missing or does not speak of the clock processes are dated in. */
export function bootTicks(): number | null {
  // Taken first: a pause between the two then looks like time we slept, not like a clock that runs behind.
  const aliveSeconds = process.uptime();
  const uptime = /^(\d+)\.(\d\d)/.exec(readKept('/proc/uptime') ?? '');
  knownOwnStart ??= readRow('/proc/self')?.startTicks ?? null;
  if (uptime === null || knownOwnStart === null) return null;
  const ticks = Number(uptime[1]) * 100 + Number(uptime[2]);
  return isSameClock(ticks, knownOwnStart, aliveSeconds) ? ticks : null;
}

/** Both readings are cut to 1/100 s, and the program's own count starts a little after the kernel's. */
const ROUNDING_TICKS = 5;
/** Time suspended is not in the program's own count; beyond this the difference says nothing any more. */
const FAR_TICKS = 360_000;

/**
 * Whether "now" fits what is known of ourselves: started at `ownStartTicks`, alive for `aliveSeconds`. Some container
 * systems (lxcfs) show an uptime of the container while start times stay those of the machine.
 */
export function isSameClock(nowTicks: number, ownStartTicks: number, aliveSeconds: number): boolean {
  const difference = nowTicks - (ownStartTicks + aliveSeconds * 100);
  return ownStartTicks > 0 && difference >= -ROUNDING_TICKS && difference <= FAR_TICKS;
}

/**
 * Whether the process certainly started after the publication. A tie counts as before, and so does every case in
 * which the two cannot be compared: a signal too many is harmless, one too few is a lost reload.
 */
export function startedAfter(process: ProcessId, publication: BootStamp, now: BootStamp): boolean {
  if (publication.bootId === null || now.bootId === null) return false;
  if (publication.bootId !== now.bootId) return true;
  if (publication.ticks === null || now.ticks === null) return false;
  return process.startTicks > publication.ticks;
}
