// From the telling to the verdict: tells the application of what is on the volume, finds out whether that works, and
// notes what comes of it. It knows how, never when.

import { createHash } from 'node:crypto';
import {
  Confirmation,
  type ConfirmResult,
  type ConfirmSettings,
  confirmSettingsOf,
} from '../application/confirm/confirm.ts';
import { bootStamp, bootTicks } from '../application/process/boot-clock.ts';
import { childrenOf } from '../application/process/family.ts';
import type { ProcessFact } from '../application/types.ts';
import type { BadVerdict, Block, Evidence, Published, Told, Trial } from '../ledger/ledger.ts';
import * as ledgers from '../ledger/ledger.ts';
import type { ProcessId } from '../ledger/types.ts';
import { SidecarError, toSidecarError } from '../lib/errors.ts';
import { faultPoint } from '../lib/fault-point.ts';
import { errorFields } from '../lib/log.ts';
import { type Random, SLOW_RETRY_MS } from '../lib/schedule.ts';
import { tellsVersion } from '../settings/answer-match.ts';
import type { Loaded } from '../settings/settings.ts';
import { NAMES, rowOf } from '../settings/table.ts';
import type { AttemptedVersion } from './attempts.ts';
import type { Facts, Outcome } from './decide.ts';
import type { Publication } from './publication.ts';
import type { Reporter } from './reporter.ts';
import { Retries } from './retries.ts';
import type { Telling } from './telling.ts';
import { condemnedError, confirmedSecondsAgo, fallbackError, rolledBackError } from './verdict.ts';

export interface TryingParts {
  readonly loaded: Loaded;
  readonly publication: Publication;
  readonly telling: Telling;
  readonly reporter: Reporter;
  /** What is wanted now: what outcomes are about. */
  readonly wanted: () => AttemptedVersion | null;
  /** Whether there is a hook. */
  readonly tells: boolean;
  readonly random: Random;
  /** Milliseconds of a clock that does not jump. */
  readonly clock: () => number;
}

/** What is known when a trial begins. */
type Beginning = Pick<Trial, 'how' | 'process' | 'evidence' | 'notBefore' | 'toldFrom'> & {
  readonly children?: readonly ProcessId[];
};

export class Trying {
  readonly #parts: TryingParts;
  /** Digest of the reload and confirm settings: a verdict holds under them only. */
  readonly #under: string;
  #confirmation: Confirmation | null = null;
  /** Whether a trial was begun by this run: one that was not goes on from the run before. */
  #hasBegun = false;
  /** Tellings of something that worked before and did not this time. */
  readonly #retelling: Retries;
  #lookAt = 0;
  /** What the hook or the application said of what did not work last; forgotten with this run. */
  #said: { readonly rendering: string; readonly output: string | undefined } | null = null;
  #saveFails = false;
  #keepFails = false;

  constructor(parts: TryingParts) {
    this.#parts = parts;
    this.#under = digestOfSettings(parts.loaded);
    this.#retelling = new Retries(parts.random);
  }

  /** Its part of the facts. */
  facts(now: number): Pick<Facts, 'trial' | 'suspect' | 'blocked' | 'tellRetryAt'> {
    const { trial, suspect } = this.#parts.publication.ledger;
    const { process, retryAt } = this.#parts.telling;
    return {
      trial: trial && { lookAt: this.#lookAt },
      suspect: suspect && {
        // An orphaned worker of the dead one is older.
        isReplaced: process !== null && process.startTicks > (suspect.process?.startTicks ?? 0),
        until: now + suspect.until - Date.now(),
      },
      blocked: this.#blocks.map(({ rendering }) => rendering),
      tellRetryAt: retryAt,
    };
  }

  /** The process, as far as anybody asks for it: nobody does while what is on the volume works. */
  seeProcess(now: number): ProcessFact | null {
    const { owed, verdict, trial, suspect } = this.#parts.publication.ledger;
    const asks = owed !== null || suspect !== null || (verdict !== 'good' && trial === null);
    return asks ? this.#afterDeath(now) : null;
  }

  /**
   * Where the one before killed the application, a process from before this publication may have started with that and
   * be about to die of it: this one would be blamed.
   */
  #afterDeath(now: number): ProcessFact | null {
    const { publication, telling, loaded } = this.#parts;
    const { published } = publication.ledger;
    const fact = telling.see(published, now);
    if (fact?.kind !== 'ready' || published?.afterDeath !== true) return fact;
    const ticks = bootTicks();
    const since = published.moment?.ticks ?? null;
    if (ticks === null || since === null) return fact;
    const leftMs = loaded.settings.CONFIRM_PERIOD - (ticks - since) * 10;
    return leftMs > 0 ? { kind: 'settling', until: now + leftMs } : fact;
  }

