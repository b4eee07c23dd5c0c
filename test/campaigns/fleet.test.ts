// Many instances at once, each with the real loop, on one virtual clock: what a store sees of them when it comes back.
import { describe, expect, it, onTestFinished } from 'vitest';
import { SidecarError } from '../../src/lib/errors.ts';
import { followOne, type SourceState } from '../../src/source/follower.ts';
import { poll } from '../../src/source/poll.ts';
import type { Observation, Provider } from '../../src/source/provider.ts';
import { createVirtualClock, type VirtualClock } from '../support/virtual-clock.ts';

const INSTANCES = 200;
const SAME: Observation = { kind: 'same' };

const snapshot = (revision: string): Observation => ({
  kind: 'snapshot',
  snapshot: { revision, content: { kind: 'tree', entries: [] } },
});

interface Store {
  /** It cannot be asked from `downAt` until just before `upAt`. */
  readonly downAt: number;
  readonly upAt: number;
  /** What it says while it cannot. */
  /** Default: connection refused. */
  readonly failure?: () => SidecarError;
  /** From the question to the first answer. Default 20. */
  readonly connectMs?: number;
}

const unreachable = (): SidecarError =>
  new SidecarError('Cannot read "test://": connection refused', {
    code: 'source.unreachable',
    stage: 'source',
  });

interface Fleet {
  readonly clock: VirtualClock;
  /** When the store was asked, over all instances, in order. */
  readonly asked: number[];
  readonly states: () => readonly SourceState[];
}

/** Instances that watch one store: they notice its end at once, as by a connection that breaks. */
function startFleet({ downAt, upAt, failure = unreachable, connectMs = 20 }: Store): Fleet {
  const clock = createVirtualClock();
  const asked: number[] = [];
  const isUp = (): boolean => clock.now() < downAt || clock.now() >= upAt;
  const provider: Provider = {
    source: 'test://',
    async *watch(signal) {
      asked.push(clock.now());
      if (isUp()) await clock.sleep(connectMs, signal);
      if (!isUp()) throw failure();
      yield snapshot(`since ${clock.now()}`);
      await clock.sleep(clock.now() < downAt ? downAt - clock.now() : Number.POSITIVE_INFINITY, signal);
      if (!signal.aborted) throw failure();
    },
  };
  const instances = Array.from({ length: INSTANCES }, () => {
    const ending = new AbortController();
    const { now, sleep } = clock;
    const time = { now, clock: now, sleep };
    const options = { signal: ending.signal, random: Math.random, onNews: () => undefined, ...time };
    return { ending, followed: followOne(provider, options) };
  });
  onTestFinished(async () => {
    for (const { ending } of instances) ending.abort();
    await Promise.all(instances.map(({ followed }) => followed.done));
  });
  return { clock, asked, states: () => instances.map(({ followed }) => followed.state()) };
}

interface Return {
  /** How long after the store was back each instance had its new value, in order. */
  readonly delays: readonly number[];
  /** How often the store was asked in vain by one instance, on average. */
  readonly tries: number;
}

const HEALTHY_FIRST_MS = 20_000;

/** All instances lose the store at once, for this long. */
async function loseTheStore(
  outageMs: number,
  store: Pick<Store, 'failure' | 'connectMs'> = {},
): Promise<Return> {
  const backAt = HEALTHY_FIRST_MS + outageMs;
  const { clock, asked, states } = startFleet({ downAt: HEALTHY_FIRST_MS, upAt: backAt, ...store });
  await clock.advance(backAt - 1);
  expect(states().filter(({ up }) => up)).toEqual([]);
  const tries = asked.filter((ms) => ms >= HEALTHY_FIRST_MS && ms < backAt).length / INSTANCES;
  await clock.advance(150_000);
  const delays = states().map(({ snapshot: value }) => Number(value?.revision.slice(6)) - backAt);
  return { delays: delays.sort((a, b) => a - b), tries };
}

