// The current outcome, derived from the state after every event: nothing has to remember to report. Pure.

import { type Block, isBad, lastKnownGoodOf, type Published, versionOf } from '../ledger/ledger.ts';
import type { SidecarError } from '../lib/errors.ts';
import { isNews, type Outcome, type Report } from './journal.ts';
import { reduce } from './reduce.ts';
import { blockedError, failedTrialError, fallbackError, rolledBackError } from './sentences.ts';
import { blocksOf, type Event, type Standing, type State, type Time } from './state.ts';

/** Outcomes that say why something is blocked. */
const ABOUT_A_BLOCK: readonly (Outcome | undefined)[] = [
  'rolled-back',
  'rollback-failed',
  'refused',
  'target-died',
  'unconfirmed',
];

/** The first line that holds; null: the outcome before remains. */
function outcomeOf(state: State, { unixMs }: Time): Standing | null {
  const { ledger, session, policy } = state;
  const { published, verdict, trial, owed, pinned } = ledger;
  const { candidate, arrival, reason, volume, journal } = session;
  const wanted = candidate?.version ?? null;
  const stands = (outcome: Outcome, error: SidecarError | null = null, about = wanted): Standing => ({
    outcome,
    about,
    error,
  });
  const current = journal.current?.outcome;
  const failure = session.loopError ?? session.opening.error ?? session.publishing.error;
  if (failure !== null) return stands('failed', failure);
  if (!session.isOpen) return null;
  // It stands until something newer is rendered, whatever was rejected before.
  if (arrival === 'rolled-back') return reason?.isObstacle === false ? reason : null;
  if (candidate?.error != null)
    return stands(isAboutContent(candidate.error) ? 'rejected' : 'failed', candidate.error);
  if (trial !== null) return null;
  const isThere = published !== null && published.rendering === volume?.rendering;
  const isDone = isThere && verdict === 'good' && owed === null;
  if (reason !== null && !isDone) {
    // Why something was rolled back, or had to stay, says more than that the application is not back yet.
    const isToldAlready = published?.as === 'rolled-back' || isBad(verdict);
    if (reason.isObstacle && isToldAlready && ABOUT_A_BLOCK.includes(current)) return null;
    return reason;
  }
  if (pinned !== null && candidate !== null) {
    const isPin = verdict === 'good' && published?.rendering === pinned.rendering;
    return isPin ? stands('pinned', null, published) : null;
  }
  const rendering = wanted?.rendering ?? null;
  const block = rendering === null ? undefined : blocksOf(state).find((one) => one.rendering === rendering);
  if (published !== null && rendering === published.rendering) {
    if (arrival === null) return null;
    const blocked = block ?? blockOfOthers(state);
    if (blocked === undefined) return isDone ? stands(arrival) : null;
    const hasElse = policy.rollsBack && lastKnownGoodOf(ledger) !== null;
    return block !== undefined && hasElse ? null : stands(blocked.outcome, blockedError(blocked));
  }
  if (block !== undefined) {
    const isTold = journal.current?.attempted?.rendering === rendering && ABOUT_A_BLOCK.includes(current);
    return isTold ? null : stands('blocked', blockedError(block));
  }
  // After a start without the source: what there is, and how old.
  const isAlone = journal.current === null && session.isAsked && session.input === null;
  if (!isAlone || !isDone) return null;
  return stands('unchanged', fallbackError(published, ledger, unixMs), published);
}

/** There is no hook: what did not work under other settings is tried when the application starts with it, and not before. */
function blockOfOthers({ policy, ledger: { verdict, blocked, published } }: State): Block | undefined {
  if (policy.notifies || !isBad(verdict)) return undefined;
  return blocked.find(({ rendering }) => rendering === published?.rendering);
}

function isAboutContent({ stage }: SidecarError): boolean {
  return stage === 'validate' || stage === 'render';
}

/**
 * The state after an event with what is to be recorded of it: the verdict it brought, and the outcome then, when that is another
 * one or an attempt has ended.
 */
export function withReports(before: State, event: Event, after: State, at: Time): State {
  const record = (state: State, standing: Standing): State =>
    reduce(state, { kind: 'reported', report: reportOf(standing, at) }, at);
  const verdict = verdictOf(before, event, after, at);
  const judged = verdict === null ? after : record(after, verdict);
  const standing = outcomeOf(judged, at);
  if (standing === null) return judged;
  const hasEnded = after.session.attempts > before.session.attempts;
  const isOther = hasEnded || isNews(judged.session.journal, reportOf(standing, at));
  return isOther ? record(judged, standing) : judged;
}

const SENTENCES: Partial<Record<Outcome, string>> = {
  applied:
    'The configuration of the source is published, and the application has been notified where that is configured.',
  unchanged: 'The configuration of the source is on the volume already.',
  'picked-up': 'The application started after the publication and has read it.',
  pinned: 'A generation was chosen by hand. It stays until "config-sidecar resume".',
};

function reportOf({ outcome, about, error }: Standing, { unixMs }: Time): Omit<Report, 'count'> {
  const { code = null, stage = null, output = null, message = SENTENCES[outcome] ?? '' } = error ?? {};
  const attempted = about && versionOf(about);
  return { outcome, code, stage, message, output, attempted, at: unixMs };
}

/** The verdict of a trial, about what is published: what is wanted may be newer by now, and has its own verdict to come. */
function verdictOf(before: State, event: Event, after: State, { unixMs }: Time): Standing | null {
  const { published } = after.ledger;
  if (published === null || before === after) return null;
  const says = (outcome: Outcome, error: SidecarError | null = null): Standing => ({
    ...{ outcome, about: published, error },
  });
  if (event.kind === 'trial-failed')
    return says(
      published.as === 'rolled-back' ? 'rollback-failed' : event.outcome,
      failedTrialError(event.error, before),
    );
  if (event.kind !== 'confirmed') return null;
  const current = after.session.journal.current?.outcome;
  switch (published.as) {
    case 'desired':
      return says(after.session.arrival ?? 'applied');
    case 'pinned':
      return says('pinned');
    case 'fallback':
      // Why nothing newer can be had says more.
      if (current === 'rejected' || current === 'blocked') return null;
      return says('applied', fallbackError(published, before.ledger, unixMs));
    case 'rolled-back':
      return rolledBack(after, published);
  }
}

/** Said of what did not work: of what is wanted, if it is that, else of what failed last. */
function rolledBack(state: State, published: Published): Standing {
  const { candidate, printed } = state.session;
  const blocks = blocksOf(state);
  const block = blocks.find(({ rendering }) => rendering === candidate?.version.rendering) ?? blocks[0];
  const output = block !== undefined && block.rendering === printed?.rendering ? printed.output : undefined;
  const error = rolledBackError(published, block, output);
  return { outcome: 'rolled-back', about: block ?? candidate?.version ?? null, error };
}
