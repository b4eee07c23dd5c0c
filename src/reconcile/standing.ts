// The outcome that stands: what is said of a change besides the verdict on it, and what must not be covered up by that.

import { type Block, lastKnownGoodOf } from '../ledger/ledger.ts';
import type { SidecarError } from '../lib/errors.ts';
import { errorFields } from '../lib/log.ts';
import type { AttemptedVersion } from './attempts.ts';
import type { Candidate } from './candidate.ts';
import { isVerdictBad, type Outcome } from './decide.ts';
import type { Publication } from './publication.ts';
import type { Reporter } from './reporter.ts';
import type { Telling } from './telling.ts';
import type { Trying } from './trying.ts';
import { blockedError, confirmedSecondsAgo, fallbackError } from './verdict.ts';

export interface StandingParts {
  readonly candidate: Candidate;
  readonly publication: Publication;
  readonly telling: Telling;
  readonly trying: Trying;
  readonly reporter: Reporter;
  /** `ROLLBACK` */
  readonly goesBack: boolean;
  /** Whether there is a hook. */
  readonly tells: boolean;
}

/** Outcomes that say why something is blocked. */
const ABOUT_A_BLOCK: readonly (Outcome | undefined)[] = [
  'rolled-back',
  'rollback-failed',
  'refused',
  'target-died',
  'unconfirmed',
];

export class Standing {
  readonly #parts: StandingParts;

  constructor(parts: StandingParts) {
    this.#parts = parts;
  }

  /** An attempt to get to what is wanted ended. */
  report(outcome: Outcome, error: SidecarError | null = null): void {
    this.#parts.reporter.report(outcome, this.#parts.candidate.version, error);
  }

  /** What is wanted, or was when it was asked about, cannot be had. */
  refuse(error: SidecarError, version: AttemptedVersion | null = this.#parts.candidate.version): void {
    const isAboutContent = error.stage === 'validate' || error.stage === 'render';
    this.#parts.reporter.report(isAboutContent ? 'rejected' : 'failed', version, error);
  }

  /** A new revision of the same data is nothing to do, and hides nothing that is still open. */
  sameAgain(): void {
    const { publication, candidate, reporter } = this.#parts;
    const { published, owed, verdict } = publication.ledger;
    if (owed !== null || verdict !== 'good' || reporter.attempts.isOpen) return;
    if (published?.rendering === candidate.version?.rendering && published !== null) this.report('unchanged');
  }

  /** What somebody chose by hand stays while it changes; whether it works is said when that is known. */
  changedWhilePinned(): void {
    const { publication, reporter } = this.#parts;
    const { pinned, published, verdict } = publication.ledger;
    if (published?.rendering === pinned?.rendering && verdict === 'good')
      reporter.report('pinned', published);
  }

  /** What is wanted is on the volume. `isNew`: it was there for another reason until now. */
  alreadyThere(isNew: boolean): void {
    const { publication, telling, goesBack } = this.#parts;
    const { ledger } = publication;
    const { reason } = telling;
    const block = this.#blockOfWanted;
    if (block !== undefined) {
      // What takes its place reports itself.
      if (!goesBack || lastKnownGoodOf(ledger) === null) this.report(block.outcome, blockedError(block));
    } else if (ledger.verdict === 'good' && ledger.owed === null)
      this.report(isNew ? 'applied' : 'unchanged');
    // What was said of another change is over; what is still owed is what stands again.
    else if (ledger.trial === null && reason !== null) this.report(reason.outcome, reason.error);
    else if (!this.#parts.tells && isVerdictBad(ledger.verdict)) this.#badUnderOthers();
  }

  /** Nobody is told, so it is tried when the application starts with it, and not before. */
  #badUnderOthers(): void {
    const { rendering } = this.#parts.candidate.version ?? {};
    const block = this.#parts.publication.ledger.blocked.find((one) => one.rendering === rendering);
    if (block !== undefined) this.report(block.outcome, blockedError(block));
  }

  /** What is wanted is known not to work, and does not get to the volume. */
  blocked(): void {
    const block = this.#blockOfWanted;
    const { current } = this.#parts.reporter.attempts;
    if (block === undefined) return;
    // The outcome that stands is about what is blocked already: it says more.
    const isTold =
      current?.attempted?.rendering === block.rendering && ABOUT_A_BLOCK.includes(current.outcome);
    if (!isTold) this.report('blocked', blockedError(block));
  }

  /** What came during a trial and cannot be applied is said once more: the verdict is about something else. */
  tried(): void {
    const { publication, candidate, reporter } = this.#parts;
    const { trial, published } = publication.ledger;
    if (trial !== null || candidate.version?.rendering === published?.rendering) return;
    if (reporter.attempts.current?.outcome === 'rolled-back') return;
    const block = this.#blockOfWanted;
    if (candidate.complaint !== null) this.refuse(candidate.complaint);
    else if (published?.as === 'desired' && block !== undefined) this.report('blocked', blockedError(block));
  }

  /** Nothing can be done until later. `isLoud`: the application has been waited for too long. */
  waits(isLoud: boolean): void {
    const { telling, publication, reporter } = this.#parts;
    const { reason } = telling;
    if (reason === null) return;
    // What was seen of it is no evidence any more.
    if (reason.outcome === 'no-target' && publication.ledger.running !== null)
      publication.note((ledger) => ({ ...ledger, running: null }));
    // Why something was taken back, or had to stay, says more than that the application is not back yet.
    if (!this.#isAboutBlock) this.report(reason.outcome, reason.error);
    if (isLoud) reporter.say('reload overdue', publication.ledger.published, errorFields(reason.error));
  }

  /** After a start without the source: what there is, and how old. */
  servesMeanwhile(): void {
    const { publication, candidate, reporter } = this.#parts;
    const { ledger } = publication;
    const { published, verdict, owed } = ledger;
    if (reporter.attempts.current !== null || candidate.version !== null) return;
    if (published === null || verdict !== 'good' || owed !== null) return;
    if (!candidate.facts.asked || !publication.isThere) return;
    const error = fallbackError(published, confirmedSecondsAgo(ledger, published));
    reporter.report('unchanged', published, error);
  }

  get #blockOfWanted(): Block | undefined {
    const { candidate, trying } = this.#parts;
    return trying.blocked.find(({ rendering }) => rendering === candidate.generation?.rendering);
  }

  get #isAboutBlock(): boolean {
    const { publication, reporter } = this.#parts;
    const { published, verdict } = publication.ledger;
    const isBad = published?.as === 'rolled-back' || isVerdictBad(verdict);
    return isBad && ABOUT_A_BLOCK.includes(reporter.attempts.current?.outcome);
  }
}
