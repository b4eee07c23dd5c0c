// One source followed for ever: opened, watched, opened again after every error with growing delays, its newest
// snapshot kept in one slot.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SidecarError, toSidecarError } from './errors.ts';
import type { Observation, Provider, Snapshot } from './provider.ts';
import { type Random, retryDelay, SOURCE_RETRY } from './schedule.ts';
import { sleep } from './wait.ts';

/** What is known of one source, as plain data. Times are Unix milliseconds. */
export interface SourceState {
  /** Without credentials. */
  readonly url: string;
  readonly up: boolean;
  readonly snapshot: Snapshot | null;
  readonly lastContactAt: number | null;
  readonly lastChangeAt: number | null;
  readonly error: SidecarError | null;
  /** When it is asked again, while it is down. */
  readonly nextTryAt: number | null;
  /** Errors so far by code. */
  readonly errors: Readonly<Record<string, number>>;
}

export interface Follow {
  readonly signal: AbortSignal;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly random: Random;
  /** Something changed that somebody may act on: a snapshot, or the source going up or down. */
  readonly onNews: (state: SourceState, news: News) => void;
}

/** `down` is said once per outage and again when its reason changes. */
export type News = 'snapshot' | 'up' | 'down' | 'still-down';

export interface Followed {
  readonly state: () => SourceState;
  /** Read the source whole, now. */
  readonly sync: () => void;
  /** Settles when the signal has aborted and everything is released. */
  readonly done: Promise<void>;
}

/** A watch that lived this long was healthy: the next error starts with a short delay again. */
const HEALTHY_MS = 5_000;

/** Starts following. Never throws and never ends before its signal aborts. */
export function follow(provider: Provider, options: Follow): Followed {
  const follower = new Follower(provider, options);
  return { state: () => follower.state, sync: () => follower.sync(), done: follower.run() };
}

class Follower {
  readonly #provider: Provider;
  readonly #options: Follow;
  #state: SourceState;
  #failures = 0;
  #round = new AbortController();

  constructor(provider: Provider, options: Follow) {
    this.#provider = provider;
    this.#options = options;
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

  get state(): SourceState {
    return this.#state;
  }

  sync(): void {
    this.#failures = 0;
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
    const { now } = this.#options;
    const startedAt = now();
    try {
      for await (const observation of this.#provider.watch(round)) {
        if (round.aborted) return;
        this.#observe(observation);
        // Whoever acts on a snapshot goes first; to ask the source for the next one can wait a moment.
        if (observation.kind === 'snapshot') await nextTurn();
      }
      if (!round.aborted) throw endedByItself(this.#provider.source);
    } catch (thrown) {
      if (round.aborted) return;
      if (this.#state.up && now() - startedAt >= HEALTHY_MS) this.#failures = 0;
      await this.#fail(toSidecarError(thrown, 'source'), round);
    }
  }

  #observe(observation: Observation): void {
    const { now, onNews } = this.#options;
    const wasUp = this.#state.up;
    this.#state = { ...this.#state, up: true, error: null, nextTryAt: null, lastContactAt: now() };
    if (!wasUp) onNews(this.#state, 'up');
    if (observation.kind === 'same') return;
    this.#state = { ...this.#state, snapshot: observation.snapshot, lastChangeAt: now() };
    onNews(this.#state, 'snapshot');
  }

  async #fail(error: SidecarError, round: AbortSignal): Promise<void> {
    const { now, random, onNews } = this.#options;
    this.#failures += 1;
    // "Retry-After: 0" asks for nothing, and taken at its word it would be a hot loop.
    const asked = error.retryAfterMs || undefined;
    const delayMs =
      asked === undefined ? retryDelay(this.#failures, SOURCE_RETRY, random) : asked * (1 + random() / 10);
    const { up, errors, error: before } = this.#state;
    const news = up || before?.code !== error.code ? 'down' : 'still-down';
    const counted = { ...errors, [error.code]: (errors[error.code] ?? 0) + 1 };
    this.#state = { ...this.#state, up: false, error, errors: counted, nextTryAt: now() + delayMs };
    onNews(this.#state, news);
    await sleep(delayMs, round);
  }
}

function endedByItself(source: string): SidecarError {
  return new SidecarError(`Cannot follow "${source}": the watch ended by itself. It is opened again.`, {
    code: 'source.ended',
    stage: 'source',
  });
}
