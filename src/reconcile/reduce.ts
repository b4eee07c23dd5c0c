// How each event changes the state: the only code that does. Pure.

import { type Ledger, lastKnownGoodOf, type Trial, versionOf } from '../ledger/ledger.ts';
import * as ledgers from '../ledger/transitions.ts';
import { SidecarError } from '../lib/errors.ts';
import { RETRY, retryDelay, SLOW_RETRY_MS, spread } from '../lib/schedule.ts';
import type { Input } from '../render/input.ts';
import * as journals from './journal.ts';
import {
  type Candidate,
  type Event,
  NEVER,
  NOT_TRIED,
  type SeenVolume,
  type Session,
  type State,
  type Time,
  type Tries,
  type Wait,
} from './state.ts';

type EventOf<Kind extends Event['kind']> = Extract<Event, { readonly kind: Kind }>;

/** A state directory that cannot be had is asked for again this often: a lock is given up without a word. */
const OPEN_AGAIN_MS = 1_000;

/** The notification before is forgotten: there is something new to notify the application of, or nothing. */
const NOT_NOTIFIED = { notifying: NOT_TRIED, reason: null, obstacle: null };

/** The next state. Total: an event that no longer fits (a verdict on what was replaced) changes nothing. */
export function reduce(state: State, event: Event, at: Time): State {
  const { policy, ledger, session } = state;
  const { volume, journal } = session;
  const { published, verdict } = ledger;
  // A verdict counts only for the trial it is about.
  if ('trial' in event && event.trial !== ledger.trial) return state;
  const next = (changes: Partial<Session>, changed?: Ledger): State => change(state, changes, changed);
  switch (event.kind) {
    case 'source':
      return sourceSaid(state, event, at);
    case 'retry-asked':
      return retryAsked(state, event, at);
    case 'pinned':
      return next({ candidate: null, publishing: NEVER }, { ...ledger, pinned: event.pinned });
    case 'ended':
      return next({}, event.handsOver ? ledger : ledgers.dropSuspect(ledger));
    case 'opened':
      return opened(state, event, at);
    case 'open-failed': {
      const opening = { ...failed(session.opening, event.error, at), dueAt: at.ms + OPEN_AGAIN_MS };
      return ended(state, { opening });
    }
    case 'closed':
      return next({ isOpen: false, volume: null });
    case 'observed':
      return next({ volume: seen(state, event.volume, at) });
    case 'process-seen':
      return next({ process: { fact: event.fact, id: event.id, seenAt: at.ms } });
    case 'rendered':
      return rendered(state, event.candidate, at);
    case 'validating':
      return next({ isValidating: event.isAtWork });
    case 'validated':
      return validated(state, event, at);
    case 'intended':
      return next({}, ledgers.intend(ledger, event.version, policy.notifies, event.staged));
    case 'published':
      return next(
        {
          ...{ ...NOT_NOTIFIED, publishing: NEVER, process: null, arrival: null },
          ...{ volume: seen(state, event.volume, at), held: event.generation },
          ...{ isOurs: true, publishedAt: event.startedAt },
        },
        ledgers.carryOut(ledger, event.volume.moment),
      );
    case 'publish-failed': {
      const { error, left } = event;
      const publishing = failed(session.publishing, error, at);
      if (left === undefined) return ended(state, { publishing });
      // To look after a failure puts off no look that is due.
      const { seenAt, dueAt } = volume ?? seen(state, left, at);
      return ended(
        state,
        { publishing, volume: { ...left, seenAt, dueAt } },
        ledgers.resolveIntention(ledger, left.rendering, left.moment),
      );
    }
    case 'adopted':
      return next(
        { isOurs: false, arrival: null, process: null },
        ledgers.adoptVolume(ledger, event.version, policy.notifies),
      );
    case 'copy-lost':
      return next({}, ledgers.withoutKept(ledger, event.rendering));
    case 'notified':
      return next(
        { ...NOT_NOTIFIED, probeAt: 0, journal: journals.countReload(journal, event.result) },
        ledgers.markNotified(ledger, event.next),
      );
    case 'notify-failed': {
      const { outcome, error, tries } = event;
      return ended(state, {
        ...{ notifying: tries, journal: journals.countReload(journal, tries.lastResult) },
        reason: { outcome, error, isObstacle: false, about: published && versionOf(published) },
      });
    }
    case 'trial-started':
      return next({ probeAt: 0, reason: null }, ledgers.startTrial(ledger, event.next));
    case 'probed':
      return next({ probeAt: at.ms + event.inMs });
    case 'trial-lost':
      return next({}, ledgers.loseTrial(ledger, policy.notifies, at.unixMs));
    case 'unanswered': {
      // It is tried again until it answers, unless something newer takes its place first.
      const { error } = event;
      const reason = { outcome: 'no-target', error, about: published, isObstacle: false } as const;
      return ended(state, { reason }, { ...ledger, trial: null });
    }
    case 'confirmed':
      return confirmed(state, event, at);
    case 'trial-failed':
      return trialFailed(state, event, at);
    case 'suspicion-confirmed':
      return next({}, ledgers.confirmSuspect(ledger));
    case 'kept': {
      const { kept, keepError } = event;
      if (kept === null) return next({ keepError });
      if (published?.rendering !== kept.rendering || verdict !== 'good') return state;
      return next({ keepError }, ledgers.addKept(ledger, kept, policy.keeps));
    }
    case 'failed':
      return ended(state, { loopError: event.error });
    case 'rested':
      return rested(state, event.waits, at);
    case 'saved':
      return note(state, { saveError: event.error });
    case 'reported':
      return note(state, { journal: journals.add(journal, event.report) });
    case 'measured':
      return note(state, { journal: journals.measure(journal, event.stage, event.tookMs) });
  }
}

