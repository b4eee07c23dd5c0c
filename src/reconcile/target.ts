// The loop of one target: look at the facts, ask `decide` for the next step, carry it out, look again. It alone changes
// what is published and reports outcomes; policy that grows here belongs into decide.ts.

import { hookKind } from '../application/reload/settings.ts';
import type { Obstacle } from '../application/types.ts';
import type { Block, Kept, Ledger } from '../ledger/ledger.ts';
import * as ledgers from '../ledger/ledger.ts';
import { toSidecarError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { type Random, splayOf, spread } from '../lib/schedule.ts';
import { sleep } from '../lib/wait.ts';
import type { Generation } from '../render/generation.ts';
import type { Environment } from '../settings/environment.ts';
import { withoutSecrets } from '../settings/secrets.ts';
import type { Loaded } from '../settings/settings.ts';
import type { Followed } from '../source/follow.ts';
import type { AttemptedVersion, Attempts, Stage } from './attempts.ts';
import { Candidate } from './candidate.ts';
import { type Choice, choose, type Goal } from './choice.ts';
import { decide, type Facts, isUnderWay, type Step } from './decide.ts';
import { Publication } from './publication.ts';
import { Reporter } from './reporter.ts';
import { Retries } from './retries.ts';
import { Standing } from './standing.ts';
import { Telling } from './telling.ts';
import { Trying } from './trying.ts';
import { type UnderTrial, underTrialOf } from './under-trial.ts';
import { chooseKept, confirmedSecondsAgo, notKeeping } from './verdict.ts';
import { type Waiting, waitingOf } from './waiting.ts';

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

/** No wait is shorter, whatever the facts say: a mistake must not become a hot loop. */
const SHORTEST_WAIT_MS = 2;
/** A state directory that cannot be had is asked for again this often: a lock is given up without a word. */
const OPEN_AGAIN_MS = 1_000;

const DAMAGED = {
  before: 'One of the two copies of the ledger is damaged; the other one serves.',
  damaged:
    'Both copies of the ledger are damaged: what was blocked or pinned is forgotten, and the application may be told once more.',
} as const;

/** Why a loop ends that another one for the same output takes over from: nothing is over by that. */
export const HANDED_OVER = 'handed over';

export class Target {
  readonly #parts: TargetParts;
  readonly #hook: Facts['hook'];
  readonly #limits: Omit<Facts['limits'], 'lookEveryMs'>;
  readonly #candidate: Candidate;
  readonly #publication: Publication;
  readonly #reporter: Reporter;
  readonly #telling: Telling;
  readonly #trying: Trying;
  readonly #standing: Standing;
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
      maxBytes: settings.MAX_SIZE,
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
    this.#standing = new Standing({
      ...{ candidate: this.#candidate, publication: this.#publication, reporter: this.#reporter },
      ...{
        telling: this.#telling,
        trying: this.#trying,
        goesBack: settings.ROLLBACK,
        tells: this.#hook !== 'none',
      },
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

  /** What is being found out just now: whether what is on the volume works. */
  get underTrial(): UnderTrial | null {
    return underTrialOf(this.ledger, this.#parts.loaded.settings);
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
    if (isSame) this.#standing.sameAgain();
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
    this.#publication.pin(pinned);
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
        this.#standing.report('failed', toSidecarError(thrown));
        await sleep(OPEN_AGAIN_MS, signal);
      }
    }
    signal.removeEventListener('abort', stop);
    await this.#validating;
    if (signal.reason !== HANDED_OVER) this.#publication.note(ledgers.suspicionDropped);
    this.#trying.save();
    this.#publication.release();
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
      this.#standing.report('failed', toSidecarError(thrown, 'publish'));
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
      lastKnownGood: ledgers.lastKnownGoodOf(ledger)?.rendering ?? null,
      pinned: isPinKept ? (pinned?.rendering ?? null) : null,
      isPinLost: pinned !== null && !isPinKept,
      goesBack: loaded.settings.ROLLBACK,
      owed: owed !== null,
      hook: this.#hook,
      // Where the volume is to be looked at first, the look-up would be done for nothing.
      process: volume && this.#trying.seeProcess(now),
      ...this.#trying.facts(now),
    };
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
          .catch((thrown) => this.#standing.report('failed', toSidecarError(thrown, 'validate')))
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
    if (rejection !== null) return this.#standing.report('rejected', rejection);
    this.#publishing.clear();
    const { generation } = this.#candidate;
    if (generation === null) return;
    if (this.ledger.pinned !== null) this.#standing.changedWhilePinned();
    else if (generation.rendering === this.#publication.volume?.rendering) this.#alreadyThere(generation);
    else this.#standing.blocked();
  }

  #alreadyThere(generation: Generation): void {
    const { published } = this.ledger;
    this.#publication.hold(generation);
    this.#publishedAt ??= this.#parts.clock() - this.#limits.minIntervalMs;
    if (published?.rendering !== generation.rendering) return;
    const isNew = published.as !== 'desired';
    if (isNew)
      this.#publication.note((ledger) => ({ ...ledger, published: { ...published, as: 'desired' } }));
    this.#standing.alreadyThere(isNew);
  }

  async #confirm(signal: AbortSignal): Promise<void> {
    await this.#trying.confirm(signal);
    this.#standing.tried();
  }

  async #validate(signal: AbortSignal): Promise<void> {
    // The copy must not bring back a state directory that is not ours any more.
    if (!this.#publication.checkState()) return;
    const { version } = this.#candidate;
    const error = await this.#candidate.validate(this.#publication.stateDirectory, signal);
    if (error !== null) this.#standing.refuse(error, version);
  }

  async #publish(what: Goal): Promise<void> {
    const { clock } = this.#parts;
    const startedAt = clock();
    this.#rested = false;
    const choice = this.#choose(what);
    if (!this.#publication.checkState()) return;
    // Nothing to publish, whatever the facts say: a mistake must not become a hot loop.
    if (choice === null) return this.#publishing.fail(startedAt);
    const { generation, version } = choice;
    const isUrgent = what === 'last-known-good' || what === 'pinned';
    try {
      await this.#publication.publish(generation, version, {
        isUrgent,
        meanwhile: () => this.#telling.foresee(),
      });
    } catch (thrown) {
      this.#publishing.fail(clock());
      return this.#standing.report('failed', toSidecarError(thrown, 'publish'));
    }
    this.#publishedAt = startedAt;
    this.#noteLook();
    this.#publishing.clear();
    this.#telling.reset();
    this.#reporter.say('published', version, { generation: this.ledger.generation, as: version.as });
    if (version.as !== 'fallback') return;
    const ageSeconds = confirmedSecondsAgo(this.ledger, version) ?? 0;
    this.#reporter.say('serving the last known good', version, { ageSeconds });
  }

  /** What is to be on the volume; a copy that is damaged is said, and then there is none. */
  #choose(what: Goal): Choice | null {
    const isBlocked = (rendering: string): boolean => this.#trying.isBlocked(rendering);
    try {
      return choose(what, { candidate: this.#candidate, publication: this.#publication, isBlocked });
    } catch (thrown) {
      this.#standing.report('failed', toSidecarError(thrown, 'ledger'));
      return null;
    }
  }

  #adopt(what: Goal): void {
    const choice = this.#choose(what);
    if (choice !== null) this.#publication.adopt(choice.version);
  }

  async #wait({ until, obstacle }: Extract<Step, { kind: 'wait' }>, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const met = this.#telling.meet(obstacle);
    if (met !== null) this.#standing.waits(met === 'loud');
    this.#standing.servesMeanwhile();
    this.#trying.save();
    if (obstacle === null) this.#telling.glance();
    await this.#sleep(until - clock(), { signal, obstacle });
  }

  async #sleep(
    ms: number,
    { signal, obstacle }: { signal: AbortSignal; obstacle: Obstacle | null },
  ): Promise<void> {
    const { clock, onWait } = this.#parts;
    this.#wake = new AbortController();
    if (signal.aborted) return;
    onWait?.(
      waitingOf(this.ledger, {
        obstacle,
        telling: this.#telling,
        isValidating: this.#validating !== null,
        hasFailedToGoBack: this.attempts.current?.outcome === 'rollback-failed',
      }),
    );
    const waitMs = Math.max(SHORTEST_WAIT_MS, ms);
    this.#waitsUntil = clock() + waitMs;
    await sleep(waitMs, this.#wake.signal);
    this.#waitsUntil = null;
    this.#rested = true;
  }

  async #timed(stage: Stage, step: () => Promise<void>): Promise<void> {
    const startedAt = this.#parts.clock();
    await step();
    this.attempts.observe(stage, this.#parts.clock() - startedAt);
  }
}
