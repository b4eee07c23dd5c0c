// The words of the confirm step: what is seen at one look, and what it can come to.

import type { Evidence, Trial, Version } from '../../ledger/ledger.ts';
import type { ProcessId } from '../../ledger/types.ts';
import type { ConfirmSettings } from './settings.ts';

/** A check that has not passed: its stable code, half a sentence, and what the other side said, cut to size. */
export interface FailedCheck {
  readonly code: string;
  readonly reason: string;
  readonly output?: string;
}

/** What is seen at one look. */
export interface Sightings {
  /** Unix milliseconds. */
  readonly nowMs: number;
  /** 1/100 s since boot, or null where that is not known: the trial's age is then taken from `nowMs`. */
  readonly ticks: number | null;
  /** The process that the look-up finds now, or null. Read only when the verdict depends on it: a look-up is expensive. */
  readonly current: ProcessId | null;
}

/** `message` is a whole sentence without secrets; `output` is what the other side said, cut to size. */
export type ConfirmResult =
  /** Look again then, in milliseconds. */
  | { readonly kind: 'pending'; readonly inMs: number }
  | { readonly kind: 'confirmed'; readonly evidence: readonly Evidence[] }
  /** `replaced`: a later process has its place already. */
  | { readonly kind: 'died'; readonly code: string; readonly message: string; readonly replaced: boolean }
  /** `CONFIRM_TIMEOUT` has passed. */
  | {
      readonly kind: 'unconfirmed';
      readonly code: string;
      readonly message: string;
      readonly output?: string;
    }
  /** Another process, which started after the notification, is to be tried: the restart that was asked for took place. */
  | { readonly kind: 'restarted'; readonly process: ProcessId }
  /** After a restart of the sidecar: the notified process is gone, and no process can have read the volume since. */
  | { readonly kind: 'absent' };

/** What one look is about. */
export interface View {
  readonly trial: Trial;
  readonly version: Version;
  readonly settings: ConfirmSettings;
  readonly sightings: Sightings;
  /** Since the trial began. */
  readonly ageMs: number;
  /** How much of `CONFIRM_TIMEOUT` is used up: time in which the sidecar did not look does not count. */
  readonly waitedMs: number;
  /** The first look after a restart of the sidecar. */
  readonly isReturn: boolean;
}

/** While a trial is young things happen fast; from the fifth of these on it is looked at less often. */
const YOUNG_MS = 100;
const OLD_MS = 500;

/** When a trial of this age is to be looked at again. */
export function intervalMs({ ageMs: age }: Pick<View, 'ageMs'>): number {
  return Math.min(Math.max(age / 4, YOUNG_MS), OLD_MS);
}

/** What computing with fractions of a tick leaves over. */
const NOISE_MS = 1e-3;

export function pending(inMs: number): ConfirmResult {
  return { kind: 'pending', inMs: Math.max(1, Math.ceil(inMs - NOISE_MS)) };
}
