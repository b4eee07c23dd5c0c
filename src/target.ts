// The loop of one target: look at the facts, ask `decide` for the next step, carry it out, look again. It alone changes
// what is published and reports outcomes; policy that grows here belongs into decide.ts.
import type { AttemptedVersion, Attempts, Stage } from './attempts.ts';
import { Candidate } from './candidate.ts';
import { decide, type Facts, type Obstacle, type Outcome, type Step } from './decide.ts';
import { type SidecarError, toSidecarError } from './errors.ts';
import type { Followed } from './follow.ts';
import type { Ledger, Told } from './ledger.ts';
import { errorFields, type Log } from './log.ts';
import { Publication } from './publication.ts';
import { hookKind } from './reload/settings.ts';
import { Reporter } from './reporter.ts';
import { Retries } from './retries.ts';
import { type Random, splayOf, spread } from './schedule.ts';
import type { Environment } from './settings/environment.ts';
import { withoutSecrets } from './settings/secrets.ts';
import type { Loaded } from './settings.ts';
import { Telling, type Untold } from './telling.ts';
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
  /** Called before every wait: nothing is left to do until then. */
  readonly onWait?: (waiting: Waiting) => void;
}

/** Why the loop waits, for a run that is to end when there is nothing left to do. */
export interface Waiting {
  readonly obstacle: Obstacle | null;
  readonly owed: boolean;
  /** Whether the application's process is only too young to be told. */
  readonly settling: boolean;
  /** How the last try to tell the application ended, when it was not told; null before one and after success. */
  readonly lastReload: Untold | null;
}

/** No wait is shorter, whatever the facts say: a mistake must not become a hot loop. */
const SHORTEST_WAIT_MS = 2;
/** A state directory that cannot be had is asked for again this often: a lock is given up without a word. */
const OPEN_AGAIN_MS = 1_000;

export class Target {
  readonly #parts: TargetParts;
  readonly #hook: Facts['hook'];
  readonly #limits: Omit<Facts['limits'], 'lookEveryMs'>;
  readonly #startedAt: number;
  readonly #candidate: Candidate;
  readonly #publication: Publication;
  readonly #reporter: Reporter;
  readonly #telling: Telling;
  readonly #publishing: Retries;
  #looked = { at: 0, everyMs: 0 };
  /** What the volume shows in place of what was published, told once. */
  #drift: string | null = null;
  #publishedAt: number | null = null;
  #saveFails = false;
  #wake = new AbortController();
  #waitsUntil: number | null = null;
  /** Whether the loop has waited since it last published. */
  #rested = true;

