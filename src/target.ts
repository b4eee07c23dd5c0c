// The loop of one target: look at the facts, ask `decide` for the next step, carry it out, look again. It alone changes
// what is published and reports outcomes; policy that grows here belongs into decide.ts.
import type { AttemptedVersion, Attempts, Stage } from './attempts.ts';
import { Candidate } from './candidate.ts';
import {
  decide,
  type Facts,
  isUnderWay,
  type Obstacle,
  type Outcome,
  type ProcessFact,
  type Step,
} from './decide.ts';
import { type SidecarError, toSidecarError } from './errors.ts';
import type { Followed } from './follow.ts';
import type { Generation } from './generation.ts';
import type { Block, Kept, Ledger, Published, PublishedAs } from './ledger.ts';
import * as ledgers from './ledger.ts';
import { errorFields, type Log } from './log.ts';
import { bootTicks } from './process/boot-clock.ts';
import { Publication } from './publication.ts';
import { hookKind } from './reload/settings.ts';
import { Reporter } from './reporter.ts';
import { Retries } from './retries.ts';
import { type Random, splayOf, spread } from './schedule.ts';
import type { Environment } from './settings/environment.ts';
import { withoutSecrets } from './settings/secrets.ts';
import type { Loaded } from './settings.ts';
import { Telling, type Untold } from './telling.ts';
import { Trying } from './trying.ts';
import { blockedError, chooseKept, fallbackError, notKeeping } from './verdict.ts';
import { sleep } from './wait.ts';

export interface TargetParts {
  readonly name: string;
  readonly loaded: Loaded;
  readonly env: Environment;
  readonly source: Followed;
  /** The followed templates; null without TEMPLATE. */
  readonly template: Followed | null;
  /** Who we are: for the splay, and for a second sidecar that waits for the lock. */
  readonly instance: string;
  readonly log: Log;
  readonly random: Random;
  /** Milliseconds of a clock that does not jump. */
  readonly clock: () => number;
  /**
   * Until the source has answered it is asked for so long, in milliseconds, and a failure is no answer: for a run that is
   * to end. Without it the first failure counts, and at the latest FETCH_TIMEOUT.
   */
  readonly asksForMs?: number;
  /** Called before every wait: nothing is left to do until then. */
  readonly onWait?: (waiting: Waiting) => void;
}

/** Why the loop waits, for a run that is to end when there is nothing left to do. */
export interface Waiting {
  readonly obstacle: Obstacle | null;
  readonly owed: boolean;
  /** Whether it is being found out if what is on the volume works. */
  readonly tries: boolean;
  /** Whether the application's process is only too young to be told. */
  readonly settling: boolean;
  /** How the last try to tell the application ended, when it was not told; null before one and after success. */
  readonly lastReload: Untold | null;
}

/** No wait is shorter, whatever the facts say: a mistake must not become a hot loop. */
const SHORTEST_WAIT_MS = 2;
/** A state directory that cannot be had is asked for again this often: a lock is given up without a word. */
const OPEN_AGAIN_MS = 1_000;

const DAMAGED = {
  before: 'One of the two copies of the ledger is damaged; the other one serves.',
  damaged:
    'Both copies of the ledger are damaged: what was blocked or pinned is forgotten, and the application may be told once more.',
} as const;

/** Outcomes that say why something is blocked. */
const ABOUT_A_BLOCK: readonly Outcome[] = [
  'rolled-back',
  'rollback-failed',
  'refused',
  'target-died',
  'unconfirmed',
];

/** Why a loop ends that another one for the same output takes over from: nothing is over by that. */
export const HANDED_OVER = 'handed over';

type Goal = Extract<Step, { kind: 'publish' }>['what'];

export class Target {
  readonly #parts: TargetParts;
  readonly #hook: Facts['hook'];
  readonly #limits: Omit<Facts['limits'], 'lookEveryMs'>;
  readonly #candidate: Candidate;
  readonly #publication: Publication;
  readonly #reporter: Reporter;
  readonly #telling: Telling;
  readonly #trying: Trying;
  readonly #publishing: Retries;
  #looked = { at: 0, everyMs: 0 };
  /** What the volume shows in place of what was published, told once. */
  #drift: string | null = null;
  #publishedAt: number | null = null;
  readonly #askUntil: number;
  #validating: Promise<void> | null = null;
  #wake = new AbortController();
  #waitsUntil: number | null = null;
  /** Whether the loop has waited since it last published. */
  #rested = true;