  /** What is known not to work under the settings as they are, newest first. */
  get blocked(): readonly Block[] {
    return this.#parts.publication.ledger.blocked.filter(({ under }) => under === this.#under);
  }

  /** Whether this is known not to work, or suspected of it. */
  isBlocked(rendering: string): boolean {
    return this.#blocks.some((one) => one.rendering === rendering);
  }

  /** With what is suspected. */
  get #blocks(): readonly Block[] {
    const { suspect } = this.#parts.publication.ledger;
    return suspect === null ? this.blocked : [suspect.block, ...this.blocked];
  }

  /** One try to tell the application. */
  async reload(signal: AbortSignal): Promise<void> {
    const { telling, publication, reporter } = this.#parts;
    const { published, told } = publication.ledger;
    if (published === null) return;
    const { process } = telling;
    const beginning = {
      how: 'told',
      process,
      notBefore: Date.now(),
      toldFrom: bootTicks(),
      children: this.#childrenOf(process),
    } as const;
    faultPoint('reload');
    const result = await telling.tell(published, told?.version.revision ?? null, signal);
    if (result === null) return;
    faultPoint('delivered');
    reporter.attempts.countReload(result.kind === 'told' ? 'told' : result.result);
    if (result.kind === 'told') {
      this.#told({ ...beginning, evidence: result.evidence === null ? [] : [result.evidence] });
    } else if (result.result === 'unknown' && this.#canProve(published)) {
      // Whether it was told is not known, but it can be found out.
      this.#told({ ...beginning, evidence: [] });
    } else if (result.outcome === 'refused') this.#condemn('refused', result.error);
    else this.#report(result.outcome, result.error);
  }

  /** The process started with what is on the volume, so that it need not be told. */
  pickUp(): void {
    const { telling, publication, reporter } = this.#parts;
    reporter.attempts.countReload('picked-up');
    const notBefore = publication.ledger.published?.at ?? 0;
    this.#told({ how: 'picked-up', process: telling.process, evidence: ['started'], notBefore });
  }

  /** Nobody is to be told; what is on the volume is tried all the same. */
  begin(): void {
    const { telling, publication } = this.#parts;
    const notBefore = publication.ledger.published?.at ?? 0;
    const trial = this.#trial({ how: 'published', process: telling.process, evidence: [], notBefore });
    publication.note((ledger) => ledgers.triedBy(ledger, trial));
  }

  /** One look at whether what is on the volume works. */
  async confirm(signal: AbortSignal): Promise<void> {
    const { telling, publication, clock } = this.#parts;
    const { trial, published } = publication.ledger;
    if (trial === null || published === null) return;
    telling.see(published, clock());
    const sightings = { nowMs: Date.now(), ticks: bootTicks(), current: telling.process };
    const result = await this.#confirming.look(trial, published, sightings, signal);
    // Somebody may have gone back by hand meanwhile, and a sidecar that ends gives no verdict.
    if (signal.aborted || publication.ledger.trial !== trial) return;
    await this.#conclude(result, trial);
  }

  /** The death was one. */
  block(): void {
    const { publication, reporter } = this.#parts;
    const { suspect } = publication.ledger;
    if (suspect === null) return;
    publication.note(ledgers.suspicionTrue);
    this.save({ flushed: true });
    reporter.say('blocked by its verdict', suspect.block, { code: suspect.block.code });
  }

  /** Keeps a copy of what is on the volume, once that works. */
  async keep(): Promise<void> {
    const { publication, reporter } = this.#parts;
    try {
      await publication.keep();
      this.#keepFails = false;
    } catch (thrown) {
      const fields = errorFields(toSidecarError(thrown, 'ledger'));
      if (!this.#keepFails) reporter.say('generation not kept', publication.ledger.published, fields);
      this.#keepFails = true;
    }
  }

  /** A ledger that cannot be written now is written at the next occasion; what is owed is on the disk already. */
  save(options: { readonly flushed?: boolean } = {}): void {
    const { publication, reporter } = this.#parts;
    try {
      publication.save(options);
      this.#saveFails = false;
    } catch (thrown) {
      const fields = errorFields(toSidecarError(thrown, 'ledger'));
      if (!this.#saveFails) reporter.say('ledger not written', null, fields);
      this.#saveFails = true;
    }
  }

  get #confirming(): Confirmation {
    const { loaded } = this.#parts;
    const settings = (): ConfirmSettings => confirmSettingsOf(loaded);
    this.#confirmation ??= new Confirmation({ settings, resumed: !this.#hasBegun });
    return this.#confirmation;
  }

  #told(beginning: Beginning): void {
    const { publication, telling, reporter } = this.#parts;
    const { process, how, evidence } = beginning;
    const [first = null] = evidence as readonly Told['evidence'][];
    const told = { process, evidence: first, at: Date.now() };
    const trial = this.#trial(beginning);
    publication.note((ledger) => ledgers.toldOf(ledger, told, trial));
    telling.reset();
    this.save();
    faultPoint('told');
    reporter.say('told', publication.ledger.published, { how, ...(process && { pid: process.pid }) });
  }

  #trial({ children = [], ...beginning }: Beginning): Trial {
    this.#lookAt = 0;
    this.#hasBegun = true;
    const { RELOAD_SIGNAL, CONFIRM_PERIOD } = this.#parts.loaded.settings;
    const restarts = beginning.how === 'told' && RELOAD_SIGNAL === 'SIGTERM' && CONFIRM_PERIOD > 0;
    // In this order: a pause between the two makes the telling look earlier, which does no harm.
    const moment = bootStamp();
    return { ...beginning, children, restarts, moment, at: Date.now() };
  }

  /** Whether a look can tell that the application took this very version, though the hook did not answer. */
  #canProve({ digest }: Published): boolean {
    const { CONFIRM_MATCH, CONFIRM_WORKERS } = this.#parts.loaded.settings;
    const { publication, telling } = this.#parts;
    if (CONFIRM_WORKERS && telling.process !== null) return true;
    if (CONFIRM_MATCH === undefined) return false;
    const { byName, byTime } = tellsVersion(CONFIRM_MATCH);
    // The same data under another template has the same name.
    return byTime || (byName && publication.ledger.told?.version.digest !== digest);
  }

  /** The children to compare with after the telling; none when nobody asks for new ones. */
  #childrenOf(process: ProcessId | null): readonly ProcessId[] {
    return process !== null && this.#parts.loaded.settings.CONFIRM_WORKERS ? childrenOf(process) : [];
  }

  async #conclude(result: ConfirmResult, trial: Trial): Promise<void> {
    const { publication, tells, clock } = this.#parts;
    switch (result.kind) {
      case 'pending':
        this.#lookAt = clock() + result.inMs;
        return;
      case 'confirmed':
        return await this.#accept(result.evidence, trial);
      case 'absent':
        publication.note((ledger) => ledgers.trialLost(ledger, tells, Date.now()));
        return;
      case 'restarted': {
        // It came after the telling, so it has read what was told of.
        const evidence = [...trial.evidence, 'started'] as const;
        const next = { ...this.#trial({ ...trial, evidence, process: result.process }), restarts: false };
        publication.note((ledger) => ledgers.triedBy(ledger, next));
        return;
      }
      case 'died':
        return this.#condemn('target-died', errorOf(result), { isReplaced: result.replaced });
      case 'unconfirmed':
        return this.#condemn('unconfirmed', errorOf(result));
    }
  }

  async #accept(evidence: readonly Evidence[], { how }: Trial): Promise<void> {
    const { publication } = this.#parts;
    const { published } = publication.ledger;
    if (published === null) return;
    const ageSeconds = confirmedSecondsAgo(publication.ledger, published);
    faultPoint('confirm');
    publication.confirm(evidence);
    this.#retelling.clear();
    await this.keep();
    this.save();
    switch (published.as) {
      case 'desired':
        if (how === 'picked-up') return this.#report('picked-up');
        return this.#report(how === 'published' && !publication.isOurs ? 'unchanged' : 'applied');
      case 'pinned':
        return this.#report('pinned');
      case 'fallback':
        // Why nothing newer can be had says more.
        if (IN_THE_WAY.includes(this.#parts.reporter.attempts.current?.outcome)) return;
        return this.#report('applied', fallbackError(published, ageSeconds));
      case 'rolled-back':
        return this.#rolledBack(published);
    }
  }

  /** Said of what did not work: of what is wanted, if it is that, else of what failed last. */
  #rolledBack(published: Published): void {
    const { reporter, wanted } = this.#parts;
    const rendering = wanted()?.rendering;
    const block = this.#blocks.find((one) => one.rendering === rendering) ?? this.#blocks[0];
    const output = block?.rendering === this.#said?.rendering ? this.#said?.output : undefined;
    reporter.report('rolled-back', block ?? wanted(), rolledBackError(published, block, output));
  }

  /** What is on the volume does not work. `isReplaced`: it is known already that the application did not just end. */
  #condemn(outcome: BadVerdict, error: SidecarError, { isReplaced = true } = {}): void {
    const { clock, loaded, publication, telling, tells } = this.#parts;
    const { published } = publication.ledger;
    if (published === null) return;
    const { CONFIRM_TIMEOUT, ROLLBACK: goesBack } = loaded.settings;
    const { ledger } = publication;
    const block = this.#blockOf(published, outcome, error);
    this.#said = { rendering: published.rendering, output: error.output };
    const suspectUntil = isReplaced ? null : block.at + CONFIRM_TIMEOUT;
    publication.note((before) => ledgers.condemned(before, { block, suspectUntil }, tells));
    this.save({ flushed: true });
    faultPoint('condemned');
    const workedBefore = ledgers.lastKnownGoodOf(ledger)?.rendering === published.rendering;
    if (workedBefore) this.#retelling.fail(clock());
    telling.putOff(workedBefore ? this.#retelling.dueAt : clock() + SLOW_RETRY_MS);
    const said = published.as === 'rolled-back' ? 'rollback-failed' : outcome;
    this.#report(said, condemnedError(error, published, { ledger, goesBack }));
  }

  #blockOf(published: Published, outcome: BadVerdict, error: SidecarError): Block {
    const { code, message } = error;
    return { ...ledgers.versionOf(published), outcome, code, message, under: this.#under, at: Date.now() };
  }

  #report(outcome: Outcome, error: SidecarError | null = null): void {
    const { reporter, publication } = this.#parts;
    // What is wanted may be newer by now, and has its own verdict to come.
    reporter.report(outcome, publication.ledger.published, error);
  }
}

/** Outcomes that say why what is wanted is not published. */
const IN_THE_WAY: readonly (Outcome | undefined)[] = ['rejected', 'blocked'];

const SECTIONS: readonly string[] = ['Who is told, and how', 'Confirm and go back'];

function digestOfSettings({ given }: Loaded): string {
  // Without what is not set: a release that knows more settings would forget every verdict.
  const texts = NAMES.filter((name) => given.has(name) && SECTIONS.includes(rowOf(name).section)).map(
    (name) => [name, given.get(name)?.text],
  );
  return `sha256:${createHash('sha256').update(JSON.stringify(texts)).digest('hex')}`;
}

function errorOf(result: {
  readonly code: string;
  readonly message: string;
  readonly output?: string;
}): SidecarError {
  const { code, message, output } = result;
  return new SidecarError(message, { code, stage: 'reload', ...(output !== undefined && { output }) });
}
