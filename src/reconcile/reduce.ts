// How each event changes the state: the only code that does. Pure.

import { type Ledger, lastKnownGoodOf, versionOf } from '../ledger/ledger.ts';
import * as ledgers from '../ledger/transitions.ts';
import { SidecarError } from '../lib/errors.ts';
import type { Input } from '../render/input.ts';
import * as journals from './journal.ts';
import {
  arrivalOf,
  type Candidate,
  type Event,
  NEVER,
  type SeenVolume,
  type Session,
  type State,
  type Time,
  type Wait,
} from './state.ts';

type EventOf<Kind extends Event['kind']> = Extract<Event, { readonly kind: Kind }>;

/** The notification before is forgotten: there is something new to notify the application of, or nothing. */
const NOTHING_TRIED = { reason: null, lastReload: null, refusals: 0, refusedSince: null, obstacle: null };

/** The next state. Total: an event that no longer fits (a verdict on what was replaced) changes nothing. */
export function reduce(state: State, event: Event, at: Time): State {
  const { policy, ledger, session } = state;
  const { tries, errors, volume, attempts, journal } = session;
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
      return next(
        { candidate: null, errors: { ...errors, publish: null }, tries: { ...tries, publish: NEVER } },
        { ...ledger, pinned: event.pinned },
      );
    case 'ended':
      return next({}, event.handsOver ? ledger : ledgers.dropSuspect(ledger));
    case 'opened':
      return opened(state, event, at);
    case 'open-failed':
      return next({
        errors: { ...errors, open: event.error },
        tries: failed(session, 'open', at.ms + event.retryInMs),
        attempts: attempts + 1,
      });
    case 'closed':
      return next({ isOpen: false, volume: null });
    case 'observed':
      return next({ volume: seen(event, at) });
    case 'process-seen':
      return next({ process: { fact: event.fact, id: event.id, seenAt: at.ms } });
    case 'rendered':
      return rendered(state, event.candidate, at);
    case 'validating':
      return next({ isValidating: true });
    case 'validated':
      return validated(state, event, at);
    case 'validation-ended':
      return next({ isValidating: false });
    case 'intended':
      return next({}, ledgers.intend(ledger, event.version, policy.notifies, event.staged));
    case 'published':
      return next(
        {
          ...NOTHING_TRIED,
          ...{ volume: seen(event, at), held: event.generation, isOurs: true, publishedAt: event.startedAt },
          ...{ process: null, arrival: null, errors: { ...errors, publish: null } },
          tries: { ...tries, publish: NEVER, notify: NEVER },
        },
        ledgers.carryOut(ledger, event.moment),
      );
    case 'publish-failed': {
      const { error, left, retryInMs } = event;
      const changes = {
        tries: failed(session, 'publish', at.ms + retryInMs),
        errors: { ...errors, publish: error },
        attempts: attempts + 1,
      };
      if (left === undefined) return next(changes);
      return next(
        { ...changes, volume: { ...seen(left, at), seenAt: volume?.seenAt ?? at.ms } },
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
          ...{ ...NOTHING_TRIED, probeAt: 0, hasTried: true, tries: { ...tries, notify: NEVER } },
          journal: journals.countReload(journal, event.result),
        },
        ledgers.markNotified(ledger, event.next),
      );
    case 'notify-failed': {
      const { outcome, error, result, refusedSince } = event;
      return next({
        ...{ lastReload: result, refusedSince, attempts: attempts + 1 },
        refusals: refusedSince === null ? 0 : session.refusals + 1,
        tries: failed(session, 'notify', at.ms + event.retryInMs),
        journal: journals.countReload(journal, result),
        reason: { outcome, error, isObstacle: false, about: published && versionOf(published) },
      });
    }
    case 'trial-started':
      return next({ probeAt: 0, hasTried: true, reason: null }, ledgers.startTrial(ledger, event.next));
    case 'probed':
      return next({ probeAt: at.ms + event.inMs });
    case 'trial-lost':
      return next({}, ledgers.loseTrial(ledger, policy.notifies, at.unixMs));
    case 'unanswered': {
      // It is tried again until it answers, unless something newer takes its place first.
      const reason = {
        outcome: 'no-target',
        error: event.error,
        about: published,
        isObstacle: false,
      } as const;
      return next({ reason, attempts: attempts + 1 }, { ...ledger, trial: null });
    }
    case 'confirmed':
      return confirmed(state, event, at);
    case 'trial-failed':
      return trialFailed(state, event, at);
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
      return note(state, { errors: { ...errors, save: event.error } });
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

/** What follows from another event: a loop that rests goes on resting. */
function note(state: State, changes: Partial<Session>): State {
  return { ...state, session: { ...state.session, ...changes } };
}

function failed({ tries }: Session, what: keyof Session['tries'], dueAt: number): Session['tries'] {
  return { ...tries, [what]: { failures: tries[what].failures + 1, dueAt } };
}

function seen({ volume, everyMs }: SeenVolume, { ms }: Time): Session['volume'] & object {
  return { ...volume, seenAt: ms, everyMs };
}

function sourceSaid(state: State, { input, isAsked }: EventOf<'source'>, { ms }: Time): State {
  const { input: before, candidate, changes, attempts } = state.session;
  if (input === null) return change(state, { isAsked });
  if (input.id === before?.id) {
    const again = isSameAgain(state, input) && ({ arrival: 'unchanged', attempts: attempts + 1 } as const);
    return change(state, { isAsked, input, ...again });
  }
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
  const { candidate, errors, tries, volume, lastReload, refusedSince, journal } = session;
  // A hook whose settings were wrong, or that was not there, is asked at once: they may have been mended.
  const isNotifyDue = unblocks || (lastReload !== null && refusedSince === null);
  const again = {
    candidate: unblocks || candidate?.generation == null ? null : candidate,
    errors: { ...errors, publish: null },
    tries: { ...tries, publish: NEVER, validate: NEVER, ...(isNotifyDue && { notify: NEVER }) },
    // The volume is looked at, too: what is asked for is that all is as it should be.
    volume: volume && { ...volume, everyMs: 0 },
  };
  if (!unblocks) return change(state, again);
  const over = journals.isOpen(journal) ? journals.close(journal) : journal;
  const unblocked = ledgers.unblock(ledger, policy.notifies, unixMs);
  return change(state, { ...again, ...NOTHING_TRIED, journal: over }, unblocked);
}

function opened(state: State, event: EventOf<'opened'>, at: Time): State {
  const { isKnown, held, errors, journal } = state.session;
  const found = isKnown ? state.ledger : ledgers.restart(event.ledger, event.copies, at.unixMs);
  const ledger = ledgers.resolveIntention(found, event.volume.rendering, event.moment);
  return change(
    state,
    {
      ...{ isOpen: true, isKnown: true, volume: seen(event, at), held: held ?? event.held },
      suspectUntil: ledger.suspect === null ? 0 : at.ms + ledger.suspect.until - at.unixMs,
      errors: { ...errors, open: null },
      journal: journal.current?.stage === 'publish' ? journals.close(journal) : journal,
    },
    ledger,
  );
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

function validated(state: State, event: EventOf<'validated'>, { ms }: Time): State {
  const { session } = state;
  const { candidate, attempts } = session;
  const { rendering, error, retryInMs } = event;
  const isAgain = session.checked?.rendering === rendering;
  const tries = isAgain ? session.tries : { ...session.tries, validate: NEVER };
  const isWanted = candidate?.version.rendering === rendering;
  return change(state, {
    ...{ isValidating: false, checked: { rendering, passed: error === null } },
    tries:
      error === null
        ? { ...tries, validate: NEVER }
        : failed({ ...session, tries }, 'validate', ms + retryInMs),
    candidate: isWanted ? { ...candidate, error } : candidate,
    ...(isWanted && error !== null && { attempts: attempts + 1, arrival: null }),
  });
}

function confirmed(state: State, event: EventOf<'confirmed'>, at: Time): State {
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

function trialFailed(state: State, event: EventOf<'trial-failed'>, at: Time): State {
  const { policy, ledger, session } = state;
  const { failure, error, result, retryInMs } = event;
  const { rendering } = failure.block;
  const { suspectUntil: until } = failure;
  const dueAt = at.ms + retryInMs;
  const workedBefore = lastKnownGoodOf(ledger)?.rendering === rendering;
  const tries = workedBefore ? failed(session, 'renotify', dueAt) : session.tries;
  return change(
    state,
    {
      ...{ arrival: ledger.published?.as === 'rolled-back' ? 'rolled-back' : null, reason: null },
      printed: { rendering, output: error.output },
      tries: { ...tries, notify: { ...tries.notify, dueAt } },
      suspectUntil: until === null ? 0 : at.ms + until - at.unixMs,
      ...(result !== undefined && {
        lastReload: result,
        journal: journals.countReload(session.journal, result),
      }),
    },
    ledgers.recordFailure(ledger, failure, policy.notifies),
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
