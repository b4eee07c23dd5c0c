// What the tests of the etcd provider share: opening a URL, reading a tree, and following with the real loop.
import { isDeepStrictEqual } from 'node:util';
import type { TestContext } from 'vitest';
import {
  followOne as followForever,
  type SourceEvent,
  type SourceState,
} from '../../../src/source/follower.ts';
import type { Content, Provider, ProviderOptions, Snapshot } from '../../../src/source/provider.ts';
import { until as eventually } from '../e2e/until.ts';
import type { EtcdServer } from '../servers/etcd.ts';
import { type FaultProxy, startProxy } from '../servers/proxy.ts';
import { openEtcd } from '../source/open.ts';
import { type Follower, follow, providerOptions } from '../source/provider-contract.ts';

export type Settings = Record<string, string>;

/** Opens a URL with these settings. */
export function open(
  url: string,
  settings: Settings = {},
  overrides: Partial<ProviderOptions> = {},
): Provider {
  return openEtcd(url, providerOptions({ setting: (name) => settings[name], ...overrides }));
}

/** Starts one watch of a URL with these settings. */
export function followUrl(
  url: string,
  settings: Settings = {},
  overrides: Partial<ProviderOptions> = {},
): Follower {
  return follow(open(url, settings, overrides), 20_000);
}

/** Keys and values as text; of nothing, none. */
export function treeOf(content: Content): Record<string, string> {
  if (content.kind === 'nothing') return {};
  if (content.kind !== 'tree') throw new Error(`Expected a tree, got a ${content.kind}`);
  return Object.fromEntries(content.entries.map(({ key, value }) => [key, Buffer.from(value).toString()]));
}

/** The error with which a running watch ends. */
export async function endOf(follower: Follower): Promise<{ code: string; message: string }> {
  return follower.rest().then(
    () => Promise.reject(new Error('The watch ended without an error')),
    (thrown) => thrown,
  );
}

/** A provider under the real loop, which opens it again after every error. */
export interface Following {
  readonly state: () => SourceState;
  /** Every snapshot so far, newest last. */
  readonly snapshots: readonly Snapshot[];
  /** What was said so far. */
  readonly news: readonly SourceEvent[];
  /** Waits until the newest snapshot is this tree; gives the milliseconds that took. */
  readonly until: (tree: Readonly<Record<string, string>>, withinMs?: number) => Promise<number>;
  /** Waits until the source is reported down, and why; gives the milliseconds that took. */
  readonly down: (withinMs?: number) => Promise<number>;
}

/** What is cleaned up at the end of the test; given, because tests that run at once each have their own. */
export type Ends = Pick<TestContext, 'onTestFinished'>;

/** A proxy to this server, closed at the end of the test. */
export async function proxyTo(server: EtcdServer, { onTestFinished }: Ends): Promise<FaultProxy> {
  const proxy = await startProxy(server.port);
  onTestFinished(() => proxy.close());
  return proxy;
}

/** Follows until the test ends. */
export function following(provider: Provider, { onTestFinished }: Ends): Following {
  const controller = new AbortController();
  const snapshots: Snapshot[] = [];
  const news: SourceEvent[] = [];
  const { state, done } = followForever(provider, {
    signal: controller.signal,
    now: Date.now,
    random: Math.random,
    onNews: ({ snapshot }, what) => {
      news.push(what);
      if (what === 'snapshot' && snapshot !== null) snapshots.push(snapshot);
    },
  });
  onTestFinished(async () => {
    controller.abort();
    await done;
  });
  const isTree = (wanted: Readonly<Record<string, string>>): boolean => {
    const last = snapshots.at(-1);
    if (last === undefined) return false;
    const tree = treeOf(last.content);
    if (isDeepStrictEqual(tree, wanted)) return true;
    throw new Error(`it is ${JSON.stringify(tree).slice(0, 200)}`);
  };
  return {
    state,
    snapshots,
    news,
    until: (wanted, withinMs = 15_000) =>
      timed(() => eventually('the tree is seen', () => isTree(wanted), withinMs)),
    down: (withinMs = 15_000) => timed(() => eventually('the source is down', () => !state().up, withinMs)),
  };
}

async function timed(wait: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await wait();
  return performance.now() - startedMs;
}