  constructor(parts: TargetParts) {
    const { loaded, env, source, template, instance, random, clock, name, log } = parts;
    const { OUTPUT: output, OUTPUT_OWNER, STATE_DIR: stateDir, ...settings } = loaded.settings;
    this.#parts = parts;
    this.#hook = hookKind(loaded.settings);
    const owner = OUTPUT_OWNER ?? null;
    this.#publication = new Publication({
      output,
      owner,
      stateDir,
      tells: this.#hook !== 'none',
      keeps: settings.KEEP_GENERATIONS,
      holder: instance,
    });
    const untilAnswered = parts.asksForMs !== undefined;
    this.#candidate = new Candidate({ loaded, env, source, template, random, clock, untilAnswered });
    this.#reporter = new Reporter(name, log, (text) => withoutSecrets(loaded, text));
    this.#telling = new Telling({ loaded, env, random, clock });
    this.#trying = new Trying({
      ...{ loaded, random, clock },
      ...{ publication: this.#publication, telling: this.#telling, reporter: this.#reporter },
      wanted: () => this.#candidate.version,
      tells: this.#hook !== 'none',
    });
    this.#publishing = new Retries(random);
    this.#askUntil = clock() + (parts.asksForMs ?? settings.FETCH_TIMEOUT);
    this.#limits = {
      debounceMs: settings.DEBOUNCE,
      debounceMaxMs: settings.DEBOUNCE_MAX,
      minIntervalMs: settings.RELOAD_MIN_INTERVAL,
      splayMs: splayOf(`${instance}/${output.path}`, settings.SPLAY),
    };
  }

  get attempts(): Attempts {
    return this.#reporter.attempts;
  }

  get ledger(): Ledger {
    return this.#publication.ledger;
  }

  /** The newest version that was asked for; `rendering` null when it was rejected. */
  get desired(): AttemptedVersion | null {
    return this.#candidate.version;
  }

  /** Whether the lock is ours, so that nobody else keeps this output. */
  get isOpen(): boolean {
    return this.#publication.isOpen;
  }

  /** The folder of the state directory that belongs to this output. */
  get stateDirectory(): string {
    return this.#publication.stateDirectory;
  }

  /** What is known not to work under the settings as they are, newest first. */
  get blocked(): readonly Block[] {
    return this.#trying.blocked;
  }

  /** Whether a configuration of ours is on the volume; false as soon as it has vanished. */
  get isReady(): boolean {
    return this.#publication.isThere;
  }

  /** Whether something is being done that ends in an outcome by itself. */
  get isUnderWay(): boolean {
    return this.isOpen && (this.#waitsUntil === null || isUnderWay(this.#facts()));
  }

  /** Milliseconds until what is not done yet is tried again; null while it is at work, and when there is nothing to try. */
  get triesAgainInMs(): number | null {
    if (this.#waitsUntil === null) return null;
    const now = this.#parts.clock();
    const { owed, trial, suspect } = this.ledger;
    const isOwed = owed !== null || trial !== null || suspect !== null;
    const retries = [
      this.#publishing.dueAt,
      this.#candidate.checkDueAt,
      isOwed ? this.#telling.retryAt : 0,
    ].filter((at) => at > now);
    if (retries.length > 0) return Math.min(...retries) - now;
    return isOwed || !this.#publication.isOpen ? Math.max(0, this.#waitsUntil - now) : null;
  }

  /** A snapshot or a template arrived, or the source failed: the loop looks again. */
  notice(): void {
    const isSame = this.#candidate.take();
    // A new revision of the same data is nothing to do, and hides nothing that is still open.
    if (isSame && this.#isPublished && !this.attempts.isOpen) this.#report('unchanged');
    this.#wake.abort();
  }

  /**
   * Tries again, at once, what was rejected: the reason may lie outside the data (a schema that was mended).
   * `unblock`: what is known not to work as well.
   */
  tryAgain({ unblock = false }: { readonly unblock?: boolean } = {}): void {
    this.#candidate.tryAgain();
    this.#publishing.clear();
    if (unblock) {
      this.#publication.note((ledger) => ledgers.unblocked(ledger, this.#hook !== 'none', Date.now()));
      this.#telling.reset();
      this.#candidate.reconsider();
      // What was said of what is tried again now is over.
      if (this.attempts.isOpen) this.attempts.close();
    }
    this.#wake.abort();
  }

  /**
   * Goes back to a kept generation and stays there, over restarts; null: the newest one that is not on the volume.
   * @throws SidecarError `control.*` when there is no such generation, or `ledger.write`: nothing has changed then.
   */
  pin(generation: number | null): Kept {
    if (!this.isOpen) throw notKeeping();
    const onVolume = this.#publication.volume?.rendering ?? null;
    const chosen = chooseKept(this.ledger, { generation, onVolume });
    // One that cannot be read is not chosen, and nothing changes.
    this.#publication.copyOf(chosen);
    const { rendering } = chosen;
    this.#setPinned({ rendering, generation: chosen.generation });
    this.#reporter.say('pinned by hand', chosen, { generation: chosen.generation });
    return chosen;
  }

  /**
   * Follows the source again. @returns false when it was not pinned.
   * @throws SidecarError `ledger.write`: it is still pinned then.
   */
  unpin(): boolean {
    if (!this.isOpen) throw notKeeping();
    if (this.ledger.pinned === null) return false;
    this.#setPinned(null);
    this.#reporter.say('resumed by hand', this.desired);
    return true;
  }

  #setPinned(pinned: Ledger['pinned']): void {
    const before = this.ledger.pinned;
    this.#publication.note((ledger) => ({ ...ledger, pinned }));
    try {
      this.#publication.save({ flushed: true });
    } catch (thrown) {
      this.#publication.note((ledger) => ({ ...ledger, pinned: before }));
      throw thrown;
    }
    this.#candidate.reconsider();
    this.#publishing.clear();
    this.#wake.abort();
  }

  /** Runs until the signal aborts. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = (): void => this.#wake.abort();
    signal.addEventListener('abort', stop);
    while (!signal.aborted) {
      try {
        if (this.#publication.isOpen) await this.#carryOut(decide(this.#facts()), signal);
        else await this.#open(signal);
      } catch (thrown) {
        this.#report('failed', toSidecarError(thrown));
        await sleep(OPEN_AGAIN_MS, signal);
      }
    }
    signal.removeEventListener('abort', stop);
    await this.#validating;
    if (signal.reason !== HANDED_OVER) this.#publication.note(ledgers.suspicionDropped);
    this.#trying.save();
    this.#publication.release();
  }

  /** Whether what was rendered last is published, and whoever is to be told of it was told. */
  get #isPublished(): boolean {
    const { published, owed, verdict } = this.ledger;
    const isSettled = owed === null && verdict === 'good';
    return isSettled && published !== null && published.rendering === this.desired?.rendering;
  }

  async #open(signal: AbortSignal): Promise<void> {
    try {
      // Its copy would be taken for a left-over.
      await this.#validating;
      const from = await this.#publication.open();
      if (this.attempts.current?.stage === 'publish') this.attempts.close();
      this.#noteLook();
      if (from === 'before' || from === 'damaged')
        this.#reporter.say('ledger damaged', null, { from, message: DAMAGED[from] });
    } catch (thrown) {
      this.#report('failed', toSidecarError(thrown, 'publish'));
      await this.#sleep(OPEN_AGAIN_MS, { signal, obstacle: null });
    }
  }

  #facts(): Facts {
    const { clock, loaded } = this.#parts;
    const now = clock();
    const { ledger, volume, held } = this.#publication;
    const { published, owed, verdict, pinned, kept } = ledger;
    const isKept = kept.some(({ rendering }) => rendering === published?.rendering);
    const isPinKept = kept.some(({ rendering }) => rendering === pinned?.rendering);
    return {
      ...this.#candidate.facts,
      isValidating: this.#validating !== null,
      now,
      limits: { ...this.#limits, lookEveryMs: this.#looked.everyMs },
      askUntil: this.#askUntil,
      volume: volume && { rendering: volume.rendering, lookedAt: this.#looked.at },
      published: published && { rendering: published.rendering, held: held !== null || isKept, verdict },
      publishedAt: this.#publishedAt,
      publishRetryAt: this.#publishing.dueAt,
      lastKnownGood: kept[0]?.rendering ?? null,
      pinned: isPinKept ? (pinned?.rendering ?? null) : null,
      isPinLost: pinned !== null && !isPinKept,
      goesBack: loaded.settings.ROLLBACK,
      owed: owed !== null,
      hook: this.#hook,
      // Where the volume is to be looked at first, the look-up would be done for nothing.
      process: volume && this.#asksForProcess(ledger) ? this.#process(now) : null,
      ...this.#trying.facts(now),
    };
  }

  /**
   * Where the one before killed the application, a process from before this publication may have started with that and
   * be about to die of it: this one would be blamed.
   */
  #process(now: number): ProcessFact | null {
    const { published } = this.ledger;
    const fact = this.#telling.see(published, now);
    if (fact?.kind !== 'ready' || published?.afterDeath !== true) return fact;
    const ticks = bootTicks();
    const since = published.moment?.ticks ?? null;
    if (ticks === null || since === null) return fact;
    const leftMs = this.#parts.loaded.settings.CONFIRM_PERIOD - (ticks - since) * 10;
    return leftMs > 0 ? { kind: 'settling', until: now + leftMs } : fact;
  }

  /** Nobody asks for the process while what is on the volume works. */
  #asksForProcess({ owed, verdict, trial, suspect }: Ledger): boolean {
    return owed !== null || suspect !== null || (verdict !== 'good' && trial === null);
  }

  async #carryOut(step: Step, signal: AbortSignal): Promise<void> {
    switch (step.kind) {
      case 'look':
        return await this.#look();
      case 'render':
        return await this.#timed('render', () => this.#render());
      case 'validate':
        // Whether the one before works is looked at meanwhile: a death is not to wait for a slow command.
        this.#validating = this.#timed('validate', () => this.#validate(signal))
          .catch((thrown) => this.#report('failed', toSidecarError(thrown, 'validate')))
          .finally(() => {
            this.#validating = null;
            this.#wake.abort();
          });
        return this.ledger.trial === null ? await this.#validating : undefined;
      case 'publish':
        return await this.#timed('publish', () => this.#publish(step.what));
      case 'adopt':
        return this.#adopt(step.what);
      case 'reload':
        return await this.#timed('reload', () => this.#trying.reload(signal));
      case 'settle':
        return step.why === 'picked-up' ? this.#trying.pickUp() : this.#publication.forgive();
      case 'try':
        return this.#trying.begin();
      case 'confirm':
        return await this.#timed('confirm', () => this.#confirm(signal));
      case 'block':
        return this.#trying.block();
      case 'wait':
        return await this.#wait(step, signal);
    }
  }

  async #look(): Promise<void> {
    if (!this.#publication.checkState()) return;
    await this.#publication.look(this.#parts.clock());
    this.#noteLook();
    await this.#trying.keep();
  }

  #noteLook(): void {
    const { clock, random, loaded } = this.#parts;
    this.#looked = { at: clock(), everyMs: spread(loaded.settings.UPDATE_FREQUENCY, random) };
    const { published } = this.ledger;
    const found = this.#publication.volume?.rendering ?? 'nothing';
    const drift = published === null || found === published.rendering ? null : found;
    if (drift !== null && drift !== this.#drift) this.#reporter.say('drift', published, { found });
    this.#drift = drift;
  }

  async #render(): Promise<void> {
    if (!this.#rested) await this.#candidate.takeArrived();
    const rejection = await this.#candidate.render(this.ledger.published);
    if (rejection !== null) return this.#report('rejected', rejection);
    this.#publishing.clear();
    const { generation } = this.#candidate;
    if (generation === null) return;
    if (this.ledger.pinned !== null) return this.#changedWhilePinned();
    if (generation.rendering === this.#publication.volume?.rendering) return this.#alreadyThere(generation);
    const block = this.blocked.find(({ rendering }) => rendering === generation.rendering);
    if (block !== undefined && !this.#isToldOf(block)) this.#report('blocked', blockedError(block));
  }

  /** What somebody chose by hand stays; whether it works is said when that is known. */
  #changedWhilePinned(): void {
    const { pinned, published, verdict } = this.ledger;
    if (published?.rendering === pinned?.rendering && verdict === 'good')
      this.#reporter.report('pinned', published);
  }

  /** Whether the outcome that stands is about what is blocked already: it says more. */
  #isToldOf({ rendering }: Block): boolean {
    const { current } = this.attempts;
    return current?.attempted?.rendering === rendering && ABOUT_A_BLOCK.includes(current.outcome);
  }

  #alreadyThere(generation: Generation): void {
    const { published, owed, verdict, trial } = this.ledger;
    this.#publication.hold(generation);
    this.#publishedAt ??= this.#parts.clock() - this.#limits.minIntervalMs;
    if (published?.rendering !== generation.rendering) return;
    const isNew = published.as !== 'desired';
    if (isNew)
      this.#publication.note((ledger) => ({ ...ledger, published: { ...published, as: 'desired' } }));
    const { reason } = this.#telling;
    const block = this.blocked.find(({ rendering }) => rendering === generation.rendering);
    const goesBack = this.#parts.loaded.settings.ROLLBACK && this.ledger.kept.length > 0;
    // What takes its place reports itself.
    if (block !== undefined && goesBack) return;
    if (block !== undefined) this.#report(block.outcome, blockedError(block));
    else if (verdict === 'good' && owed === null) this.#report(isNew ? 'applied' : 'unchanged');
    // What was said of another change is over; what is still owed is what stands again.
    else if (trial === null && reason !== null) this.#report(reason.outcome, reason.error);
  }

  async #confirm(signal: AbortSignal): Promise<void> {
    await this.#trying.confirm(signal);
    const { trial, published } = this.ledger;
    const { complaint, generation } = this.#candidate;
    // What came meanwhile and cannot be applied has to be said once more: the verdict is about something else.
    if (trial !== null || this.desired?.rendering === published?.rendering) return;
    if (this.attempts.current?.outcome === 'rolled-back') return;
    if (complaint !== null) return this.#complain(complaint);
    const block = this.blocked.find(({ rendering }) => rendering === generation?.rendering);
    if (published?.as === 'desired' && block !== undefined) this.#report('blocked', blockedError(block));
  }

  #complain(error: SidecarError, version = this.#candidate.version): void {
    const isAboutContent = error.stage === 'validate' || error.stage === 'render';
    this.#reporter.report(isAboutContent ? 'rejected' : 'failed', version, error);
  }

  async #validate(signal: AbortSignal): Promise<void> {
    // The copy must not bring back a state directory that is not ours any more.
    if (!this.#publication.checkState()) return;
    const { version } = this.#candidate;
    const error = await this.#candidate.validate(this.#publication.stateDirectory, signal);
    if (error !== null) this.#complain(error, version);
  }

  async #publish(what: Goal): Promise<void> {
    const { clock } = this.#parts;
    const startedAt = clock();
    this.#rested = false;
    const [generation, version] = this.#wanted(what);
    if (!this.#publication.checkState()) return;
    // Nothing to publish, whatever the facts say: a mistake must not become a hot loop.
    if (generation === null || version === null) return this.#publishing.fail(startedAt);
    const isUrgent = what === 'last-known-good' || what === 'pinned';
    try {
      await this.#publication.publish(generation, version, {
        isUrgent,
        meanwhile: () => this.#telling.foresee(),
      });
    } catch (thrown) {
      this.#publishing.fail(clock());
      return this.#report('failed', toSidecarError(thrown, 'publish'));
    }
    this.#publishedAt = startedAt;
    this.#noteLook();
    this.#publishing.clear();
    this.#telling.reset();
    this.#reporter.say('published', version, { generation: this.ledger.generation, as: version.as });
    if (version.as === 'fallback')
      this.#reporter.say('serving the last known good', version, this.#ageOf(version));
  }

  /** The bytes and the version to publish; a copy that is damaged is said, and is none from then on. */
  #wanted(what: Goal): readonly [Generation | null, Published | null] {
    const { ledger, held } = this.#publication;
    if (what === 'rendered') return [this.#candidate.generation, this.#candidate.publishable];
    if (what === 'published' && held !== null) return [held, this.#publishedAgain()];
    const rendering = what === 'pinned' ? ledger.pinned?.rendering : ledger.published?.rendering;
    const kept =
      what === 'last-known-good' ? ledger.kept[0] : ledger.kept.find((one) => one.rendering === rendering);
    if (kept === undefined) return [null, null];
    try {
      const generation = this.#publication.copyOf(kept);
      if (what === 'published') return [generation, this.#publishedAgain()];
      return [generation, publishedOf(kept, what === 'pinned' ? 'pinned' : this.#whyGoodOne())];
    } catch (thrown) {
      this.#report('failed', toSidecarError(thrown, 'ledger'));
      return [null, null];
    }
  }

  /** It is put back because what is wanted cannot be had: else that would be. */
  #publishedAgain(): Published | null {
    const { published } = this.ledger;
    return published?.as === 'desired' ? { ...published, as: 'fallback' } : published;
  }

  /** Whether the last known good serves because something did not work, or because nothing else can be had. */
  #whyGoodOne(): PublishedAs {
    const { published, verdict } = this.ledger;
    const wanted = this.#candidate.generation?.rendering;
    const isBlocked = wanted !== undefined && this.#trying.facts(0).blocked.includes(wanted);
    const isBad = published !== null && verdict !== 'good' && verdict !== 'pending';
    return isBlocked || isBad ? 'rolled-back' : 'fallback';
  }

  #ageOf({ rendering }: Published): { readonly ageSeconds: number } {
    const confirmedAt =
      this.ledger.kept.find((one) => one.rendering === rendering)?.confirmedAt ?? Date.now();
    return { ageSeconds: Math.round((Date.now() - confirmedAt) / 1000) };
  }

  #adopt(what: Goal): void {
    const [, version] = this.#wanted(what);
    if (version !== null) this.#publication.adopt(version);
  }

  async #wait({ until, obstacle }: Extract<Step, { kind: 'wait' }>, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const met = this.#telling.meet(obstacle);
    const { reason } = this.#telling;
    if (met !== null && reason !== null) {
      // Why something was taken back, or had to stay, says more than that the application is not back yet.
      if (!this.#isAboutBlock) this.#report(reason.outcome, reason.error);
      if (met === 'loud')
        this.#reporter.say('reload overdue', this.ledger.published, errorFields(reason.error));
    }
    if (this.attempts.current === null) this.#sayWhatServes();
    this.#trying.save();
    if (obstacle === null) this.#telling.glance();
    await this.#sleep(until - clock(), { signal, obstacle });
  }

  /** After a start without the source: what there is, and how old. */
  #sayWhatServes(): void {
    const { published, verdict, owed, kept } = this.ledger;
    if (published === null || verdict !== 'good' || owed !== null || this.desired !== null) return;
    if (!this.#candidate.facts.asked || !this.isReady) return;
    const confirmedAt = kept.find((one) => one.rendering === published.rendering)?.confirmedAt;
    const ageSeconds = confirmedAt === undefined ? null : Math.round((Date.now() - confirmedAt) / 1000);
    this.#reporter.report('unchanged', published, fallbackError(published, ageSeconds));
  }

  async #sleep(
    ms: number,
    { signal, obstacle }: { signal: AbortSignal; obstacle: Obstacle | null },
  ): Promise<void> {
    const { clock, onWait } = this.#parts;
    this.#wake = new AbortController();
    if (signal.aborted) return;
    const { isSettling: settling, lastResult: lastReload } = this.#telling;
    const { owed, trial, suspect, verdict, published } = this.ledger;
    const isUntried = published !== null && owed === null && verdict === 'pending';
    const goesBack = published?.as === 'rolled-back' && owed !== null && !this.#hasFailedToGoBack;
    const tries =
      this.#validating !== null ||
      trial !== null ||
      suspect !== null ||
      goesBack ||
      (isUntried && obstacle === null);
    onWait?.({ obstacle, owed: owed !== null, tries, settling, lastReload });
    const waitMs = Math.max(SHORTEST_WAIT_MS, ms);
    this.#waitsUntil = clock() + waitMs;
    await sleep(waitMs, this.#wake.signal);
    this.#waitsUntil = null;
    this.#rested = true;
  }

  get #hasFailedToGoBack(): boolean {
    return this.attempts.current?.outcome === 'rollback-failed';
  }

  get #isAboutBlock(): boolean {
    const { published, verdict } = this.ledger;
    const isBad = published?.as === 'rolled-back' || (verdict !== 'good' && verdict !== 'pending');
    return isBad && ABOUT_A_BLOCK.includes(this.attempts.current?.outcome ?? 'applied');
  }

  async #timed(stage: Stage, step: () => Promise<void>): Promise<void> {
    const startedAt = this.#parts.clock();
    await step();
    this.attempts.observe(stage, this.#parts.clock() - startedAt);
  }

  #report(outcome: Outcome, error: SidecarError | null = null): void {
    this.#reporter.report(outcome, this.#candidate.version, error);
  }
}

function publishedOf(kept: Kept, as: PublishedAs): Published {
  return { ...ledgers.versionOf(kept), input: kept.input, moment: null, as };
}
