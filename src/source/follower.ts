// One source followed for ever: opened, watched, opened again after every error with growing delays, its newest
// snapshot kept in one slot.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SidecarError, toSidecarError } from '../lib/errors.ts';
import { type Random, sourceRetryDelay } from '../lib/schedule.ts';
import * as wait from '../lib/wait.ts';
import { guardedWatch } from './guarded-watch.ts';
import type { Observation, Provider, Snapshot, TargetSnapshot } from './provider.ts';
import { createRateLimit } from './rate-limit.ts';

/** What is known of one source, as plain data. Times are Unix milliseconds. */
export interface SourceState<S extends TargetSnapshot = TargetSnapshot> {
  /** Without credentials. */
  readonly url: string;
  readonly up: boolean;
  readonly snapshot: S | null;
  readonly lastContactAt: number | null;
  readonly lastChangeAt: number | null;
  readonly error: SidecarError | null;
  /** When it is asked again, while it is down. */
  readonly nextTryAt: number | null;
  /** Errors so far by code. */
  readonly errors: Readonly<Record<string, number>>;
}

export interface Follow<S extends TargetSnapshot = TargetSnapshot> {
  readonly signal: AbortSignal;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly random: Random;
  /** Called for a new snapshot, and when the source goes up or down. */
  readonly onNews: (state: SourceState<S>, news: SourceEvent) => void;
  /** A watch that says nothing for this long, in milliseconds, is opened again. Default: never. See `silenceBoundMs`. */
  readonly silentAfterMs?: number;
  /** Steady milliseconds, by which health and delays are measured. Default `performance.now`. */
  readonly clock?: () => number;
  /** The wait by that clock. Default `sleep`. */
  readonly sleep?: typeof wait.sleep;
}

/**
 * How long a working watch may be silent at most: the longest question of any provider (a blocking query of a minute), or
 * the interval, then its answer; all of it twice.
 */
export function silenceBoundMs(updateFrequencyMs: number, fetchTimeoutMs: number): number {
  return 2 * (Math.max(60_000, updateFrequencyMs + Math.ceil(updateFrequencyMs / 10)) + fetchTimeoutMs);
}

/** `down` is said once per outage and again when its reason changes. */
export type SourceEvent = 'snapshot' | 'up' | 'down' | 'still-down';

export interface Followed<S extends TargetSnapshot = TargetSnapshot> {
  readonly state: () => SourceState<S>;
  /** Of each of several sources that are followed as one; absent for one source. */
  readonly parts?: () => readonly SourceState[];
  /** Read the source whole, now. */
  readonly sync: () => void;
  /** Settles when the signal has aborted and everything is released. */
  readonly done: Promise<void>;
}

/** A watch that delivered something and then ran for this long was healthy: the next error starts with a short delay again. */
const HEALTHY_MS = 5_000;
/** Some hundred changes in a row are taken at once; a provider that runs hot for longer must not use up the process. */
const OBSERVATIONS = { burst: 500, perSecond: 50 };

/** Starts following one source. Never throws and never ends before its signal aborts. */
export function followOne(provider: Provider, options: Follow<Snapshot>): Followed<Snapshot> {
  const follower = new Follower(provider, options);
  return { state: () => follower.state, sync: () => follower.sync(), done: follower.run() };
}

class Follower {
  readonly #provider: Provider;
  readonly #options: Required<Follow<Snapshot>>;
  readonly #reserve: () => number;
  #state: SourceState<Snapshot>;
  #failures = 0;
  #denials = 0;
  #firstFailureAt = 0;
  /** When the present watch said its first word; null before that. */
  #speaksSince: number | null = null;
  #round = new AbortController();

  constructor(provider: Provider, options: Follow<Snapshot>) {
    this.#provider = provider;
    this.#options = {
      silentAfterMs: Number.POSITIVE_INFINITY,
      clock: () => performance.now(),
      sleep: wait.sleep,
      ...options,
    };
    this.#reserve = createRateLimit(OBSERVATIONS, this.#options.clock);
    this.#state = {
      url: provider.source,
      up: false,
      snapshot: null,
      lastContactAt: null,
      lastChangeAt: null,
      error: null,
      nextTryAt: null,
      errors: {},
    };
  }

  get state(): SourceState<Snapshot> {
    return this.#state;
  }

  sync(): void {
    this.#failures = 0;
    this.#denials = 0;
    this.#round.abort();
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    const stop = (): void => this.#round.abort();
    signal.addEventListener('abort', stop);
    while (!signal.aborted) {
      this.#round = new AbortController();
      await this.#watchOnce(this.#round.signal);
    }
    signal.removeEventListener('abort', stop);
  }

  /** One watch and, when it failed, the wait before the next; `round` ends either at once. */
  async #watchOnce(round: AbortSignal): Promise<void> {
    const { silentAfterMs, sleep } = this.#options;
    this.#speaksSince = null;
    try {
      for await (const observation of guardedWatch(this.#provider, { signal: round, silentAfterMs, sleep })) {
        if (round.aborted) return;
        this.#observe(observation);
        // The consumer acts on a snapshot first; asking the source for the next one can wait a moment.
        if (observation.kind === 'snapshot') await nextTurn();
        const waitMs = this.#reserve();
        if (waitMs > 0) await sleep(waitMs, round);
      }
      if (!round.aborted) throw endedByItself(this.#provider.source);
    } catch (thrown) {
      if (round.aborted) return;
      await this.#fail(toSidecarError(thrown, 'source'), round);
    }
  }

  #observe(observation: Observation): void {
    const { now, clock, onNews } = this.#options;
    const wasUp = this.#state.up;
    this.#speaksSince ??= clock();
    this.#denials = 0;
    this.#state = { ...this.#state, up: true, error: null, nextTryAt: null, lastContactAt: now() };
    if (!wasUp) onNews(this.#state, 'up');
    if (observation.kind === 'same') return;
    this.#state = { ...this.#state, snapshot: observation.snapshot, lastChangeAt: now() };
    onNews(this.#state, 'snapshot');
  }

  async #fail(error: SidecarError, round: AbortSignal): Promise<void> {
    const { now, onNews, sleep } = this.#options;
    const delayMs = this.#delayAfter(error);
    const { up, errors, error: before } = this.#state;
    const news = up || before?.code !== error.code ? 'down' : 'still-down';
    const counted = { ...errors, [error.code]: (errors[error.code] ?? 0) + 1 };
    this.#state = { ...this.#state, up: false, error, errors: counted, nextTryAt: now() + delayMs };
    onNews(this.#state, news);
    await sleep(delayMs, round);
  }

  /** Counts the failure. A source that comes and goes is in one long outage until it has stayed for a while. */
  #delayAfter(error: SidecarError): number {
    const { clock, random } = this.#options;
    const nowMs = clock();
    if (this.#speaksSince !== null && nowMs - this.#speaksSince >= HEALTHY_MS) this.#failures = 0;
    if (this.#failures === 0) this.#firstFailureAt = nowMs;
    this.#failures += 1;
    this.#denials = error.code === 'source.denied' ? this.#denials + 1 : 0;
    const [failures, ageMs] = [this.#failures, nowMs - this.#firstFailureAt];
    return sourceRetryDelay({ failures, ageMs, denials: this.#denials, askedMs: error.retryAfterMs }, random);
  }
}

function endedByItself(source: string): SidecarError {
  return new SidecarError(`Cannot follow "${source}": the watch ended by itself. It is opened again.`, {
    code: 'source.ended',
    stage: 'source',
  });
}
