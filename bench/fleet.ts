// What a store sees of many sidecars: the real loop of each, with its delays and spreads, on one clock that is not real.
import { setMaxListeners } from 'node:events';
import { type Followed, followOne } from '../src/source/follower.ts';
import { poll, spread } from '../src/source/poll.ts';
import type { Observation, Provider } from '../src/source/provider.ts';
import { createVirtualClock, type VirtualClock } from '../test/support/virtual-clock.ts';

export const SIDECARS = 1_000;
/** `UPDATE_FREQUENCY` by default. */
const EVERY_MS = 60_000;
/** The longest that an agent of Consul keeps a question. */
const BLOCKS_MS = 55_000;
const ANSWERS_AFTER_MS = 20;
const OUTAGES_MS = [5_000, 60_000, 600_000] as const;

/** How a kind of source asks its store. */
export type FleetKind = 'poll' | 'block' | 'stream';

export interface FleetLoad {
  readonly kind: FleetKind;
  /** Requests a second at rest: on average, and in the worst second. */
  readonly rest: { readonly mean: number; readonly peak: number };
  /** Requests in the first second after a change, and when the last sidecar had it, in seconds. */
  readonly change: { readonly peak: number; readonly lastS: number };
  /** The same after the store was away for so long; the worst second. */
  readonly recoveries: readonly {
    readonly outageMs: number;
    readonly peak: number;
    readonly lastS: number;
  }[];
}

/** Any number may wait for it. */
function quietController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

class Store {
  readonly clock: VirtualClock;
  readonly asked: number[] = [];
  revision = 1;
  isUp = true;
  /** Ends what waits for news. */
  news = quietController();

  constructor(clock: VirtualClock) {
    this.clock = clock;
  }

  happens(what: () => void): void {
    what();
    const { news } = this;
    this.news = quietController();
    news.abort();
  }

  async answer(signal: AbortSignal): Promise<number> {
    this.asked.push(this.clock.now());
    if (this.isUp) await this.clock.sleep(ANSWERS_AFTER_MS, signal);
    if (!this.isUp) throw new Error('connection refused');
    return this.revision;
  }
}

const snapshotOf = (revision: number): Observation => ({
  kind: 'snapshot',
  snapshot: { revision: String(revision), content: { kind: 'nothing' } },
});

function providerOf(kind: FleetKind, store: Store): Provider {
  let known = 0;
  const observed = (revision: number): Observation => {
    const isSame = revision === known;
    known = revision;
    return isSame ? { kind: 'same' } : snapshotOf(revision);
  };
  const source = 'fleet://';
  const { sleep } = store.clock;
  if (kind === 'poll') {
    return {
      source,
      watch: (signal) => {
        known = 0;
        const read = async (): Promise<Observation> => observed(await store.answer(signal));
        return poll(read, { intervalMs: EVERY_MS, signal, sleep });
      },
    };
  }
  const restMs = kind === 'block' ? BLOCKS_MS : EVERY_MS;
  return {
    source,
    async *watch(signal) {
      known = 0;
      while (!signal.aborted) {
        yield observed(await store.answer(signal));
        // A stream brings changes itself, and asks again only to compare; a question that is kept ends with a change.
        for (let nextAt = store.clock.now() + spread(restMs, Math.random); store.clock.now() < nextAt; ) {
          await sleep(nextAt - store.clock.now(), AbortSignal.any([signal, store.news.signal]));
          if (signal.aborted) return;
          if (!store.isUp) throw new Error('the connection broke');
          if (store.revision === known) continue;
          if (kind === 'block') break;
          yield observed(store.revision);
        }
      }
    },
  };
}

/** One kind of source, through rest, a change and outages. */
export async function measureFleet(kind: FleetKind): Promise<FleetLoad> {
  const clock = createVirtualClock();
  const store = new Store(clock);
  const ending = quietController();
  const followed: Followed[] = [];
  const options = { signal: ending.signal, random: Math.random, onNews: () => {}, sleep: clock.sleep };
  // Pods start over a minute, not in one moment.
  for (let i = 0; i < SIDECARS; i += 1) {
    followed.push(followOne(providerOf(kind, store), { ...options, now: clock.now, clock: clock.now }));
    if (i % 10 === 9) await clock.advance(600);
  }
  await clock.advance(120_000);
  const rest = countFrom(store.asked, clock.now() - 60_000, 60_000);
  const lastOf = async (): Promise<number> => {
    const startedAt = clock.now();
    const wanted = String(store.revision);
    while (followed.some((one) => one.state().snapshot?.revision !== wanted)) await clock.advance(100);
    return (clock.now() - startedAt) / 1_000;
  };
  let at = clock.now();
  store.happens(() => {
    store.revision += 1;
  });
  const lastS = await lastOf();
  await clock.advance(1_000);
  const change = { peak: countFrom(store.asked, at, 1_000).peak, lastS };
  const recoveries: { outageMs: number; peak: number; lastS: number }[] = [];
  for (const outageMs of OUTAGES_MS) {
    await clock.advance(120_000);
    store.happens(() => {
      store.isUp = false;
      store.revision += 1;
    });
    await clock.advance(outageMs);
    at = clock.now();
    store.isUp = true;
    const recoveredS = await lastOf();
    await clock.advance(2_000);
    const { peak } = countFrom(store.asked, at, clock.now() - at);
    recoveries.push({ outageMs, peak, lastS: recoveredS });
  }
  ending.abort();
  await clock.advance(10_000);
  await Promise.all(followed.map(({ done }) => done));
  return { kind, rest, change, recoveries };
}

function countFrom(
  times: readonly number[],
  from: number,
  spanMs: number,
): { readonly mean: number; readonly peak: number } {
  const counts = Array.from({ length: Math.ceil(spanMs / 1_000) }, () => 0);
  for (const ms of times) {
    const second = Math.floor((ms - from) / 1_000);
    if (second >= 0 && second < counts.length) counts[second] = (counts[second] ?? 0) + 1;
  }
  return { mean: counts.reduce((a, b) => a + b, 0) / counts.length, peak: Math.max(...counts) };
}
