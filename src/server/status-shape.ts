// The status as plain data: what /status, the page and the commands get. Field names are a promise to those who read it.

import type { SeenApplication, VisibleProcess } from '../application/visible-processes.ts';
import type { Block } from '../ledger/ledger.ts';
import type { Report } from '../reconcile/journal.ts';
import type { PresetStatus } from '../settings/presets/describe.ts';

export interface SourceStatus {
  readonly url: string;
  readonly up: boolean;
  /** ISO 8601, like every time here; null: never. */
  readonly lastContactAt: string | null;
  readonly lastChangeAt: string | null;
  /** What the source says of the version that was read last: author, time and subject of a commit. Only where it says anything. */
  readonly note?: string;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** A version as every client may see it. */
export interface ShownVersion {
  readonly revision: string;
  readonly digest: string;
  /** null: it was not rendered, or could not be. */
  readonly rendering: string | null;
  readonly at: string;
}

/** What is known of a target, and what every client that reaches LISTEN may know: these fields and no others. */
export interface PublicTargetStatus {
  /** Absolute paths of the outputs, separated by blanks. */
  readonly output: string;
  /** The process that is configured, as it is now; null: none is configured, or it is not there. */
  readonly application: SeenApplication | null;
  /** How the application is notified, without secrets; null: publish only. */
  readonly hook: string | null;
  readonly outcome: string | null;
  readonly code: string | null;
  readonly message: string;
  readonly desired: ShownVersion | null;
  readonly attempted: ShownVersion | null;
  /** What the application is known to run, with the kinds of evidence separated by blanks; null without any. */
  readonly running: (ShownVersion & { readonly evidence: string }) | null;
  readonly lastKnownGood: ShownVersion | null;
  readonly reloadOwed: boolean;
  readonly pinned: boolean;
  readonly nextAttemptAt: string | null;
  readonly sources: readonly SourceStatus[];
  /** The known application it is set up for; null without PRESET. */
  readonly preset: PresetStatus | null;
  /** `output`, what was printed, is absent where not everything is shown. */
  readonly history: readonly (Omit<Report, 'at' | 'attempted' | 'stage' | 'output'> & {
    readonly at: string;
    readonly output?: string | null;
  })[];
}

/** Everything: for the commands, over the control socket or with the token. */
export interface TargetStatus extends PublicTargetStatus {
  /** What is on the volume is on trial: nothing newer is published until the verdict. */
  readonly trial: TrialStatus | null;
  /** Whether something is being done that ends in an outcome by itself. */
  readonly underWay: boolean;
  /** The templates, which are followed like a source; null without TEMPLATE. */
  readonly template: SourceStatus | null;
  /** The confirmed generations that are kept, the last known good first. */
  readonly generations: readonly GenerationStatus[];
  /** Which generation was chosen by hand, when, by whom and why; null while the source is followed. Absent where not everything is shown. */
  readonly pin?: PinStatus | null;
  /** The processes in sight. Absent where it was not asked for. */
  readonly processes?: readonly VisibleProcess[];
  /** What the source has and the volume does not show, as a unified diff; null: nothing, or it could not be rendered. */
  readonly difference?: string | null;
  /** What is known not to work under the settings as they are, newest first. */
  readonly blocked: readonly (Omit<Block, 'at' | 'under'> & { readonly at: string })[];
}

export interface TrialStatus {
  readonly since: string;
  /** When it ends at the latest (`CONFIRM_TIMEOUT`). */
  readonly until: string;
  /** The settings that ask for what has to be seen. */
  readonly waitsFor: readonly string[];
}

/** Time and words are null where an older version wrote the pin, and the reason where none was given. */
export interface PinStatus {
  readonly generation: number;
  readonly at: string | null;
  readonly by: string | null;
  readonly reason: string | null;
}

export interface GenerationStatus {
  readonly generation: number;
  readonly revision: string;
  readonly rendering: string;
  readonly confirmedAt: string;
  readonly onVolume: boolean;
  readonly pinned: boolean;
  readonly lastKnownGood: boolean;
}

interface StatusOf<Target> {
  readonly version: string;
  readonly instance: string;
  readonly ready: boolean;
  readonly fresh: boolean;
  readonly targets: Readonly<Record<string, Target>>;
}

export type Status = StatusOf<TargetStatus>;
export type PublicStatus = StatusOf<PublicTargetStatus>;
/** What a command got: everything, or, where it could ask at LISTEN only, the public part. */
export type SeenTarget = PublicTargetStatus & Partial<TargetStatus>;
export type SeenStatus = StatusOf<SeenTarget>;
