// The provider law as a suite: every provider's test calls describeProviderLaw with a harness around a real source.
import { readdirSync, readlinkSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SidecarError } from '../../../src/lib/errors.ts';
import type {
  Content,
  Observation,
  Provider,
  ProviderOptions,
  Snapshot,
} from '../../../src/source/provider.ts';

/** A real source, and a way to change what it holds. */
export interface ProviderHarness {
  /** Opens the source that `put` and `empty` change. Nothing may be started by this. */
  open(overrides?: Partial<ProviderOptions>): Provider;
  /** Makes the source hold exactly this text: the whole document, or the value of one key. */
  put(text: string): Promise<void>;
  /** Makes the source answer that there is nothing: the key deleted, an empty document. */
  empty(): Promise<void>;
  /** Opens a source of the same kind that cannot be asked (no file, a refusing port), with `secrets` among its settings. */
  openUnreachable(overrides?: Partial<ProviderOptions>): Provider;
  /** Opens a source of the same kind at this port of 127.0.0.1; needed by all that speak to a network. */
  openAt?(port: number, overrides?: Partial<ProviderOptions>): Provider;
  /** What must not be seen in `source` or in any error. */
  readonly secrets: readonly string[];
  /** The longest an unchanged source may go without `same`. Default 5 s. */
  readonly sameWithinMs?: number;
  stop?(): Promise<void>;
}

/** Options as the loop would give them, with short intervals and no settings. */
export function providerOptions(overrides: Partial<ProviderOptions> = {}): ProviderOptions {
  return {
    updateFrequencyMs: 200,
    fetchTimeoutMs: 10_000,
    maxBytes: 16 * 1024 * 1024,
    setting: () => undefined,
    proxyEnv: {},
    ...overrides,
  };
}

/** The nine points of `src/source/provider.ts`. `setup` runs once. `network: false` for a source without connections. */
export function describeProviderLaw(
  name: string,
  setup: () => Promise<ProviderHarness>,
  { network = true }: { readonly network?: boolean } = {},
): void {
  describe(`${name} keeps the provider law`, () => {
    let harness: ProviderHarness;
    beforeAll(async () => {
      harness = await setup();
    });
    afterAll(async () => {
      await harness.stop?.();
    });

    it('yields a snapshot first, whole, with a revision', async () => {
      await harness.put('one');
      const follower = follow(harness.open());
      const first = await follower.next();
      expect(first.kind).toBe('snapshot');
      const { content, revision } = snapshotOf(first);
      expect(textOf(content)).toBe('one');
      expect(revision).not.toBe('');
      await follower.stop();
    });

    it('sees a change, under another revision', async () => {
      await harness.put('before');
      const follower = follow(harness.open());
      const first = snapshotOf(await follower.next());
      await harness.put('after');
      const second = await follower.nextSnapshot();
      expect(textOf(second.content)).toBe('after');
      expect(second.revision).not.toBe(first.revision);
      await follower.stop();
    });

    it('sees every one of many changes, or a later one', async () => {
      await harness.put('0');
      const follower = follow(harness.open());
      await follower.next();
      for (let round = 1; round <= 5; round++) {
        await harness.put(String(round));
        await follower.until((content) => textOf(content) === String(round));
      }
      await follower.stop();
    });

    it('says that it asked and found the same', async () => {
      await harness.put('quiet');
      const follower = follow(harness.open(), harness.sameWithinMs ?? 5_000);
      await follower.until((content) => textOf(content) === 'quiet');
      expect(await follower.next()).toEqual({ kind: 'same' });
      expect(await follower.next()).toEqual({ kind: 'same' });
      await follower.stop();
    });

    it('restarts with a snapshot at every watch', async () => {
      await harness.put('again');
      const provider = harness.open();
      for (let round = 0; round < 2; round++) {
        const follower = follow(provider);
        expect(textOf(snapshotOf(await follower.next()).content)).toBe('again');
        await follower.stop();
      }
    });

    it('says that there is nothing by a snapshot, and sees what comes after', async () => {
      await harness.put('something');
      const follower = follow(harness.open());
      await follower.next();
      await harness.empty();
      await follower.until((content) => content.kind === 'nothing');
      await harness.put('something else');
      await follower.until((content) => textOf(content) === 'something else');
      await follower.stop();
    });

    it('throws when it cannot ask, and shows no secret', async () => {
      const provider = harness.openUnreachable({ fetchTimeoutMs: 3_000 });
      const error = await failureOf(provider);
      expect(error.stage).toBe('source');
      expect(error.message).toMatch(/^Cannot \w+ .*".+": .+/s);
      expect(error.code).toMatch(/^source\.[a-z-]+$/);
      expectNoSecret(harness, [
        provider.source,
        error.message,
        inspect(error, { depth: null, showHidden: true }),
      ]);
    });

    it('opens without touching the source', () => {
      const before = countResources();
      harness.openUnreachable();
      expect(leftOver(before)).toEqual([]);
    });

    it('refuses a snapshot that is too large', async () => {
      await harness.put('x'.repeat(4_000));
      const error = await failureOf(harness.open({ maxBytes: 1_000 }));
      expect(error.code).toBe('source.too-large');
      await harness.put('small');
    });

    it('returns promptly at the abort and leaves nothing open', async () => {
      await harness.put('abort');
      const warm = follow(harness.open());
      await warm.next();
      await warm.stop();
      const before = countResources();
      const follower = follow(harness.open());
      await follower.next();
      const waiting = follower.rest();
      const startedMs = performance.now();
      follower.abort();
      await waiting;
      expect(performance.now() - startedMs).toBeLessThan(5_000);
      await expect.poll(() => leftOver(before), { timeout: 15_000 }).toEqual([]);
    });

    it('returns at once when the signal has aborted already', async () => {
      const result = await harness.openUnreachable().watch(AbortSignal.abort()).next();
      expect(result).toEqual({ done: true, value: undefined });
    });

    if (network) describeDeadlines(() => harness);
  });
}