/** Whatever happens, the loop is at work again. */
function change(state: State, changes: Partial<Session>, ledger: Ledger = state.ledger): State {
  return { policy: state.policy, ledger, session: { ...state.session, waits: null, ...changes } };
}

/** An attempt has ended with it, which is recorded also when it ended like the one before. */
function ended(state: State, changes: Partial<Session>, ledger?: Ledger): State {
  return change(state, { ...changes, attempts: state.session.attempts + 1 }, ledger);
}

/** What follows from another event: a loop that rests goes on resting. */
function note(state: State, changes: Partial<Session>): State {
  return { ...state, session: { ...state.session, ...changes } };
}

/** One more has failed, and the next is due after a growing delay. */
function failed({ failures: before }: Tries, error: SidecarError, { ms, chance }: Time): Tries {
  const failures = before + 1;
  return { failures, error, dueAt: ms + retryDelay(failures, RETRY, () => chance) };
}

function seen({ policy }: State, volume: SeenVolume, { ms, chance }: Time): Session['volume'] & object {
  return { ...volume, seenAt: ms, dueAt: ms + spread(policy.lookEveryMs, () => chance) };
}

function sourceSaid(state: State, { input, isAsked }: EventOf<'source'>, { ms }: Time): State {
  const { input: before, candidate, changes } = state.session;
  if (input === null) return change(state, { isAsked });
  if (input.id === before?.id)
    return isSameAgain(state, input)
      ? ended(state, { isAsked, input, arrival: 'unchanged' })
      : change(state, { isAsked, input });
  const waits = before !== null && before.id !== candidate?.input.id;
  return change(state, { isAsked, input, changes: { first: waits ? changes.first : ms, latest: ms } });
}

/** A new revision of the same data, of which nothing is left to do. */
function isSameAgain({ ledger, session }: State, { id, snapshot }: Input): boolean {
  const { owed, verdict, published } = ledger;
  const { candidate, input, journal } = session;
  if (candidate?.input.id !== id || input?.snapshot.revision === snapshot.revision) return false;
  const isDone = owed === null && verdict === 'good' && !journals.isOpen(journal);
  return isDone && published !== null && published.rendering === candidate.version.rendering;
}

function retryAsked(state: State, { unblocks }: EventOf<'retry-asked'>, { unixMs }: Time): State {
  const { ledger, session, policy } = state;
  const { candidate, checked, volume, notifying, journal } = session;
  // A hook whose settings were wrong, or that was not there, is asked at once: they may have been mended.
  const isNotifyDue = notifying.lastResult !== null && notifying.refusedSince === null;
  const again = {
    candidate: unblocks || candidate?.generation == null ? null : candidate,
    checked: checked?.error == null ? checked : null,
    publishing: NEVER,
    notifying: isNotifyDue ? { ...notifying, failures: 0, dueAt: 0 } : notifying,
    // The volume is looked at, too: what is asked for is that all is as it should be.
    volume: volume && { ...volume, dueAt: 0 },
  };
  if (!unblocks) return change(state, again);
  const over = journals.isOpen(journal) ? journals.close(journal) : journal;
  const unblocked = ledgers.unblock(ledger, policy.notifies, unixMs);
  return change(state, { ...again, ...NOT_NOTIFIED, journal: over }, unblocked);
}

function opened(state: State, { volume, ...event }: EventOf<'opened'>, at: Time): State {
  const { policy, session } = state;
  const { isKnown, journal } = session;
  const found = isKnown ? state.ledger : ledgers.restart(event.ledger, event.copies, at.unixMs);
  const resolved = ledgers.resolveIntention(found, volume.rendering, volume.moment);
  // It may come from a run with a hook.
  const ledger = policy.notifies || resolved.owed === null ? resolved : { ...resolved, owed: null };
  return change(
    state,
    {
      ...{ isOpen: true, isKnown: true, opening: NEVER },
      ...{ volume: seen(state, volume, at), held: event.held },
      suspectUntil: ledger.suspect === null ? 0 : at.ms + ledger.suspect.until - at.unixMs,
      journal: journal.current?.stage === 'publish' ? journals.close(journal) : journal,
    },
    ledger,
  );
}

