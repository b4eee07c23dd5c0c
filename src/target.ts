// The loop of one target: look at the facts, ask `decide` for the next step, carry it out, look again. It alone writes
// the ledger and reports outcomes; policy that grows here belongs into decide.ts.
import * as fs from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type AttemptedVersion, Attempts, type Stage } from './attempts.ts';
import { decide, type Facts, type Obstacle, type Outcome, type Step } from './decide.ts';
import { Delivery } from './delivery.ts';
import { SidecarError, toSidecarError } from './errors.ts';
import type { Followed } from './follow.ts';
import type { Generation } from './generation.ts';
import { hookKind, hookOf, lookupOf } from './hook.ts';
import { type Input, inputOf } from './input.ts';
import * as ledgers from './ledger.ts';
import type { Ledger, Published } from './ledger.ts';
import { errorFields, type Fields, type Log } from './log.ts';
import { prepare, renderingExtras } from './prepare.ts';
import { type BootStamp, bootStamp } from './process/boot-clock.ts';
import type { Lookup } from './process/lookup.ts';
import { type SeenProcess, seeProcess } from './process-fact.ts';
import { openPublisher, type Publisher, type Volume } from './publish.ts';
import { reload } from './reload.ts';
import type { OwedClass, ReloadResult } from './reload-hook.ts';
import { type Changes, type Random, RETRY, retryDelay, splayOf, spread } from './schedule.ts';
import { type Environment, environmentForCommands } from './settings/environment.ts';
import type { Loaded } from './settings.ts';
import { withStagedCopy } from './publish/staged-copy.ts';
import { openStateDirectory, type StateDirectory, stateDirectoryOf } from './state-directory.ts';
import { runValidateCommand } from './validate-command.ts';
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
  readonly lastReload: Exclude<ReloadResult['kind'], 'owed' | 'told'> | OwedClass | null;
}

/** No wait is shorter, whatever the facts say: a mistake must not become a hot loop. */
const SHORTEST_WAIT_MS = 2;

/** At most this many turns of the event loop are given to changes that came while the last one was applied. */
const TURNS = 200;

/** What is said of outcomes that need no reason. */
const SENTENCES: Partial<Record<Outcome, string>> = {
  applied: 'The newest configuration is on the volume, and the application was told.',
  unchanged: 'The volume already shows the newest configuration.',
  'picked-up': 'The application started after the publication and has read it.',
};

/** How loud an event is; what is not listed is `info`. */
const LEVELS: Readonly<Record<string, keyof Log>> = {
  unchanged: 'debug',
  rejected: 'error',
  refused: 'error',
  failed: 'error',
  ambiguous: 'error',
  'not-permitted': 'error',
  'stale-mount': 'error',
  ignored: 'warn',
};

/** What an input came to: a generation, or null when it was rejected. */
interface Rendered {
  readonly input: Input;
  readonly version: AttemptedVersion;
  readonly generation: Generation | null;
}

export class Target {
  readonly attempts = new Attempts();
  readonly #parts: TargetParts;
  readonly #publisher: Publisher;
  readonly #lookup: Lookup | null;
  readonly #delivery: Delivery;
  readonly #limits: Omit<Facts['limits'], 'lookEveryMs'>;
  readonly #startedAt: number;
  readonly #stateDirectory: string;
  #state: StateDirectory | null = null;
  #ledger: Ledger = ledgers.EMPTY_LEDGER;
  #input: Input | null = null;
  #changes: Changes = { first: 0, latest: 0 };
  #rendered: Rendered | null = null;
  #checked: Facts['checked'] = null;
  #checkFailures = 0;
  /** The generation on the volume, while we have its bytes. */
  #held: Generation | null = null;
  #volume: (Volume & { readonly lookedAt: number; readonly lookEveryMs: number }) | null = null;
  #seen: SeenProcess | null = null;
  #publishedAt: number | null = null;
  #publishFailures = 0;
  #publishRetryAt = 0;
  #reloadRetryAt = 0;
  #lastReload: Waiting['lastReload'] = null;
  #wake = new AbortController();
  #waitsUntil: number | null = null;