function describeDeadlines(harness: () => ProviderHarness): void {
  const openAt = (port: number, overrides: Partial<ProviderOptions>): Provider => {
    const provider = harness().openAt?.(port, overrides);
    if (provider === undefined) throw new Error('The harness of a source with connections needs openAt');
    return provider;
  };

  it('gives a silent connection up at its deadline', async () => {
    const silent = await listenSilently();
    const startedMs = performance.now();
    const error = await failureOf(openAt(silent.port, { fetchTimeoutMs: 500 }));
    expect(error.stage).toBe('source');
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expectNoSecret(harness(), [error.message, inspect(error, { depth: null })]);
    await silent.close();
  });

  it('returns promptly at the abort while a connection is silent', async () => {
    const silent = await listenSilently();
    const follower = follow(openAt(silent.port, { fetchTimeoutMs: 60_000 }));
    const waiting = follower.rest();
    await expect.poll(() => silent.connections(), { timeout: 10_000 }).toBeGreaterThan(0);
    const startedMs = performance.now();
    follower.abort();
    await waiting;
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    await silent.close();
  });
}

/** What a document or a tree of one key says as text; null where there is nothing. */
export function textOf(content: Content): string | null {
  if (content.kind === 'nothing') return null;
  const bytes = content.kind === 'document' ? content.bytes : content.entries[0]?.value;
  return Buffer.from(bytes ?? new Uint8Array()).toString();
}

/** The snapshot of an observation that must be one. */
export function snapshotOf(observation: Observation): Snapshot {
  if (observation.kind !== 'snapshot') throw new Error(`Expected a snapshot, got "${observation.kind}"`);
  return observation.snapshot;
}

/** The error with which the provider's watch ends; fails when it yields anything. */
export async function failureOf(provider: Provider): Promise<SidecarError> {
  const controller = new AbortController();
  const watch = provider.watch(controller.signal);
  try {
    const result = await within(60_000, watch.next());
    throw new Error(`Expected an error, got ${inspect(result, { depth: 4 })}`);
  } catch (thrown) {
    if (thrown instanceof SidecarError) return thrown;
    throw thrown;
  } finally {
    controller.abort();
    await watch.return();
  }
}

/** One running watch, every wait bounded. */
export interface Follower {
  next(): Promise<Observation>;
  nextSnapshot(): Promise<Snapshot>;
  /** The first snapshot from now on for which this holds. */
  until(holds: (content: Content) => boolean): Promise<Snapshot>;
  /** Takes everything until the watch returns. */
  rest(): Promise<void>;
  abort(): void;
  stop(): Promise<void>;
}

/** Starts a watch. `waitMs` bounds each single wait. */
export function follow(provider: Provider, waitMs = 60_000): Follower {
  const controller = new AbortController();
  const watch = provider.watch(controller.signal);
  const next = async (): Promise<Observation> => {
    const result = await within(waitMs, watch.next());
    if (result.done === true) throw new Error('The watch ended');
    return result.value;
  };
  const until = async (holds: (content: Content) => boolean): Promise<Snapshot> => {
    const endMs = performance.now() + waitMs;
    while (performance.now() < endMs) {
      const observation = await next();
      if (observation.kind === 'snapshot' && holds(observation.snapshot.content)) return observation.snapshot;
    }
    throw new Error(`Not seen within ${waitMs} ms`);
  };
  const rest = async (): Promise<void> => {
    for (;;) if ((await watch.next()).done === true) return;
  };
  const stop = async (): Promise<void> => {
    controller.abort();
    await within(waitMs, rest());
  };
  return { next, nextSnapshot: () => until(() => true), until, rest, abort: () => controller.abort(), stop };
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Nothing happened within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function expectNoSecret(harness: ProviderHarness, texts: readonly string[]): void {
  for (const secret of harness.secrets) {
    for (const text of texts) expect(text).not.toContain(secret);
  }
}

type Counts = ReadonlyMap<string, number>;

/** How many of each kind of thing are held: timers, watches, sockets (idle ones too, which only /proc shows). */
export function countResources(): Counts {
  const counts = new Map<string, number>();
  for (const kind of [...process.getActiveResourcesInfo(), ...descriptors()]) {
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

function descriptors(): string[] {
  // They belong to the whole process: in a thread beside others they say nothing.
  if (process.platform !== 'linux' || !isMainThread) return [];
  return readdirSync('/proc/self/fd').flatMap((number) => {
    try {
      return [`descriptor of ${readlinkSync(`/proc/self/fd/${number}`).replace(/\d+/g, 'N')}`];
    } catch {
      return [];
    }
  });
}

/** The kinds of which there are more now than there were. */
export function leftOver(before: Counts): string[] {
  return [...countResources()]
    .filter(([kind, count]) => count > (before.get(kind) ?? 0))
    .map(([kind]) => kind);
}

interface SilentServer {
  readonly port: number;
  connections(): number;
  close(): Promise<void>;
}

/** Takes connections and whatever is sent, and never says a word. */
export async function listenSilently(): Promise<SilentServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    accepted++;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port');
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return { port: address.port, connections: () => accepted, close };
}
