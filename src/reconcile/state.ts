// Everything known about one target, as one immutable value, and everything that can happen to it. See `reduce.ts`.

import type { ObservedProcess } from '../application/process/observe-process.ts';
import type { NotifyTries, Setback } from '../application/reload/setback.ts';
import type { Obstacle } from '../application/types.ts';
import {
  type BadVerdict,
  EMPTY_LEDGER,
  type KeptGeneration,
  type Ledger,
  type Published,
  type Running,
  type Trial,
} from '../ledger/ledger.ts';
import type { LedgerRead } from '../ledger/ledger-file.ts';
import type { BootStamp } from '../ledger/types.ts';
import type { SidecarError } from '../lib/errors.ts';
import type { Changes } from '../lib/schedule.ts';
import type { Volume } from '../publish/publisher.ts';
import type { StagedPart } from '../publish/types.ts';
import type { Input } from '../render/input.ts';
import type { Release } from '../render/release.ts';
import {
  type AttemptedVersion,
  EMPTY_JOURNAL,
  type Journal,
  type Outcome,
  type Report,
  type TimedStage,
} from './journal.ts';
import type { Policy } from './policy.ts';

export interface State {
  /** What the settings say. It never changes. */
  readonly policy: Policy;
  /** What survives a restart. */
  readonly ledger: Ledger;
  /** What a restart forgets. */
  readonly session: Session;
}

/** Failed tries in a row, when the next is due on the loop's clock (0: at once), and why the last one failed. */
export interface Tries {
  readonly failures: number;
  readonly dueAt: number;
  readonly error: SidecarError | null;
}

/** What the volume shows, and since when: a process that started later has read it. */
export interface SeenVolume extends Volume {
  readonly moment: BootStamp;
}

/** What the newest input was rendered to. */
export interface Candidate {
  readonly input: Input;
  /** `rendering` is null when it was rejected. */
  readonly version: AttemptedVersion;
  readonly generation: Release | null;
  /** Why it was rejected, or refused by VALIDATE_COMMAND. */
  readonly error: SidecarError | null;
}

/** An outcome, what it is said of, and why. */
export interface Standing {
  readonly outcome: Outcome;
  readonly about: AttemptedVersion | null;
  readonly error: SidecarError | null;
}

/** Why the application has not been notified yet. */
interface Reason extends Standing {
  readonly error: SidecarError;
  /** Nothing was sent: something is in the way. */
  readonly isObstacle: boolean;
}

/** Nothing to do in this matter before `until` (milliseconds of the loop's clock), unless an event arrives. */
export interface Wait {
  readonly until: number;
  /** It ends in an outcome by itself. */
  readonly settles?: boolean;
  /** Something that failed is tried again then. */
  readonly retries?: boolean;
  readonly obstacle?: Obstacle;
  /** Nothing else may be done meanwhile. */
  readonly holdsUp?: boolean;
}

export interface Session {
  /** The lock is ours. */
  readonly isOpen: boolean;
  /** The ledger was read: the one in memory is newer than any on disk. */
  readonly isKnown: boolean;
  /** The source and the templates have answered or failed. */
  readonly isAsked: boolean;
  readonly input: Input | null;
  /** Since when `input` waits to be rendered. */
  readonly changes: Changes;
  readonly candidate: Candidate | null;
  readonly isValidating: boolean;
  /** The last answer of VALIDATE_COMMAND; without an error this rendering has passed. */
  readonly checked: (Tries & { readonly rendering: string }) | null;
  /** When it was looked at, and when that is due again; null: it must be looked at. */
  readonly volume: (SeenVolume & { readonly seenAt: number; readonly dueAt: number }) | null;
  /** The bytes of what is published, while they are known. */
  readonly held: Release | null;
  /** What is on the volume was put there by this run. */
  readonly isOurs: boolean;
  /** When the last publication of this run began; null before the volume first showed what is wanted. */
  readonly publishedAt: number | null;
  /** How what is wanted came to be what the volume shows and works. */
  readonly arrival: 'applied' | 'unchanged' | 'picked-up' | 'rolled-back' | null;
  /** The named process as it was seen last. */
  readonly process: (ObservedProcess & { readonly seenAt: number }) | null;
  readonly obstacle: (Obstacle & { readonly since: number; readonly isOverdue: boolean }) | null;
  readonly reason: Reason | null;
  readonly opening: Tries;
  readonly publishing: Tries;
  /** Of what is published. */
  readonly notifying: NotifyTries;
  /** How often in a row the last known good did not work. */
  readonly relapses: number;
  readonly saveError: SidecarError | null;
  readonly keepError: SidecarError | null;
  /** A step threw what no step should. */
  readonly loopError: SidecarError | null;
  /** When the trial is looked at next (0: at once); null until this run has started a trial or looked at one. */
  readonly probeAt: number | null;
  readonly suspectUntil: number;
  /** What was printed when something did not work. */
  readonly printed: { readonly rendering: string; readonly output: string | undefined } | null;
  /** Counts attempts that ended; each is recorded, also when it ended like the one before. */
  readonly attempts: number;
  /** What the loop waits for; null while it is at work. */
  readonly waits: readonly Wait[] | null;
  readonly journal: Journal;
}

