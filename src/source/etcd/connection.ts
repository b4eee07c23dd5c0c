// One connection to one etcd member: logs in, lists at one revision, and opens watches, each with its deadline.
import type { IRangeResponse } from 'etcd3';
import { type EtcdClient, type EtcdClientOptions, openEtcdClient } from './client.ts';
import { type EtcdKey, type EtcdListing, type EtcdRange, rangeRequest, refuseTooLarge } from './keys.ts';
import { startWatch, type WatchListener } from './watch.ts';

/** What it takes to connect. */
export interface EtcdConnectionOptions extends EtcdClientOptions {
  /** Asked at every log-in, so that a changed password is seen; null where etcd knows the user otherwise, or none. */
  readonly login: () => { readonly user: string; readonly password: string } | null;
  readonly range: EtcdRange;
  /** Bound of a whole listing, and of the wait for a watch to be confirmed. */
  readonly timeoutMs: number;
}

/** Keys per page of a listing: bounds one answer for usual values. */
const PAGE_KEYS = 1_000;

/** Prepares a connection; nothing is sent before the first call. */
export function openEtcdConnection(options: EtcdConnectionOptions): EtcdConnection {
  return new EtcdConnection(openEtcdClient(options), options);
}

/** A member that is asked for one range of keys. */
export class EtcdConnection {
  readonly #client: EtcdClient;
  readonly #options: EtcdConnectionOptions;
  /** undefined before the first log-in, null when none is needed. */
  #token: string | null | undefined;

  constructor(client: EtcdClient, options: EtcdConnectionOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Reads the range at one revision, linearizably. `firstAnswerMs` bounds the first page more tightly. */
  async list(firstAnswerMs = this.#options.timeoutMs): Promise<EtcdListing> {
    const { range, maxBytes, timeoutMs } = this.#options;
    const startedMs = Date.now();
    const keys: EtcdKey[] = [];
    let start = range.start;
    let revision = 0n;
    let bytes = 0;
    for (;;) {
      const request = { ...rangeRequest({ ...range, start }), limit: PAGE_KEYS, revision: String(revision) };
      const page = await this.#page(request, startedMs + (revision === 0n ? firstAnswerMs : timeoutMs));
      if (revision === 0n) revision = BigInt(page.header.revision);
      for (const kv of page.kvs) {
        keys.push(kv);
        bytes += kv.value.length + (range.isTree ? kv.key.length - range.start.length : 0);
      }
      refuseTooLarge(keys.length, bytes, maxBytes);
      const last = keys.at(-1);
      if (!page.more || last === undefined) return { revision, keys };
      start = Buffer.concat([last.key, Buffer.from([0])]);
    }
  }

  /** Events from now on, of a store that was `seen` at this revision; returns what stops it. */
  watch(seen: bigint, listener: WatchListener): () => void {
    const { range, timeoutMs } = this.#options;
    const open = () => this.#client.watch(this.#token ?? null);
    return startWatch(open, { range, seen, timeoutMs }, listener);
  }

  /** Ends what is under way and gives the socket back. Stop the watch before. */
  close(): Promise<void> {
    return this.#client.close();
  }

  async #page(request: object, deadline: number): Promise<IRangeResponse> {
    if (this.#token === undefined) this.#token = await this.#logIn(deadline);
    try {
      return await this.#client.range(request, this.#token, deadline);
    } catch (thrown) {
      // Tokens live for minutes; one that has expired says nothing about the user.
      if (this.#token === null || !/invalid auth token|auth store is old/.test(String(thrown))) throw thrown;
      this.#token = await this.#logIn(deadline);
      return this.#client.range(request, this.#token, deadline);
    }
  }

  async #logIn(deadline: number): Promise<string | null> {
    const login = this.#options.login();
    if (login === null) return null;
    try {
      return await this.#client.authenticate(login.user, login.password, deadline);
    } catch (thrown) {
      // etcd's own clients continue without a token: a server without users accepts every client.
      if (/authentication is not enabled/.test(String(thrown))) return null;
      throw thrown;
    }
  }
}
