// The etcd source: everything read at one revision, then followed from the next, and read whole again now and then.
import { SidecarError } from '../../lib/errors.ts';
import { maskUrl } from '../../lib/mask.ts';
import { spread } from '../poll.ts';
import type { Observation, Provider, ProviderOptions } from '../provider.ts';
import { endpointName } from '../store-url.ts';
import { readTlsFiles } from '../tls-files.ts';
import { type EtcdConnection, type EtcdConnectionOptions, openEtcdConnection } from './connection.ts';
import { explainEtcd, type Reason } from './failure.ts';
import { type EtcdEvent, EtcdKeys, type EtcdListing, etcdRange } from './keys.ts';
import { ETCD_TLS, type EtcdAddress } from './url.ts';

/** A watched source is read whole at most this often, whatever UPDATE_FREQUENCY says. */
const LEAST_LIST_INTERVAL_MS = 10_000;

/**
 * Follows a key, or all keys below a prefix, of etcd (API version 3). Its watch ends with `source.unreachable`,
 * `.timeout`, `.tls`, `.denied`, `.no-leader`, `.compacted`, `.went-back`, `.disconnected`, `.too-large`, `.bad-key` or
 * `.failed`.
 */
export function openEtcd(url: string, address: EtcdAddress, options: ProviderOptions): Provider {
  const etcd = new EtcdSource(url, address, options);
  return { source: maskUrl(url), watch: (signal) => etcd.watch(signal) };
}

class EtcdSource {
  readonly #shown: string;
  readonly #address: EtcdAddress;
  readonly #options: ProviderOptions;
  /** Where the next watch begins to ask: instances spread, and none sticks to a member that failed it. */
  #turn: number;

  constructor(url: string, address: EtcdAddress, options: ProviderOptions) {
    this.#shown = maskUrl(url);
    this.#address = address;
    this.#options = options;
    this.#turn = Math.floor(Math.random() * address.endpoints.length);
  }