function median(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** How many fall into each of 12 equal parts of the time from 0 to `spanMs`; what is later falls into the last. */
function histogram(times: readonly number[], spanMs: number): readonly number[] {
  const counts = Array.from({ length: 12 }, () => 0);
  for (const ms of times) {
    const slot = Math.min(11, Math.floor((ms / spanMs) * 12));
    counts[slot] = (counts[slot] ?? 0) + 1;
  }
  return counts;
}

function print(what: string, spanMs: number, counts: readonly number[]): void {
  const most = Math.max(...counts);
  const lines = counts.map((count, slot) => {
    const fromS = ((slot * spanMs) / 12_000).toFixed(2).padStart(6);
    return `  from ${fromS} s ${String(count).padStart(4)} ${'#'.repeat(Math.ceil((count / most) * 50))}`;
  });
  console.log([`fleet of ${INSTANCES}, ${what}:`, ...lines].join('\n'));
}

describe('200 instances that lose their store at once', () => {
  it.each([
    [5_000, 1_000, 8],
    [60_000, 8_000, 10],
    [600_000, 60_000, 10],
  ])('come back spread, after an outage of %s ms over %s ms', async (outageMs, boundMs, slotsUsed) => {
    const { delays, tries } = await loseTheStore(outageMs);
    const counts = histogram(delays, boundMs);
    print(`back after an outage of ${outageMs / 1_000} s, ${tries.toFixed(1)} tries each`, boundMs, counts);
    expect(delays).toHaveLength(INSTANCES);
    expect(delays.at(-1)).toBeLessThanOrEqual(boundMs + 100);
    // Full jitter brings the early ones more; all in step would be 200 in one.
    expect(Math.max(...counts)).toBeLessThan(75);
    expect(counts.filter((count) => count > 0).length).toBeGreaterThanOrEqual(slotsUsed);
  });

  it('have the new value within a second of its return, in the median, after an outage of 5 s', async () => {
    // What connecting costs, from a store on the same machine to one that needs TLS, a log-in and a listing.
    for (const connectMs of [20, 300]) {
      const { delays } = await loseTheStore(5_000, { connectMs });
      console.log(`fleet: after 5 s, connecting in ${connectMs} ms: new value after ${median(delays)} ms`);
      expect(median(delays)).toBeLessThan(1_000);
      expect(delays.at(-1)).toBeLessThan(1_500);
    }
  });

  it('ask less and less, and never in step, however long it is away', async () => {
    const { clock, asked } = startFleet({ downAt: HEALTHY_FIRST_MS, upAt: Number.POSITIVE_INFINITY });
    await clock.advance(HEALTHY_FIRST_MS + 1_800_000);
    const rates = [0, 60, 300, 900, 1_500].map((s) => {
      const from = HEALTHY_FIRST_MS + s * 1_000;
      return asked.filter((ms) => ms >= from && ms < from + 60_000).length / INSTANCES;
    });
    console.log(`fleet: tries per instance and minute after 0, 1, 5, 15 and 25 min: ${rates.join(' ')}`);
    expect(rates[0]).toBeLessThan(60);
    for (const [index, rate] of rates.slice(1, 4).entries()) expect(rate).toBeLessThan(rates[index] ?? 0);
    // A minute at most, by chance between none and all of it: two a minute.
    expect(rates[4]).toBeGreaterThan(1);
    expect(rates[4]).toBeLessThan(4);
    const late = asked.filter((ms) => ms >= HEALTHY_FIRST_MS + 900_000);
    const perSecond = new Map<number, number>();
    for (const ms of late) {
      const second = Math.floor(ms / 1_000);
      perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
    }
    expect(Math.max(...perSecond.values())).toBeLessThan(30);
  });

  it('come back spread also where all were asked to wait for the same time', async () => {
    const failure = (): SidecarError =>
      new SidecarError('Cannot GET "test://": the server answered 503 and asks to wait 10 s', {
        code: 'source.failed',
        stage: 'source',
        retryAfterMs: 10_000,
      });
    const { delays } = await loseTheStore(5_000, { failure });
    const counts = histogram(delays, 15_000);
    print('asked to wait 10 s in an outage of 5 s', 15_000, counts);
    expect(delays[0]).toBeGreaterThanOrEqual(5_000);
    expect(delays.at(-1)).toBeLessThan(15_200);
    expect(Math.max(...counts)).toBeLessThan(60);
  });
});

describe('200 instances that start at once', () => {
  it('poll the store spread over a fifth of the interval from the second question on', async () => {
    const clock = createVirtualClock();
    const asked: number[][] = Array.from({ length: INSTANCES }, () => []);
    const endings = asked.map(() => new AbortController());
    const polling = asked.map(async (times, index) => {
      const read = async (): Promise<Observation> => {
        times.push(clock.now());
        return SAME;
      };
      const signal = endings[index]?.signal ?? AbortSignal.abort();
      const options = { intervalMs: 60_000, signal, sleep: clock.sleep };
      for await (const observation of poll(read, options)) expect(observation).toBe(SAME);
    });
    await clock.advance(67_000);
    const second = asked.map((times) => (times[1] ?? 0) - 54_000);
    const counts = histogram(second, 12_000);
    print('second question, from 54 s on', 12_000, counts);
    expect(Math.min(...second)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...second)).toBeLessThanOrEqual(12_000);
    expect(Math.max(...counts)).toBeLessThan(40);
    for (const ending of endings) ending.abort();
    await Promise.all(polling);
  });

  it('while the store is not there yet, find it spread', async () => {
    const { clock, states } = startFleet({ downAt: 0, upAt: 30_000 });
    await clock.advance(40_000);
    const delays = states().map(({ snapshot: value }) => Number(value?.revision.slice(6)) - 30_000);
    const counts = histogram(delays, 4_000);
    print('first value of a store that comes 30 s after them', 4_000, counts);
    expect(Math.max(...delays)).toBeLessThan(4_100);
    expect(Math.max(...counts)).toBeLessThan(75);
  });
});
