// Everything known about one target, as one immutable value. `reduce` is the only code that changes it. Pure.

import type { Obstacle, ProcessFact } from '../application/types.ts';
import type { KeptGeneration, Ledger, Published, Running, Trial, TrialFailure } from '../ledger/ledger.ts';
import * as ledgers from '../ledger/ledger.ts';
import type { LedgerRead } from '../ledger/ledger-file.ts';
import type { BootStamp, ProcessId } from '../ledger/types.ts';
import { SidecarError } from '../lib/errors.ts';
import type { Changes } from '../lib/schedule.ts';
import type { Volume } from '../publish/publisher.ts';
import type { StagedPart } from '../publish/types.ts';
import type { Input } from '../render/input.ts';
import type { Release } from '../render/release.ts';
import type { AttemptedVersion, Journal, Outcome, Report, TimedStage } from './journal.ts';
import * as journals from './journal.ts';
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

/** Why the application has not been notified yet. */
interface Reason {
  readonly outcome: Outcome;
  readonly error: SidecarError;
  /** What it is said of. */
  readonly about: AttemptedVersion | null;
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
  readonly process: {
    readonly fact: ProcessFact;
    readonly id: ProcessId | null;
    readonly seenAt: number;
  } | null;
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
interface Look {
  readonly volume: Volume;
  readonly everyMs: number;
}
interface Failed {
  readonly error: SidecarError;
  readonly retryInMs: number;
}
/** A verdict counts only for the trial it is about. */
interface AboutTrial {
  readonly trial: Trial | null;
}

/** Everything that can happen, from the steps and from outside alike. */
export type Event =
  | { readonly kind: 'source'; readonly input: Input | null; readonly isAsked: boolean }
  | { readonly kind: 'retry-asked'; readonly unblocks: boolean }
  | { readonly kind: 'pinned'; readonly pinned: Ledger['pinned'] }
  | { readonly kind: 'ended'; readonly handsOver: boolean }
  | ({ readonly kind: 'opened'; readonly held: Release | null } & Opened & Look)
  | ({ readonly kind: 'open-failed' } & Failed)
  | { readonly kind: 'closed' | 'validating' | 'owed-cleared' | 'suspicion-confirmed' }
  | ({ readonly kind: 'observed' } & Look)
  | { readonly kind: 'process-seen'; readonly fact: ProcessFact; readonly id: ProcessId | null }
  | { readonly kind: 'rendered'; readonly candidate: Candidate }
  | {
      readonly kind: 'validated';
      readonly rendering: string;
      readonly retryInMs: number;
      readonly error: SidecarError | null;
    }
  | { readonly kind: 'validation-ended' }
  | {
      readonly kind: 'intended';
      readonly version: Published;
      readonly isUrgent: boolean;
      readonly staged: readonly StagedPart[];
    }
  | ({
      readonly kind: 'published';
      readonly generation: Release;
      readonly startedAt: number;
      readonly moment: BootStamp;
    } & Look)
  | {
      readonly kind: 'publish-failed';
      readonly error: SidecarError | null;
      readonly retryInMs: number;
      readonly left?: Look & { readonly moment: BootStamp };
    }
  | { readonly kind: 'adopted'; readonly version: Published }
  | { readonly kind: 'copy-lost'; readonly rendering: string }
  | { readonly kind: 'notified'; readonly result: string; readonly trial: Trial }
  | ({
      readonly kind: 'notify-failed';
      readonly result: string;
      readonly outcome: Outcome;
      readonly refusedSince: number | null;
    } & Failed)
  | ({ readonly kind: 'trial-started'; readonly next: Trial } & AboutTrial)
  | ({ readonly kind: 'probed'; readonly inMs: number } & AboutTrial)
  | ({ readonly kind: 'trial-lost' } & AboutTrial)
  | ({ readonly kind: 'unanswered'; readonly error: SidecarError } & AboutTrial)
  | ({
      readonly kind: 'confirmed';
      readonly evidence: Running['evidence'];
      readonly kept: KeptGeneration | null;
      readonly keepError: SidecarError | null;
    } & AboutTrial)
  | ({ readonly kind: 'trial-failed'; readonly failure: TrialFailure; readonly result?: string } & Failed &
      AboutTrial)
  | { readonly kind: 'kept'; readonly kept: KeptGeneration }
  | { readonly kind: 'keep-failed' | 'failed'; readonly error: SidecarError }
  | { readonly kind: 'rested'; readonly waits: readonly Wait[] }
  | { readonly kind: 'saved'; readonly error: SidecarError | null }
  | { readonly kind: 'reported'; readonly report: Omit<Report, 'count'> }
  | { readonly kind: 'measured'; readonly stage: TimedStage; readonly tookMs: number };

const NEVER: Tries = { failures: 0, dueAt: 0 };
const NO_ERRORS = { open: null, publish: null, save: null, keep: null, loop: null };

/** A target at its start: nothing is known. */
export function startOf(policy: Policy): State {
  const session: Session = {
    ...{ isOpen: false, isKnown: false, isAsked: false, isValidating: false, isOurs: false, hasTried: false },
    ...{
      input: null,
      changes: { first: 0, latest: 0 },
      candidate: null,
      checked: null,
      volume: null,
      held: null,
    },
    ...{ publishedAt: null, arrival: null, process: null, obstacle: null, reason: null, lastReload: null },
    ...{
      refusals: 0,
      refusedSince: null,
      probeAt: 0,
      suspectUntil: 0,
      printed: null,
      attempts: 0,
      waits: null,
      errors: NO_ERRORS,
    },
    tries: { open: NEVER, publish: NEVER, validate: NEVER, notify: NEVER, renotify: NEVER },
    journal: journals.EMPTY_JOURNAL,
  };
  return { policy, ledger: ledgers.EMPTY_LEDGER, session };
}

/** What is known not to work under the settings as they are, newest first; with `suspect`, what is suspected of it too. */
export function blocksOf(
  { ledger: { blocked, suspect }, policy }: State,
  withSuspect = true,
): Ledger['blocked'] {
  const known = blocked.filter(({ under }) => under === policy.under);
  return suspect === null || !withSuspect ? known : [suspect.block, ...known];
}

/** Nothing is known any more of the notification before: there is something new to tell the application, or nothing. */
const NOTHING_TRIED = { reason: null, lastReload: null, refusals: 0, refusedSince: null, obstacle: null };

/** The next state. Total: an event that no longer fits (a verdict on what was replaced) changes nothing. */
export function reduce(state: State, event: Event, at: Time): State {
  const { policy, ledger, session } = state;
  const { candidate, tries, errors, volume, attempts, journal } = session;
  const { published, verdict } = ledger;
  const next = (changes: Partial<Session>, changed?: Ledger): State => change(state, changes, changed);
  const failed = (what: keyof Session['tries'], inMs: number, before = tries[what]): Session['tries'] => ({
    ...tries,
    [what]: { failures: before.failures + 1, dueAt: at.ms + inMs },
  });
  const seen = (look: Look) => ({ ...look.volume, seenAt: at.ms, everyMs: look.everyMs });
  switch (event.kind) {
    case 'source': {
      const { input, isAsked } = event;
      if (input === null) return next({ isAsked });
      const isNew = input.id !== session.input?.id;
      if (!isNew)
        return isSameAgain(state, input)
          ? next({ isAsked, input, arrival: 'unchanged', attempts: attempts + 1 })
          : next({ isAsked, input });
      const waits = session.input !== null && session.input.id !== candidate?.input.id;
      return next({
        isAsked,
        input,
        changes: { first: waits ? session.changes.first : at.ms, latest: at.ms },
      });
    }
    case 'retry-asked': {
      const again = {
        candidate: event.unblocks || candidate?.generation == null ? null : candidate,
        errors: { ...errors, publish: null },
        tries: {
          ...{ ...tries, publish: NEVER, validate: NEVER },
          // A hook whose settings were wrong, or that was not there, is asked at once: they may have been mended.
          ...(session.lastReload !== null && session.refusedSince === null && { notify: NEVER }),
        },
        // The volume is looked at, too: what is asked for is that all is as it should be.
        volume: volume && { ...volume, everyMs: 0 },
      };
      if (!event.unblocks) return next(again);
      const changes = {
        ...again,
        ...NOTHING_TRIED,
        journal: journals.isOpen(journal) ? journals.close(journal) : journal,
      };
      return next(
        { ...changes, tries: { ...again.tries, notify: NEVER } },
        ledgers.unblock(ledger, policy.notifies, at.unixMs),
      );
    }
    case 'pinned':
      return next(
        { candidate: null, errors: { ...errors, publish: null }, tries: { ...tries, publish: NEVER } },
        { ...ledger, pinned: event.pinned },
      );
    case 'ended':
      return next({}, event.handsOver ? ledger : ledgers.dropSuspect(ledger));
    case 'opened': {
      const found = session.isKnown ? ledger : ledgers.restart(event.ledger, event.copies, at.unixMs);
      const known = ledgers.resolveIntention(found, event.volume.rendering, event.moment);
      const isOver = journal.current?.stage === 'publish';
      return next(
        {
          ...{ isOpen: true, isKnown: true, volume: seen(event), held: session.held ?? event.held },
          suspectUntil: known.suspect === null ? 0 : at.ms + known.suspect.until - at.unixMs,
          errors: { ...errors, open: null },
          journal: isOver ? journals.close(journal) : journal,
        },
        known,
      );
    }
    case 'open-failed':
      return next({
        errors: { ...errors, open: event.error },
        tries: failed('open', event.retryInMs),
        attempts: attempts + 1,
      });
    case 'closed':
      return next({ isOpen: false, volume: null });
    case 'observed':
      return next({ volume: seen(event) });
    case 'process-seen':
      return next({ process: { fact: event.fact, id: event.id, seenAt: at.ms } });
    case 'rendered':
      return rendered(state, event.candidate, at);
    case 'validating':
      return next({ isValidating: true });
    case 'validation-ended':
      return next({ isValidating: false });
    case 'validated': {
      const { rendering, error, retryInMs } = event;
      const before = session.checked?.rendering === rendering ? tries.validate : NEVER;
      const isWanted = candidate?.version.rendering === rendering;
      return next({
        ...{ isValidating: false, checked: { rendering, passed: error === null } },
        tries: error === null ? { ...tries, validate: NEVER } : failed('validate', retryInMs, before),
        candidate: isWanted ? { ...candidate, error } : candidate,
        ...(isWanted && error !== null && { attempts: attempts + 1, arrival: null }),
      });
    }
    case 'intended':
      return next({}, ledgers.intend(ledger, event.version, policy.notifies, event.staged));
    case 'published':
      return next(
        {
          ...NOTHING_TRIED,
          ...{ volume: seen(event), held: event.generation, isOurs: true, publishedAt: event.startedAt },
          ...{ process: null, arrival: null, errors: { ...errors, publish: null } },
          tries: { ...tries, publish: NEVER, notify: NEVER },
        },
        ledgers.carryOut(ledger, event.moment),
      );
    case 'publish-failed': {
      const { error, left, retryInMs } = event;
      const changes = {
        tries: failed('publish', retryInMs),
        errors: { ...errors, publish: error },
        attempts: error === null ? attempts : attempts + 1,
      };
      if (left === undefined) return next(changes);
      return next(
        { ...changes, volume: { ...seen(left), seenAt: volume?.seenAt ?? at.ms } },
        ledgers.resolveIntention(ledger, left.volume.rendering, left.moment),
      );
    }
    case 'adopted':
      return next(
        { isOurs: false, arrival: null, process: null },
        ledgers.adoptVolume(ledger, event.version, policy.notifies),
      );
    case 'copy-lost':
      return next({}, ledgers.withoutKept(ledger, event.rendering));
    case 'owed-cleared':
      return next({}, { ...ledger, owed: null });
    case 'notified':
      return next(
        {
          ...NOTHING_TRIED,
          tries: { ...tries, notify: NEVER },
          probeAt: 0,
          hasTried: true,
          journal: journals.countReload(journal, event.result),
        },
        ledgers.markNotified(ledger, event.trial),
      );
    case 'notify-failed': {
      const { outcome, error, result } = event;
      return next({
        ...{
          lastReload: result,
          refusals: event.refusedSince === null ? 0 : session.refusals + 1,
          refusedSince: event.refusedSince,
          attempts: attempts + 1,
        },
        ...{ tries: failed('notify', event.retryInMs), journal: journals.countReload(journal, result) },
        reason: { outcome, error, isObstacle: false, about: published && ledgers.versionOf(published) },
      });
    }
    case 'trial-started':
      if (ledger.trial !== event.trial) return state;
      return next({ probeAt: 0, hasTried: true, reason: null }, ledgers.startTrial(ledger, event.next));
    case 'probed':
      return ledger.trial === event.trial ? next({ probeAt: at.ms + event.inMs }) : state;
    case 'trial-lost':
      return ledger.trial === event.trial
        ? next({}, ledgers.loseTrial(ledger, policy.notifies, at.unixMs))
        : state;
    case 'unanswered':
      // It is tried again until it answers, unless something newer takes its place first.
      if (ledger.trial !== event.trial) return state;
      return next(
        {
          reason: { outcome: 'no-target', error: event.error, about: published, isObstacle: false },
          attempts: attempts + 1,
        },
        { ...ledger, trial: null },
      );
    case 'confirmed':
      return ledger.trial === event.trial ? confirmed(state, event, at) : state;
    case 'trial-failed': {
      const { failure, error, result, retryInMs } = event;
      if (ledger.trial !== event.trial || published?.rendering !== failure.block.rendering) return state;
      const { suspectUntil: until } = failure;
      const workedBefore = ledgers.lastKnownGoodOf(ledger)?.rendering === published.rendering;
      const counted = workedBefore ? failed('renotify', retryInMs) : tries;
      return next(
        {
          ...{
            arrival: published.as === 'rolled-back' ? ('rolled-back' as const) : null,
            reason: null,
            printed: { rendering: published.rendering, output: error.output },
          },
          tries: { ...counted, notify: { failures: tries.notify.failures, dueAt: at.ms + retryInMs } },
          suspectUntil: until === null ? 0 : at.ms + until - at.unixMs,
          ...(result !== undefined && { lastReload: result, journal: journals.countReload(journal, result) }),
        },
        ledgers.recordFailure(ledger, failure, policy.notifies),
      );
    }
    case 'suspicion-confirmed':
      return next({}, ledgers.confirmSuspect(ledger));
    case 'kept':
      if (published?.rendering !== event.kept.rendering || verdict !== 'good') return state;
      return next({ errors: { ...errors, keep: null } }, ledgers.addKept(ledger, event.kept, policy.keeps));
    case 'keep-failed':
      return next({ errors: { ...errors, keep: event.error } });
    case 'failed':
      return next({ errors: { ...errors, loop: event.error }, attempts: attempts + 1 });
    case 'rested':
      return rested(state, event.waits, at);
    case 'saved':
      return { ...state, session: { ...session, errors: { ...errors, save: event.error } } };
    case 'reported':
      return { ...state, session: { ...session, journal: journals.add(journal, event.report) } };
    case 'measured':
      return {
        ...state,
        session: { ...session, journal: journals.measure(journal, event.stage, event.tookMs) },
      };
  }
}

/** Whatever happens, the loop is at work again. */
function change(state: State, changes: Partial<Session>, ledger: Ledger = state.ledger): State {
  return { policy: state.policy, ledger, session: { ...state.session, waits: null, ...changes } };
}

/** A new revision of the same data, of which nothing is left to do. */
function isSameAgain(
  { ledger: { owed, verdict, published }, session }: State,
  { id, snapshot }: Input,
): boolean {
  const { candidate, input, journal } = session;
  if (candidate?.input.id !== id || input?.snapshot.revision === snapshot.revision) return false;
  const isDone = owed === null && verdict === 'good' && !journals.isOpen(journal);
  return isDone && published !== null && published.rendering === candidate.version.rendering;
}

function rendered(state: State, candidate: Candidate, at: Time): State {
  const { ledger, session, policy } = state;
  const { tries, errors, volume, attempts } = session;
  const { generation } = candidate;
  const news = { candidate, arrival: null, errors: { ...errors, publish: null } };
  if (generation === null) return change(state, { ...news, attempts: attempts + 1 });
  const ready = { ...news, tries: { ...tries, publish: NEVER } };
  if (ledger.pinned !== null) return change(state, { ...ready, attempts: attempts + 1 });
  if (generation.rendering !== volume?.rendering) return change(state, ready);
  const { published } = ledger;
  // Until now it was there for another reason.
  const isOther = published?.rendering === generation.rendering && published.as !== 'desired';
  return change(
    state,
    {
      ...{ ...ready, held: generation, attempts: attempts + 1, arrival: isOther ? 'applied' : 'unchanged' },
      publishedAt: session.publishedAt ?? at.ms - policy.limits.minIntervalMs,
    },
    isOther ? { ...ledger, published: { ...published, as: 'desired' } } : ledger,
  );
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

function confirmed(state: State, event: Extract<Event, { kind: 'confirmed' }>, at: Time): State {
  const { policy, ledger, session } = state;
  const { evidence, kept, keepError, trial } = event;
  const good = ledgers.confirm(ledger, { evidence, at: at.unixMs });
  return change(
    state,
    {
      ...{ arrival: arrivalOf(state, trial), reason: null },
      ...{ tries: { ...session.tries, renotify: NEVER }, errors: { ...session.errors, keep: keepError } },
    },
    kept === null ? good : ledgers.addKept(good, kept, policy.keeps),
  );
}

/** The loop has nothing to do. What is in the way of the application is noted when it is new, and once when it is overdue. */
function rested(state: State, waits: readonly Wait[], { ms }: Time): State {
  const { policy, ledger, session } = state;
  const { obstacle: before, attempts, candidate } = session;
  const errors = { ...session.errors, loop: null };
  const met = waits.find(({ obstacle }) => obstacle !== undefined)?.obstacle;
  if (met === undefined) return change(state, { waits, errors, obstacle: null });
  const isSame = before?.code === met.code;
  const since = isSame ? before.since : ms;
  const isOverdue = (isSame && before.isOverdue) || ms - since >= policy.reloadWaitMs;
  const obstacle = { ...met, since, isOverdue };
  if (isSame && before.message === met.message && isOverdue === before.isOverdue)
    return change(state, { waits, errors, obstacle });
  const { outcome, code, message } = met;
  const error = new SidecarError(message, { code, stage: 'reload' });
  const reason = { outcome, error, isObstacle: true, about: candidate?.version ?? null };
  // What was seen of it proves nothing any more.
  const isGone = outcome === 'no-target' && ledger.running !== null;
  return change(
    state,
    { waits, errors, obstacle, reason, attempts: attempts + 1 },
    isGone ? { ...ledger, running: null } : ledger,
  );
}