  async *watch(signal: AbortSignal): AsyncGenerator<Observation, void, void> {
    const found = await this.#connect(signal);
    if (found === null) return;
    const { connection, endpoint } = found;
    const follower = new Follower(connection, this.#newKeys(), found.listing);
    try {
      yield* follower.observe(signal, Math.max(LEAST_LIST_INTERVAL_MS, this.#options.updateFrequencyMs));
    } catch (thrown) {
      if (signal.aborted) return;
      this.#turn += 1;
      throw this.#error([[endpoint, explainEtcd(thrown)]], thrown);
    } finally {
      follower.stop();
      await connection.close();
    }
  }

  /** The first member that gives a listing; null when aborted. */
  async #connect(signal: AbortSignal): Promise<Found | null> {
    const endpoints = this.#address.endpoints.map(endpointName);
    const failures: [string, Reason][] = [];
    let cause: unknown;
    for (const [tried] of endpoints.entries()) {
      if (signal.aborted) return null;
      const endpoint = endpoints[(this.#turn + tried) % endpoints.length] ?? '';
      let connection: EtcdConnection | null = null;
      try {
        connection = openEtcdConnection(this.#connectionOptions(endpoint, signal));
        const listing = await connection.list(this.#options.fetchTimeoutMs / endpoints.length);
        // Checked here, so that a key or size that cannot be taken ends the search with its own reason.
        this.#newKeys().replace(listing, []);
        this.#turn += tried;
        return { connection, endpoint, listing };
      } catch (thrown) {
        await connection?.close();
        if (signal.aborted) return null;
        // A file of ours: no member is at fault.
        if (thrown instanceof SidecarError) throw thrown;
        const reason = explainEtcd(thrown);
        failures.push([endpoint, reason]);
        cause = thrown;
        if (ENDS_SEARCH.has(reason.code)) break;
      }
    }
    failures.sort(([a], [b]) => endpoints.indexOf(a) - endpoints.indexOf(b));
    throw this.#error(failures, cause);
  }

  #newKeys(): EtcdKeys {
    return new EtcdKeys(etcdRange(this.#address.key), this.#options.maxBytes);
  }

  #connectionOptions(endpoint: string, signal: AbortSignal): EtcdConnectionOptions {
    const { setting, maxBytes, fetchTimeoutMs } = this.#options;
    return {
      endpoint,
      tls: this.#address.tls ? readTlsFiles(ETCD_TLS, setting) : null,
      login: () => loginOf(this.#address, setting),
      range: etcdRange(this.#address.key),
      maxBytes,
      timeoutMs: fetchTimeoutMs,
      signal,
    };
  }

  #error(failures: readonly (readonly [string, Reason])[], cause: unknown): SidecarError {
    const reasons = failures.map(([endpoint, { text }]) => `${endpoint}: ${text}`).join('; ');
    const code = failures.at(-1)?.[1].code ?? 'source.failed';
    return new SidecarError(`Cannot read etcd "${this.#shown}": ${reasons}`, {
      code,
      stage: 'source',
      cause,
    });
  }
}

/** Answers that every member of a cluster would give. */
const ENDS_SEARCH: ReadonlySet<string> = new Set(['source.denied', 'source.too-large', 'source.bad-key']);

interface Found {
  readonly connection: EtcdConnection;
  readonly endpoint: string;
  readonly listing: EtcdListing;
}

/** The URL's user beats the setting: it belongs to this source and no other. */
function loginOf(
  { userInfo }: EtcdAddress,
  setting: ProviderOptions['setting'],
): { readonly user: string; readonly password: string } | null {
  const [user, ...rest] = (setting('ETCDCTL_USER') ?? '').split(':');
  const password = setting('ETCDCTL_PASSWORD') ?? (rest.length > 0 ? rest.join(':') : undefined);
  if (userInfo !== null) return { user: userInfo.user, password: userInfo.password ?? password ?? '' };
  return user === undefined || user === '' ? null : { user, password: password ?? '' };
}

/** Follows one connection: keeps what it delivered until the consumer asks for it. */
class Follower {
  readonly #connection: EtcdConnection;
  readonly #keys: EtcdKeys;
  #changed: boolean = true;
  #contact: boolean = false;
  #failure: { readonly thrown: unknown } | null = null;
  /** What came while a listing is under way, to be put on top of it; null when none is. */
  #sinceList: EtcdEvent[] | null = null;
  /** The watch brings what is written after this revision; a listing has to contain the rest. */
  #watchedFrom = 0n;
  #stopWatch: () => void;
  #ring: () => void = () => undefined;

  constructor(connection: EtcdConnection, keys: EtcdKeys, listing: EtcdListing) {
    this.#connection = connection;
    this.#keys = keys;
    keys.replace(listing, []);
    this.#stopWatch = this.#startWatch();
  }

  /** Yields until the signal aborts; throws what the connection failed with. */
  async *observe(signal: AbortSignal, listIntervalMs: number): AsyncGenerator<Observation, void, void> {
    let nextListMs = performance.now() + spread(listIntervalMs, Math.random);
    while (!signal.aborted) {
      if (this.#failure !== null) throw this.#failure.thrown;
      if (performance.now() >= nextListMs) {
        nextListMs = performance.now() + spread(listIntervalMs, Math.random);
        void this.#list();
      }
      const observation = this.#take();
      if (observation !== null) yield observation;
      else await this.#news(nextListMs - performance.now(), signal);
    }
  }

  stop(): void {
    this.#stopWatch();
  }

  #take(): Observation | null {
    const changed = this.#changed;
    const contact = this.#contact;
    this.#changed = false;
    this.#contact = false;
    if (changed) return { kind: 'snapshot', snapshot: this.#keys.snapshot() };
    return contact ? { kind: 'same' } : null;
  }

  #startWatch(): () => void {
    this.#watchedFrom = 0n;
    return this.#connection.watch(this.#keys.revision, {
      onConfirmed: (revision) => this.#closeGap(revision),
      onEvents: (events) => this.#guarded(() => this.#apply(events)),
      onFailure: (thrown) => this.#fail(thrown),
    });
  }

  /** Between the last listing and the watch the store may have moved on. */
  #closeGap(watchedFrom: bigint): void {
    this.#watchedFrom = watchedFrom;
    if (this.#hasGap()) void this.#list();
  }

  #hasGap(): boolean {
    return this.#keys.revision < this.#watchedFrom;
  }

  #apply(events: readonly EtcdEvent[]): void {
    this.#sinceList?.push(...events);
    // Events on top of keys that miss earlier ones would show a state that the store never had.
    if (!this.#hasGap() && this.#keys.apply(events)) this.#changed = true;
  }

  /** Reads everything again: the net under a watch that is deaf without knowing it. */
  async #list(): Promise<void> {
    if (this.#sinceList !== null) return;
    this.#sinceList = [];
    const atStart = this.#keys.revision;
    try {
      let listing = await this.#connection.list();
      // One that was asked for before the watch began may still miss what came between.
      while (listing.revision >= atStart && listing.revision < this.#watchedFrom) {
        listing = await this.#connection.list();
      }
      this.#guarded(() => this.#compare(listing, atStart));
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #compare(listing: EtcdListing, atStart: bigint): void {
    // A store with a lower revision was rebuilt: earlier events of its watch belong to another history.
    const wentBack = listing.revision < atStart;
    const hadGap = this.#hasGap();
    const since = wentBack ? [] : (this.#sinceList ?? []);
    this.#sinceList = null;
    const differs = this.#keys.replace(listing, since);
    if (differs) this.#changed = true;
    // A difference that no gap explains was kept from us by the watch.
    if (wentBack || (differs && !hadGap)) {
      this.#stopWatch();
      this.#stopWatch = this.#startWatch();
    }
    this.#contact = true;
  }

  #guarded(work: () => void): void {
    if (this.#failure !== null) return;
    try {
      work();
      this.#ring();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #fail(thrown: unknown): void {
    this.#failure ??= { thrown };
    this.#ring();
  }

  /** Resolves at the next ring, after this time, or at the abort. */
  #news(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, ms));
      signal.addEventListener('abort', done);
      this.#ring = done;
    });
  }
}
