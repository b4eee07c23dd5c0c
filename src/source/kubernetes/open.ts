// The Kubernetes source: a list, then a watch from its version, and a list again now and then and whenever a watch ends badly.
import { SidecarError } from '../../lib/errors.ts';
import { spread } from '../poll.ts';
import type { Observation, Provider, ProviderOptions } from '../provider.ts';
import { KubernetesApi, type WatchEvent } from './api.ts';
import { explained, KubernetesFailure, statusOf } from './failure.ts';
import { badAnswer, KubernetesObjects } from './objects.ts';
import type { KubernetesPlace } from './url.ts';

/** A watched source is read whole at most this often, whatever UPDATE_FREQUENCY says. */
const LEAST_LIST_INTERVAL_MS = 10_000;
/** The server is asked to end each watch after this: what lies between often drops connections that are idle for a minute. */
const LONGEST_WATCH_MS = 50_000;
/** Two watches in a row that end sooner than this are a failure; else a server that ends each at once would be stormed. */
const SHORT_WATCH_MS = 1_000;

/**
 * Follows a ConfigMap, a Secret, or those that a selector finds. Its watch ends with `source.no-cluster`,
 * `source.kubeconfig`, `source.denied` (401, 403), `source.not-found` (no such namespace, no such API), `source.failed` (any other
 * status), `source.unreachable`, `.timeout`, `.disconnected`, `.tls`, `.proxy`, `.compacted`, `.too-large`, `.bad-key` or
 * `.bad-answer`.
 * @param serviceAccount where the service account is mounted; default: where Kubernetes does.
 */
export function openKubernetes(
  url: string,
  place: KubernetesPlace,
  options: ProviderOptions,
  serviceAccount?: string,
): Provider {
  return {
    source: url,
    async *watch(signal) {
      if (signal.aborted) return;
      const api = new KubernetesApi(place, {
        ...options,
        ...(serviceAccount !== undefined && { serviceAccount }),
      });
      try {
        yield* new Follower(api, place, options).follow(signal);
      } catch (thrown) {
        if (!signal.aborted) throw explained(thrown, url, (text) => api.masked(text));
      } finally {
        api.close();
      }
    },
  };
}

class Follower {
  readonly #api: KubernetesApi;
  readonly #objects: KubernetesObjects;
  readonly #options: ProviderOptions;
  /** Where the next watch goes on. */
  #version = '';
  #shortWatches = 0;
  /** Not given out yet. */
  #isChanged: boolean = true;

  constructor(api: KubernetesApi, place: KubernetesPlace, options: ProviderOptions) {
    this.#api = api;
    this.#objects = new KubernetesObjects(place, options.maxBytes);
    this.#options = options;
  }

  async *follow(signal: AbortSignal): AsyncGenerator<Observation, void, void> {
    const intervalMs = Math.max(LEAST_LIST_INTERVAL_MS, this.#options.updateFrequencyMs);
    for (let isFirst = true; !signal.aborted; isFirst = false) {
      await this.#list(signal);
      if (isFirst) await this.#refuseLackingNamespace(signal);
      yield this.#take();
      const nextListMs = performance.now() + spread(intervalMs, Math.random);
      while (!signal.aborted && performance.now() < nextListMs) {
        const isGoingOn = yield* this.#watch(nextListMs - performance.now(), signal);
        if (!isGoingOn) break;
      }
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const listed = this.#objects.beginList();
    this.#version = await this.#api.list(signal, listed.add);
    if (listed.end()) this.#isChanged = true;
  }

  /** A namespace that does not exist lists like one that is empty. */
  async #refuseLackingNamespace(signal: AbortSignal): Promise<void> {
    if (!this.#objects.isEmpty) return;
    const namespace = await this.#api.lacksNamespace(signal);
    if (namespace === null) return;
    throw new KubernetesFailure(
      'source.not-found',
      `there is no namespace "${namespace}"; correct it in SOURCE, or make it`,
    );
  }

  /** One watch, for at most `ms`. Gives whether the next one may go on where it ended; else a list is needed. */
  async *#watch(ms: number, signal: AbortSignal): AsyncGenerator<Observation, boolean, void> {
    const seconds = Math.ceil(Math.min(ms, spread(LONGEST_WATCH_MS, Math.random)) / 1_000);
    const startedMs = performance.now();
    const bound = boundedSignal(signal, seconds * 1_000 + this.#options.fetchTimeoutMs);
    try {
      for await (const events of this.#api.watch(this.#version, seconds, bound.signal)) {
        for (const event of events) this.#apply(event);
        yield this.#take();
      }
      // Silent beyond its end: what is between may have dropped it, so the next question goes by a new connection.
      if (bound.isOver()) return false;
      this.#refuseHotLoop(startedMs, 'source.disconnected', 'the server ends each watch at once');
      return true;
    } catch (thrown) {
      const reason = endOf(thrown);
      if (reason === null) throw thrown;
      this.#refuseHotLoop(startedMs, reason.code, reason.text);
      return false;
    } finally {
      bound.stop();
    }
  }

  #refuseHotLoop(startedMs: number, code: string, text: string): void {
    const isShort = performance.now() - startedMs < SHORT_WATCH_MS;
    this.#shortWatches = isShort ? this.#shortWatches + 1 : 0;
    if (this.#shortWatches > 1) throw new KubernetesFailure(code, text);
  }

  #apply({ type, object }: WatchEvent): void {
    if (type === 'ERROR') {
      const said = statusOf(object);
      const code = said?.code === GONE ? 'source.compacted' : 'source.failed';
      throw new KubernetesFailure(code, `the watch was ended: ${said?.message ?? 'without a reason'}`);
    }
    const version = versionOf(object);
    if (type !== 'BOOKMARK' && this.#objects.apply(object, type === 'DELETED')) this.#isChanged = true;
    this.#version = version;
  }

  #take(): Observation {
    if (!this.#isChanged) return { kind: 'same' };
    this.#isChanged = false;
    return { kind: 'snapshot', snapshot: this.#objects.snapshot() };
  }
}

const GONE = 410;

/** Why a watch ended in a way that a list heals; null for everything else. */
function endOf(thrown: unknown): { readonly code: string; readonly text: string } | null {
  if (thrown instanceof KubernetesFailure) {
    return thrown.code === 'source.compacted' ? { code: thrown.code, text: thrown.message } : null;
  }
  // A connection that was cut while it was watched: a restart, a load balancer.
  if (thrown instanceof SidecarError && thrown.code === 'http.truncated') {
    return { code: 'source.disconnected', text: 'the connection is cut again and again while it is watched' };
  }
  return null;
}

function versionOf(object: unknown): string {
  const { metadata } = (object ?? {}) as { readonly metadata?: { readonly resourceVersion?: unknown } };
  if (typeof metadata?.resourceVersion !== 'string') throw badAnswer('an event without a version');
  return metadata.resourceVersion;
}

/** Aborts with the signal, or after this time. */
function boundedSignal(signal: AbortSignal, ms: number) {
  const controller = new AbortController();
  let isOver: boolean = false;
  const abort = (): void => controller.abort();
  const timer = setTimeout(() => {
    isOver = true;
    abort();
  }, ms);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  const stop = (): void => {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
    abort();
  };
  return { signal: controller.signal, isOver: () => isOver, stop };
}