function rendered(state: State, candidate: Candidate, at: Time): State {
  const { ledger, session, policy } = state;
  const { publishing, volume } = session;
  const { generation } = candidate;
  const news = { candidate, arrival: null };
  if (generation === null) return ended(state, { ...news, publishing: { ...publishing, error: null } });
  const ready = { ...news, publishing: NEVER };
  if (ledger.pinned !== null) return ended(state, ready);
  if (generation.rendering !== volume?.rendering) return change(state, ready);
  const { published } = ledger;
  // Until now it was there for another reason.
  const isOther = published?.rendering === generation.rendering && published.as !== 'desired';
  return ended(
    state,
    {
      ...{ ...ready, held: generation, arrival: isOther ? 'applied' : 'unchanged' },
      publishedAt: session.publishedAt ?? at.ms - policy.limits.minIntervalMs,
    },
    isOther ? { ...ledger, published: { ...published, as: 'desired' } } : ledger,
  );
}

function validated(state: State, { rendering, error }: EventOf<'validated'>, at: Time): State {
  const { candidate, checked } = state.session;
  const before = checked?.rendering === rendering ? checked : NEVER;
  const answer = { checked: { rendering, ...(error === null ? NEVER : failed(before, error, at)) } };
  if (candidate?.version.rendering !== rendering) return change(state, answer);
  const changes = { ...answer, candidate: { ...candidate, error } };
  return error === null ? change(state, changes) : ended(state, { ...changes, arrival: null });
}

function confirmed(state: State, event: EventOf<'confirmed'>, { unixMs }: Time): State {
  const { policy, ledger } = state;
  const { evidence, kept, keepError, trial } = event;
  const good = ledgers.confirm(ledger, { evidence, at: unixMs });
  return change(
    state,
    { arrival: arrivalOf(state, trial), reason: null, relapses: 0, keepError },
    kept === null ? good : ledgers.addKept(good, kept, policy.keeps),
  );
}

/** How what is published came to work; null where it is not what is wanted. */
function arrivalOf({ ledger: { published }, session }: State, trial: Trial | null): Session['arrival'] {
  if (published?.as === 'rolled-back') return 'rolled-back';
  if (published?.as !== 'desired') return null;
  if (trial?.how === 'picked-up') return 'picked-up';
  return trial?.how === 'published' && !session.isOurs ? 'unchanged' : 'applied';
}

function trialFailed(state: State, event: EventOf<'trial-failed'>, at: Time): State {
  const { policy, ledger, session } = state;
  const { published } = ledger;
  const { outcome, error, isReplaced, result } = event;
  if (published === null) return state;
  const { code, message, output } = error;
  const { rendering } = published;
  const workedBefore = lastKnownGoodOf(ledger)?.rendering === rendering;
  const relapses = session.relapses + (workedBefore ? 1 : 0);
  const retryInMs = workedBefore ? retryDelay(relapses, RETRY, () => at.chance) : SLOW_RETRY_MS;
  const notifying = { ...session.notifying, dueAt: at.ms + retryInMs };
  const block = { ...versionOf(published), outcome, code, message, under: policy.under, at: at.unixMs };
  const { confirmTimeoutMs: waitMs } = policy;
  return change(
    state,
    {
      ...{ arrival: published.as === 'rolled-back' ? 'rolled-back' : null, reason: null },
      ...{ printed: { rendering, output }, relapses, notifying },
      suspectUntil: isReplaced ? 0 : at.ms + waitMs,
      ...(result !== undefined && {
        notifying: { ...notifying, lastResult: result },
        journal: journals.countReload(session.journal, result),
      }),
    },
    ledgers.recordFailure(
      ledger,
      { block, suspectUntil: isReplaced ? null : at.unixMs + waitMs },
      policy.notifies,
    ),
  );
}

/** The loop has nothing to do. What is in the way of the application is noted when it is new, and once when it is overdue. */
function rested(state: State, waits: readonly Wait[], { ms }: Time): State {
  const { policy, ledger, session } = state;
  const { obstacle: before, candidate } = session;
  const rest = { waits, loopError: null };
  const met = waits.find(({ obstacle }) => obstacle !== undefined)?.obstacle;
  if (met === undefined) return change(state, { ...rest, obstacle: null });
  const isSame = before?.code === met.code;
  const since = isSame ? before.since : ms;
  const isOverdue = (isSame && before.isOverdue) || ms - since >= policy.reloadWaitMs;
  const obstacle = { ...met, since, isOverdue };
  if (isSame && before.message === met.message && isOverdue === before.isOverdue)
    return change(state, { ...rest, obstacle });
  const { outcome, code, message } = met;
  const error = new SidecarError(message, { code, stage: 'reload' });
  const reason = { outcome, error, isObstacle: true, about: candidate?.version ?? null };
  // What was seen of it proves nothing any more.
  const isGone = outcome === 'no-target' && ledger.running !== null;
  return ended(state, { ...rest, obstacle, reason }, isGone ? { ...ledger, running: null } : ledger);
}