  constructor(parts: TargetParts) {
    const { settings } = parts.loaded;
    this.#parts = parts;
    this.#publisher = openPublisher(settings.OUTPUT, settings.OUTPUT_OWNER ?? null);
    this.#lookup = lookupOf(settings);
    this.#delivery = new Delivery(parts.random);
    this.#startedAt = parts.clock();
    this.#stateDirectory = stateDirectoryOf(settings.OUTPUT, settings.STATE_DIR);
    this.#limits = {
      debounceMs: settings.DEBOUNCE,
      debounceMaxMs: settings.DEBOUNCE_MAX,
      minIntervalMs: settings.RELOAD_MIN_INTERVAL,
      splayMs: splayOf(`${parts.instance}/${settings.OUTPUT.path}`, settings.SPLAY),
    };
  }

  get ledger(): Ledger {
    return this.#ledger;
  }

  /** The newest version that was asked for; `rendering` null until it is rendered, and when it cannot be. */
  get desired(): AttemptedVersion | null {
    return this.#rendered?.version ?? null;
  }

  /** Whether a configuration of ours is on the volume; false as soon as it has vanished. */
  get isReady(): boolean {
    const { published } = this.#ledger;
    const known = published !== null && this.#volume?.rendering === published.rendering;
    return known && this.#state !== null && this.#publisher.isThere();
  }

  /** When the application was last told, or a publication nobody is told of was made; Unix milliseconds. */
  get appliedAt(): number | null {
    const { told, published } = this.#ledger;
    return hookKind(this.#parts.loaded.settings) === 'none' ? (published?.at ?? null) : (told?.at ?? null);
  }

  /** Milliseconds until the loop does something by itself; null while it is at work. */
  get waitsForMs(): number | null {
    return this.#waitsUntil === null ? null : Math.max(0, this.#waitsUntil - this.#parts.clock());
  }

  /** A snapshot or a template arrived, or the source failed: the loop looks again. */
  notice(): void {
    const { source, template, clock, loaded, env } = this.#parts;
    const input = inputOf(source.state().snapshot, template?.state().snapshot ?? null, {
      hasTemplates: template !== null,
      extra: renderingExtras(loaded, env),
    });
    if (input !== null) this.#takeInput(input, clock());
    this.#wake.abort();
  }

  /** Runs until the signal aborts. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = (): void => this.#wake.abort();
    signal.addEventListener('abort', stop);
    while (!signal.aborted) {
      try {
        if (this.#state === null) await this.#openState(signal);
        else await this.#carryOut(decide(this.#facts()), signal);
      } catch (thrown) {
        this.#fail(toSidecarError(thrown));
        await sleep(retryDelay(3, RETRY, this.#parts.random), signal);
      }
    }
    signal.removeEventListener('abort', stop);
    this.#state?.release();
  }

  #takeInput(input: Input, now: number): void {
    const waits = this.#input !== null && this.#input.id !== this.#rendered?.input.id;
    const before = this.#input;
    this.#input = input;
    if (before?.id === input.id) return this.#sameAgain(before, input);
    this.#changes = { first: waits ? this.#changes.first : now, latest: now };
  }

  /** New revision, same data: nothing to do, unless something still is. */
  #sameAgain(before: Input, input: Input): void {
    const isNew = before.snapshot.revision !== input.snapshot.revision;
    if (isNew && !this.attempts.isOpen && this.#rendered?.input.id === input.id) this.#report('unchanged');
  }

  async #openState(signal: AbortSignal): Promise<void> {
    const { loaded, instance, random, log } = this.#parts;
    try {
      this.#state = await openStateDirectory(this.#stateDirectory, loaded.settings.OUTPUT, instance);
    } catch (thrown) {
      this.#publishFailures += 1;
      this.#fail(toSidecarError(thrown, 'publish'));
      if (signal.aborted) return;
      await this.#sleep(retryDelay(Math.min(this.#publishFailures, 2), RETRY, random), { signal, obstacle: null });
      return;
    }
    this.#publishFailures = 0;
    if (this.#state.from === 'before' || this.#state.from === 'damaged') log.warn('ledger damaged', { from: this.#state.from });
    this.#publisher.recover();
    const volume = this.#look();
    // A ledger in memory is newer than any on disk: the directory was replaced under us.
    const known = this.#ledger === ledgers.EMPTY_LEDGER ? this.#state.ledger : this.#ledger;
    this.#ledger = ledgers.resolveIntention(known, volume.rendering);
  }

  #facts(): Facts {
    const { clock, source, loaded } = this.#parts;
    const now = clock();
    const { snapshot, error } = source.state();
    const published = this.#ledger.published;
    const input = this.#input;
    const rendered = this.#rendered;
    const volume = this.#volume;
    this.#seen = this.#seeProcess(now);
    return {
      now,
      limits: { ...this.#limits, lookEveryMs: volume?.lookEveryMs ?? 0 },
      asked: snapshot !== null || error !== null || now >= this.#startedAt + loaded.settings.FETCH_TIMEOUT,
      input: input && { id: input.id, changes: this.#changes },
      rendered: rendered && { input: rendered.input.id, rendering: rendered.generation?.rendering ?? null },
      checked: this.#checked,
      validates: loaded.settings.VALIDATE_COMMAND !== undefined,
      volume,
      published: published && { rendering: published.rendering, held: this.#held?.rendering === published.rendering },
      publishedAt: this.#publishedAt,
      publishRetryAt: this.#publishRetryAt,
      owed: this.#ledger.owed && { retryAt: this.#reloadRetryAt },
      hook: hookKind(loaded.settings),
      process: this.#seen?.fact ?? null,
    };
  }

  /** Looked up whenever a reload is owed for what is there, never remembered. */
  #seeProcess(nowMs: number): SeenProcess | null {
    const { published, owed } = this.#ledger;
    if (this.#lookup === null || owed === null || published === null) return null;
    const outputPath = this.#parts.loaded.settings.OUTPUT.path;
    return seeProcess({ lookup: this.#lookup, moment: published.moment, outputPath, nowMs });
  }

  async #carryOut(step: Step, signal: AbortSignal): Promise<void> {
    switch (step.kind) {
      case 'look':
        return this.#lookAgain();
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

  #look(): Volume {
    const { loaded, random, clock } = this.#parts;
    const lookEveryMs = spread(loaded.settings.UPDATE_FREQUENCY, random);
    this.#volume = { ...this.#publisher.look(), lookedAt: clock(), lookEveryMs };
    return this.#volume;
  }

  #lookAgain(): void {
    if (!fs.existsSync(this.#stateDirectory)) return this.#loseState();
    const { rendering } = this.#look();
    const { published } = this.#ledger;
    if (this.#publishedAt !== null && rendering !== published?.rendering && this.#rendered?.generation === this.#held) {
      this.#parts.log.warn('drift', { output: this.#parts.loaded.settings.OUTPUT.path, found: rendering });
    }
    this.#publisher.prune(this.#parts.clock());
  }

  /** The volume was taken away or put in place anew: the lock and the ledger went with it. */
  #loseState(): void {
    this.#state?.release();
    this.#state = null;
    this.#volume = null;
  }

  async #render(): Promise<void> {
    const { loaded, env, source } = this.#parts;
    await this.#takeArrived();
    const input = this.#input;
    if (input === null) return;
    const { published } = this.#ledger;
    const revision = published?.input === input.id ? published.revision : input.snapshot.revision;
    const version = { revision, digest: input.digest, rendering: null, at: Date.now() };
    try {
      const generation = await prepare(input, { loaded, env, source: source.state().url, revision });
      this.#rendered = { input, generation, version: { ...version, rendering: generation.rendering } };
    } catch (thrown) {
      this.#rendered = { input, generation: null, version };
      return this.#report('rejected', toSidecarError(thrown, 'render'));
    }
    this.#publishFailures = 0;
    this.#publishRetryAt = 0;
    if (this.#rendered.generation?.rendering === this.#volume?.rendering) this.#alreadyThere(this.#rendered);
  }

  /** Changes that have arrived but were not handed over yet: a loop that is always busy would fall behind them. */
  async #takeArrived(): Promise<void> {
    for (let turns = 0, seen: Input | null = null; turns < TURNS && this.#input !== seen; turns += 1) {
      seen = this.#input;
      await nextTurn();
    }
  }

  #alreadyThere({ generation }: Rendered): void {
    const { published, owed } = this.#ledger;
    this.#held = generation;
    this.#publishedAt ??= this.#parts.clock() - this.#limits.minIntervalMs;
    if (owed === null && published?.rendering === generation?.rendering) this.#report('unchanged');
  }

  async #validate(signal: AbortSignal): Promise<void> {
    const { loaded, env, clock, random } = this.#parts;
    const { VALIDATE_COMMAND: argv, VALIDATE_TIMEOUT: timeoutMs, OUTPUT: output } = loaded.settings;
    const generation = this.#rendered?.generation;
    if (argv === undefined || !generation) return;
    const { rendering } = generation;
    const command = { argv, env: environmentForCommands(env), timeoutMs, signal };
    try {
      await withStagedCopy(this.#stateDirectory, { output, generation }, (path) => runValidateCommand({ ...command, path }));
      this.#checked = { rendering, passed: true, retryAt: Number.POSITIVE_INFINITY };
      this.#checkFailures = 0;
    } catch (thrown) {
      if (signal.aborted) return;
      this.#checkFailures = this.#checked?.rendering === rendering ? this.#checkFailures + 1 : 1;
      this.#checked = { rendering, passed: false, retryAt: clock() + retryDelay(this.#checkFailures, RETRY, random) };
      const error = toSidecarError(thrown, 'validate');
      this.#report(error.stage === 'validate' ? 'rejected' : 'failed', error);
    }
  }

  async #publish(what: 'rendered' | 'published'): Promise<void> {
    const { clock, random, loaded } = this.#parts;
    const startedAt = clock();
    const generation = what === 'rendered' ? this.#rendered?.generation : this.#held;
    const version = what === 'rendered' ? this.#newVersion() : this.#ledger.published;
    if (!generation || version === null) return;
    const tells = hookKind(loaded.settings) !== 'none';
    try {
      const intended = ledgers.intend(this.#ledger, { ...version, at: Date.now(), moment: null }, tells);
      ledgers.writeLedger(this.#stateDirectory, intended);
      this.#ledger = intended;
      await this.#publisher.publish(generation);
      this.#ledger = ledgers.carriedOut(intended, bootStamp());
    } catch (thrown) {
      this.#publishFailures += 1;
      this.#publishRetryAt = clock() + retryDelay(this.#publishFailures, RETRY, random);
      this.#ledger = ledgers.resolveIntention(this.#ledger, this.#look().rendering);
      return this.#fail(toSidecarError(thrown, 'publish'));
    }
    this.#volume = null;
    this.#held = generation;
    this.#publishedAt = startedAt;
    this.#publishFailures = 0;
    this.#reloadRetryAt = 0;
    this.#lastReload = null;
    this.#delivery.reset();
    this.#said('published', version);
    if (tells) return;
    this.#save();
    this.#report('applied');
  }

  #newVersion(): Published | null {
    const { version, input } = this.#rendered ?? {};
    if (!version || !input || version.rendering === null) return null;
    return { ...version, rendering: version.rendering, input: input.id, moment: null };
  }

  #adopt(): void {
    const version = this.#newVersion();
    if (version === null) return;
    const tells = hookKind(this.#parts.loaded.settings) !== 'none';
    this.#ledger = ledgers.adopt(this.#ledger, { ...version, moment: this.#momentOfVolume() }, tells);
    this.#save();
    if (!tells) this.#report('unchanged');
  }

  /** Without a ledger: the files' own time, put later by a second since the two clocks are not one. */
  #momentOfVolume(): BootStamp {
    const { bootId, ticks } = bootStamp();
    const changedAt = this.#volume?.changedAt ?? null;
    if (changedAt === null || ticks === null) return { bootId: null, ticks: null };
    return { bootId, ticks: ticks - Math.floor((Date.now() - changedAt) / 10) + 100 };
  }

  async #reload(signal: AbortSignal): Promise<void> {
    const { loaded, env, clock } = this.#parts;
    const hook = hookOf(loaded, env);
    const { published, told } = this.#ledger;
    if (hook === null || published === null) return;
    const context = {
      process: this.#seen?.id ?? null,
      output: loaded.settings.OUTPUT.path,
      revision: published.revision,
      previousRevision: told?.version.revision ?? null,
    };
    const result = await reload(hook, context, signal);
    if (signal.aborted && result.kind !== 'told') return;
    this.attempts.countReload(result.kind === 'owed' ? result.class : result.kind);
    this.#lastReload = result.kind === 'owed' ? result.class : result.kind === 'told' ? null : result.kind;
    if (result.kind === 'told') {
      this.#ledger = ledgers.toldOf(this.#ledger, { at: Date.now(), process: result.process, evidence: result.evidence });
      this.#save();
      this.#delivery.reset();
      return this.#report('applied');
    }
    const { outcome, retryInMs } = this.#delivery.fail(result);
    this.#reloadRetryAt = clock() + retryInMs;
    const { code, message } = result;
    const output = result.kind === 'owed' && result.output !== undefined ? { output: result.output } : {};
    this.#report(outcome, new SidecarError(message, { code, stage: 'reload', ...output }));
  }

  #settle(why: 'picked-up' | 'no-hook'): void {
    const evidence = why === 'picked-up' ? 'started' : null;
    const told = { at: Date.now(), process: this.#seen?.id ?? null, evidence } as const;
    this.#ledger = why === 'picked-up' ? ledgers.toldOf(this.#ledger, told) : { ...this.#ledger, owed: null };
    this.#save();
    this.#delivery.reset();
    this.#report(why === 'picked-up' ? 'picked-up' : 'applied');
  }

  async #wait({ until, obstacle }: Extract<Step, { kind: 'wait' }>, signal: AbortSignal): Promise<void> {
    const { clock, loaded, log } = this.#parts;
    const met = this.#delivery.meet(obstacle, clock(), loaded.settings.RELOAD_WAIT);
    if (obstacle !== null && met !== null) {
      const error = new SidecarError(obstacle.message, { code: obstacle.code, stage: 'reload' });
      this.#report(obstacle.outcome, error);
      if (met === 'loud') log.error('reload overdue', { target: this.#parts.name, ...errorFields(error) });
    }
    await this.#sleep(until - clock(), { signal, obstacle });
  }

  async #sleep(ms: number, { signal, obstacle }: { signal: AbortSignal; obstacle: Obstacle | null }): Promise<void> {
    this.#wake = new AbortController();
    if (signal.aborted) return;
    const settling = this.#seen?.fact.kind === 'settling';
    this.#parts.onWait?.({ obstacle, owed: this.#ledger.owed !== null, settling, lastReload: this.#lastReload });
    const waitMs = Math.max(SHORTEST_WAIT_MS, ms);
    this.#waitsUntil = this.#parts.clock() + waitMs;
    await sleep(waitMs, this.#wake.signal);
    this.#waitsUntil = null;
  }

  async #timed(stage: Stage, step: () => Promise<void>): Promise<void> {
    const startedAt = this.#parts.clock();
    await step();
    this.attempts.observe(stage, this.#parts.clock() - startedAt);
  }

  #save(): void {
    try {
      ledgers.writeLedger(this.#stateDirectory, this.#ledger);
    } catch (thrown) {
      this.#parts.log.error('ledger not written', errorFields(toSidecarError(thrown, 'ledger')));
    }
  }

  #fail(error: SidecarError): void {
    this.#report('failed', error);
  }

  #report(outcome: Outcome, error: SidecarError | null = null): void {
    const attempted = this.#rendered?.version ?? null;
    const { code = null, stage = null, message = SENTENCES[outcome] ?? '' } = error ?? {};
    const isNews = this.attempts.add({ outcome, code, stage, message, attempted, at: Date.now() });
    if (isNews) this.#said(outcome, attempted, error === null ? {} : errorFields(error));
  }

  #said(event: string, version: AttemptedVersion | null, fields: Fields = {}): void {
    const { log, name } = this.#parts;
    const { revision, rendering } = version ?? {};
    const level = LEVELS[event] ?? 'info';
    log[level](event, { target: name, generation: this.#ledger.generation, revision, rendering, ...fields });
  }
}
