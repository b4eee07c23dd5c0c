// Everything known about one target, as one immutable value, and everything that can happen to it. See `reduce.ts`.

import type { ObservedProcess } from '../application/process/observe-process.ts';
import type { Obstacle } from '../application/types.ts';
import {
  EMPTY_LEDGER,
  type KeptGeneration,
  type Ledger,
  type Published,
  type Running,
  type Trial,
  type TrialFailure,
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

/** Failed tries in a row, and when the next is due on the loop's clock (0: at once). */
interface Tries {
  readonly failures: number;
  readonly dueAt: number;
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

/** Nothing to do in this matter before `until`, unless an event arrives. */
export interface Wait {
  readonly on:
    | 'state directory'
    | 'volume'
    | 'process'
    | 'suspicion'
    | 'trial'
    | 'source'
    | 'change'
    | 'validation'
    | 'publication'
    | 'notification';
  /** Milliseconds of the loop's clock. */
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
  /** The last answer of VALIDATE_COMMAND. */
  readonly checked: { readonly rendering: string; readonly passed: boolean } | null;
  /** What the volume shows; null: it must be looked at. */
  readonly volume: (Volume & { readonly seenAt: number; readonly everyMs: number }) | null;
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
  /** How the last notification ended that did not arrive. */
  readonly lastReload: string | null;
  readonly refusals: number;
  /** Since when the application says no. */
  readonly refusedSince: number | null;
  readonly tries: Readonly<Record<'open' | 'publish' | 'validate' | 'notify' | 'renotify', Tries>>;
  readonly errors: Readonly<Record<'open' | 'publish' | 'save' | 'keep' | 'loop', SidecarError | null>>;
  /** When the trial is looked at next. */
  readonly probeAt: number;
  /** A trial was started by this run: one that was not is resumed. */
  readonly hasTried: boolean;
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
}

/** What was found in the state directory: the ledger, and the copies of generations where there is none. */
export interface Opened extends Pick<LedgerRead, 'ledger' | 'from'> {
  readonly copies: readonly KeptGeneration[];
  /** When the volume was changed last. */
  readonly moment: BootStamp;
}
/** How the volume looks, and when it is looked at again. */
export interface SeenVolume {
  readonly volume: Volume;
  readonly everyMs: number;
}
interface Failed {
  readonly error: SidecarError;
  readonly retryInMs: number;
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
  opened: Opened & SeenVolume & { held: Release | null };
  'open-failed': Failed;
  /** It is ours no more. */
  closed: unknown;
  observed: SeenVolume;
  'process-seen': ObservedProcess;
  rendered: { candidate: Candidate };
  validating: unknown;
  validated: { rendering: string; retryInMs: number; error: SidecarError | null };
  /** Also without an answer. */
  'validation-ended': unknown;
  /** The next thing is the rename. */
  intended: { version: Published; isUrgent: boolean; staged: readonly StagedPart[] };
  published: SeenVolume & { generation: Release; startedAt: number; moment: BootStamp };
  /** `left`: what the volume shows where a rename was tried. */
  'publish-failed': Failed & { left?: SeenVolume & { readonly moment: BootStamp } };
  /** The volume shows it already, and the ledger did not know. */
  adopted: { version: Published };
  /** The copy of a generation cannot be used. */
  'copy-lost': { rendering: string };
  /** There is no hook any more by which it could be notified. */
  'owed-cleared': unknown;
  notified: { result: string; next: Trial };
  'notify-failed': Failed & { result: string; outcome: Outcome; refusedSince: number | null };
  'trial-started': OfTrial & { next: Trial };
  /** There is no verdict yet. */
  probed: OfTrial & { inMs: number };
  /** The process is gone, and none that could have read what is on trial is there. */
  'trial-lost': OfTrial;
  /** Nothing answers at CONFIRM_URL, and nothing ever did. */
  unanswered: OfTrial & { error: SidecarError };
  confirmed: OfTrial & {
    evidence: Running['evidence'];
    kept: KeptGeneration | null;
    keepError: SidecarError | null;
  };
  'trial-failed': OfTrial & Failed & { failure: TrialFailure; result?: string };
  'suspicion-confirmed': unknown;
  kept: { kept: KeptGeneration };
  'keep-failed': { error: SidecarError };
  /** A step threw what no step should. */
  failed: { error: SidecarError };
  /** There is nothing to do. */
  rested: { waits: readonly Wait[] };
  saved: { error: SidecarError | null };
  reported: { report: Omit<Report, 'count'> };
  measured: { stage: TimedStage; tookMs: number };
}

export type Event = {
  [Kind in keyof Happenings]: Readonly<{ kind: Kind } & Happenings[Kind]>;
}[keyof Happenings];

export const NEVER: Tries = { failures: 0, dueAt: 0 };

/** A target at its start: nothing is known. */
export function startOf(policy: Policy): State {
  const session: Session = {
    ...{ isOpen: false, isKnown: false, isAsked: false, isValidating: false, isOurs: false, hasTried: false },
    ...{ input: null, candidate: null, checked: null, volume: null, held: null, process: null, waits: null },
    ...{ publishedAt: null, arrival: null, obstacle: null, reason: null, lastReload: null, printed: null },
    ...{ refusals: 0, refusedSince: null, probeAt: 0, suspectUntil: 0, attempts: 0 },
    changes: { first: 0, latest: 0 },
    tries: { open: NEVER, publish: NEVER, validate: NEVER, notify: NEVER, renotify: NEVER },
    errors: { open: null, publish: null, save: null, keep: null, loop: null },
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

/** How what is published came to work; null where it is not what is wanted. */
export function arrivalOf(
  { ledger: { published }, session }: State,
  trial: Trial | null,
): Session['arrival'] {
  if (published?.as === 'rolled-back') return 'rolled-back';
  if (published?.as !== 'desired') return null;
  if (trial?.how === 'picked-up') return 'picked-up';
  return trial?.how === 'published' && !session.isOurs ? 'unchanged' : 'applied';
}
