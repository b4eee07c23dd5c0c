// How old a trial is, and which processes existed before it: on the boot clock, which cannot be set, wherever there is one.

import type { Trial } from '../../ledger/ledger.ts';
import type { ProcessId } from '../../ledger/types.ts';
import { bootId } from '../process/boot-clock.ts';

const TICK_MS = 10;

type Began = Pick<Trial, 'at' | 'moment' | 'notBefore' | 'toldFrom'>;

/** Milliseconds since the trial began: by the boot clock (to 10 ms), or by Unix time where there is none. Never negative. */
export function ageMs(
  { at, moment }: Began,
  now: { readonly nowMs: number; readonly ticks: number | null },
): number {
  const isDated = moment.ticks !== null && now.ticks !== null && !isOfAnotherBoot(moment);
  const age = isDated ? ((now.ticks ?? 0) - (moment.ticks ?? 0)) * TICK_MS : now.nowMs - at;
  return Math.max(0, age);
}

/** The machine was restarted since: no process of then lives, whatever its number and start time look like. */
export function isOfAnotherBoot({ bootId: then }: Trial['moment']): boolean {
  const now = bootId();
  return then !== null && now !== null && then !== now;
}

/**
 * Milliseconds from the beginning of the notification to the start of the process, negative for one that was there before;
 * null where the two cannot be compared. The notification began before the trial did, with a slow hook long before. A tie
 * is 0.
 */
export function startedAfterTellingMs(id: ProcessId, began: Began): number | null {
  const { at, moment, notBefore, toldFrom } = began;
  if (moment.ticks === null || isOfAnotherBoot(moment)) return null;
  // Workers are there within milliseconds: a pause of ours between two clocks must not make them older.
  if (typeof toldFrom === 'number') return (id.startTicks - toldFrom) * TICK_MS;
  const tellingMs = Math.max(0, at - notBefore);
  return (id.startTicks - moment.ticks + Math.ceil(tellingMs / TICK_MS)) * TICK_MS;
}

/** Milliseconds from the beginning of the trial to the start of the process; null where they cannot be compared. */
export function startedAfterTrialMs(id: ProcessId, { moment }: Began): number | null {
  if (moment.ticks === null || isOfAnotherBoot(moment)) return null;
  return (id.startTicks - moment.ticks) * TICK_MS;
}