/** A moment on both clocks: one that does not jump, and Unix milliseconds. */
export interface Time {
  readonly ms: number;
  readonly unixMs: number;
  /** In [0, 1), drawn for this moment: it spreads what is done again later. */
  readonly chance: number;
}

/** What was found in the state directory: the ledger, and the copies of generations where there is none. */
export interface Opened extends Pick<LedgerRead, 'ledger' | 'from'> {
  readonly copies: readonly KeptGeneration[];
  readonly volume: SeenVolume;
}
interface Failed {
  readonly error: SidecarError;
}
/** A copy of what is known to work, or why there is none. */
export interface Copied {
  readonly kept: KeptGeneration | null;
  readonly keepError: SidecarError | null;
}
/** The result of a trial. It counts only for the trial it is about. */
interface OfTrial {
  readonly trial: Trial | null;
}

/** Everything that can happen, from the steps or from outside, with what is known of it. */
interface Happenings {
  source: { input: Input | null; isAsked: boolean };
  /** By hand; `unblocks`: what is blocked is tried again, too. */
  'retry-asked': { unblocks: boolean };
  pinned: { pinned: Ledger['pinned'] };
  ended: { handsOver: boolean };
  /** The state directory is ours. */
  opened: Opened & { held: Release | null };
  'open-failed': Failed;
  /** It is ours no more. */
  closed: unknown;
  observed: { volume: SeenVolume };
  'process-seen': ObservedProcess;
  rendered: { candidate: Candidate };
  /** VALIDATE_COMMAND was started, or has ended, also without an answer. */
  validating: { isAtWork: boolean };
  validated: { rendering: string; error: SidecarError | null };
  /** The next thing is the rename. */
  intended: { version: Published; isUrgent: boolean; staged: readonly StagedPart[] };
  published: { generation: Release; startedAt: number; volume: SeenVolume };
  /** `left`: what the volume shows where a rename was tried. */
  'publish-failed': Failed & { left?: SeenVolume };
  /** The volume shows it already, and the ledger did not know. */
  adopted: { version: Published };
  /** The copy of a generation cannot be used. */
  'copy-lost': { rendering: string };
  notified: { result: string; next: Trial };
  'notify-failed': Failed & Setback;
  'trial-started': OfTrial & { next: Trial };
  /** There is no verdict yet. */
  probed: OfTrial & { inMs: number };
  /** The process is gone, and none that could have read what is on trial is there. */
  'trial-lost': OfTrial;
  /** Nothing answers at CONFIRM_URL, and nothing ever did. */
  unanswered: OfTrial & Failed;
  confirmed: OfTrial & Copied & { evidence: Running['evidence'] };
  /** `isReplaced`: it is known already that the application did not just end. `result`: it was the notification that failed. */
  'trial-failed': OfTrial & Failed & { outcome: BadVerdict; isReplaced: boolean; result?: string };
  'suspicion-confirmed': unknown;
  kept: Copied;
  /** A step threw what no step should. */
  failed: Failed;
  /** There is nothing to do. */
  rested: { waits: readonly Wait[] };
  saved: { error: SidecarError | null };
  reported: { report: Omit<Report, 'count'> };
  measured: { stage: TimedStage; tookMs: number };
}

export type Event = {
  [Kind in keyof Happenings]: Readonly<{ kind: Kind } & Happenings[Kind]>;
}[keyof Happenings];

/** No try has failed. */
export const NEVER: Tries = { failures: 0, dueAt: 0, error: null };
/** No notification has failed. */
export const NOT_TRIED: NotifyTries = {
  failures: 0,
  dueAt: 0,
  lastResult: null,
  refusals: 0,
  refusedSince: null,
};

/** A target at its start: nothing is known. */
export function startOf(policy: Policy): State {
  const session: Session = {
    ...{ isOpen: false, isKnown: false, isAsked: false, isValidating: false, isOurs: false },
    ...{ input: null, candidate: null, checked: null, volume: null, held: null, process: null, waits: null },
    ...{ publishedAt: null, arrival: null, obstacle: null, reason: null, printed: null },
    ...{ saveError: null, keepError: null, loopError: null },
    ...{ opening: NEVER, publishing: NEVER, notifying: NOT_TRIED, relapses: 0 },
    ...{ probeAt: null, suspectUntil: 0, attempts: 0, changes: { first: 0, latest: 0 } },
    journal: EMPTY_JOURNAL,
  };
  return { policy, ledger: EMPTY_LEDGER, session };
}

/** What is known not to work under the settings as they are, newest first; with `suspect`, what is suspected of it too. */
export function blocksOf(
  { ledger: { blocked, suspect }, policy }: State,
  withSuspect = true,
): Ledger['blocked'] {
  const known = blocked.filter(({ under }) => under === policy.under);
  return suspect === null || !withSuspect ? known : [suspect.block, ...known];
}