  constructor(parts: TargetParts) {
    const { loaded, env, source, template, instance, random, clock, name, log } = parts;
    const { OUTPUT: output, OUTPUT_OWNER, STATE_DIR: stateDir, ...settings } = loaded.settings;
    this.#parts = parts;
    this.#hook = hookKind(loaded.settings);
    this.#startedAt = clock();
    const owner = OUTPUT_OWNER ?? null;
    this.#publication = new Publication({
      output,
      owner,
      stateDir,
      tells: this.#hook !== 'none',
      holder: instance,
    });
    this.#candidate = new Candidate({ loaded, env, source, template, random, clock });
    this.#reporter = new Reporter(name, log, (text) => withoutSecrets(loaded, text));
    this.#telling = new Telling({ loaded, env, random, clock });
    this.#publishing = new Retries(random);
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

  /** Whether a configuration of ours is on the volume; false as soon as it has vanished. */
  get isReady(): boolean {
    return this.#publication.isThere;
  }

  /** When the application was last told, or a publication nobody is told of was made; Unix milliseconds. */
  get appliedAt(): number | null {
    const { told, published } = this.ledger;
    return this.#hook === 'none' ? (published?.at ?? null) : (told?.at ?? null);
  }

  /** Milliseconds until what is not done yet is tried again; null while it is at work, and when there is nothing to try. */
  get triesAgainInMs(): number | null {
    if (this.#waitsUntil === null) return null;
    const now = this.#parts.clock();
    const isOwed = this.ledger.owed !== null;
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

  /** Tries again, at once, what was rejected: the reason may lie outside the data (a schema that was mended). */
  tryAgain(): void {
    this.#candidate.tryAgain();
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
    this.#save();
    this.#publication.release();
  }

  /** Whether what was rendered last is published, and whoever is to be told of it was told. */
  get #isPublished(): boolean {
    const { published, owed } = this.ledger;
    return owed === null && published !== null && published.rendering === this.desired?.rendering;
  }

  async #open(signal: AbortSignal): Promise<void> {
    try {
      const from = await this.#publication.open();
      if (this.attempts.current?.stage === 'publish') this.attempts.close();
      this.#noteLook();
      if (from === 'before' || from === 'damaged') this.#reporter.say('ledger damaged', null, { from });
    } catch (thrown) {
      this.#report('failed', toSidecarError(thrown, 'publish'));
      await this.#sleep(OPEN_AGAIN_MS, { signal, obstacle: null });
    }
  }

  #facts(): Facts {
    const { clock, loaded } = this.#parts;
    const now = clock();
    const { ledger, volume, held } = this.#publication;
    const { published, owed } = ledger;
    return {
      ...this.#candidate.facts,
      now,
      limits: { ...this.#limits, lookEveryMs: this.#looked.everyMs },
      askUntil: this.#startedAt + loaded.settings.FETCH_TIMEOUT,
      volume: volume && { rendering: volume.rendering, lookedAt: this.#looked.at },
      published: published && { rendering: published.rendering, held: held !== null },
      publishedAt: this.#publishedAt,
      publishRetryAt: this.#publishing.dueAt,
      owed: owed && { retryAt: this.#telling.retryAt },
      hook: this.#hook,
      // Where the volume is to be looked at first, the look-up would be done for nothing.
      process: owed && volume && this.#telling.see(published, now),
    };
  }

  async #carryOut(step: Step, signal: AbortSignal): Promise<void> {
    switch (step.kind) {
      case 'look':
        return this.#look();
      case 'render':
        return await this.#timed('render', () => this.#render());
      case 'validate':
        return await this.#timed('validate', () => this.#validate(signal));
      case 'publish':
        return await this.#timed('publish', () => this.#publish(step.what));
      case 'adopt':
        return this.#adopt();
      case 'reload':
        return await this.#timed('reload', () => this.#reload(signal));
      case 'settle':
        return this.#settle(step.why);
      case 'wait':
        return await this.#wait(step, signal);
    }
  }

  #look(): void {
    if (!this.#publication.checkState()) return;
    this.#publication.look(this.#parts.clock());
    this.#noteLook();
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
    if (generation?.rendering === this.#publication.volume?.rendering) this.#alreadyThere();
  }

  #alreadyThere(): void {
    const { generation } = this.#candidate;
    const { published, owed } = this.ledger;
    if (generation === null) return;
    this.#publication.hold(generation);
    this.#publishedAt ??= this.#parts.clock() - this.#limits.minIntervalMs;
    if (published?.rendering !== generation.rendering) return;
    const { reason } = this.#telling;
    if (owed === null) this.#report('unchanged');
    // What was said of another change is over; what is still owed is what stands again.
    else if (reason !== null) this.#report(reason.outcome, reason.error);
  }

  async #validate(signal: AbortSignal): Promise<void> {
    // The copy must not bring back a state directory that is not ours any more.
    if (!this.#publication.checkState()) return;
    const error = await this.#candidate.validate(this.#publication.stateDirectory, signal);
    if (error !== null) this.#report(error.stage === 'validate' ? 'rejected' : 'failed', error);
  }

  async #publish(what: 'rendered' | 'published'): Promise<void> {
    const { clock } = this.#parts;
    const startedAt = clock();
    this.#rested = false;
    const { ledger, held } = this.#publication;
    const generation = what === 'rendered' ? this.#candidate.generation : held;
    const version = what === 'rendered' ? this.#candidate.publishable : ledger.published;
    if (!generation || version === null || !this.#publication.checkState()) return;
    try {
      await this.#publication.publish(generation, version, () => this.#telling.foresee());
    } catch (thrown) {
      this.#publishing.fail(clock());
      return this.#report('failed', toSidecarError(thrown, 'publish'));
    }
    this.#publishedAt = startedAt;
    this.#noteLook();
    this.#publishing.clear();
    this.#telling.reset();
    this.#reporter.say('published', version, { generation: this.ledger.generation });
    if (this.#hook === 'none') this.#report('applied');
  }

  #adopt(): void {
    const version = this.#candidate.publishable;
    if (version === null) return;
    this.#publication.adopt(version);
    if (this.#hook === 'none') this.#report('unchanged');
  }

  async #reload(signal: AbortSignal): Promise<void> {
    const { published, told } = this.ledger;
    if (published === null) return;
    const result = await this.#telling.tell(published, told?.version.revision ?? null, signal);
    if (result === null) return;
    this.attempts.countReload(result.kind === 'told' ? 'told' : result.result);
    if (result.kind === 'told') return this.#told('applied', result.evidence);
    this.#report(result.outcome, result.error);
  }

  #told(outcome: 'applied' | 'picked-up', evidence: Told['evidence']): void {
    this.#publication.told({ process: this.#telling.process, evidence });
    this.#telling.reset();
    this.#save();
    this.#report(outcome);
  }

  #settle(why: 'picked-up' | 'no-hook'): void {
    if (why === 'no-hook') {
      this.#publication.forgive();
      this.#report('applied');
    } else {
      this.attempts.countReload('picked-up');
      this.#told('picked-up', 'started');
    }
  }

  async #wait({ until, obstacle }: Extract<Step, { kind: 'wait' }>, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const met = this.#telling.meet(obstacle);
    const { reason } = this.#telling;
    if (met !== null && reason !== null) {
      this.#report(reason.outcome, reason.error);
      if (met === 'loud')
        this.#reporter.say('reload overdue', this.ledger.published, errorFields(reason.error));
    }
    this.#save();
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
    const { isSettling: settling, lastResult: lastReload } = this.#telling;
    onWait?.({ obstacle, owed: this.ledger.owed !== null, settling, lastReload });
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

  /** A ledger that cannot be written now is written at the next occasion; what is owed is on the disk already. */
  #save(): void {
    try {
      this.#publication.save();
      this.#saveFails = false;
    } catch (thrown) {
      if (!this.#saveFails)
        this.#reporter.say('ledger not written', null, errorFields(toSidecarError(thrown, 'ledger')));
      this.#saveFails = true;
    }
  }

  #report(outcome: Outcome, error: SidecarError | null = null): void {
    this.#reporter.report(outcome, this.#candidate.version, error);
  }
}
