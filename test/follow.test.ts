import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { SidecarError } from '../src/errors.ts';
import { type Followed, follow, type News, type SourceState } from '../src/follow.ts';
import type { Observation, Provider } from '../src/provider.ts';
import type { Random } from '../src/schedule.ts';
import { sleep } from '../src/wait.ts';
import { countResources, leftOver } from './provider-contract.ts';

const SAME: Observation = { kind: 'same' };
/** What a watch says before it fails. */
const NOTHING: readonly Observation[] = [];

const snapshot = (revision: string): Observation => ({
  kind: 'snapshot',
  snapshot: { revision, content: { kind: 'tree', entries: [] } },
});

function failure(code = 'source.unreachable', retryAfterMs?: number): SidecarError {
  const more = retryAfterMs === undefined ? {} : { retryAfterMs };
  return new SidecarError(`Cannot read "test://": ${code}`, { code, stage: 'source', ...more });
}

/** A provider whose n-th watch (from 0) does what the script says. */
function scripted(
  script: (watch: number, signal: AbortSignal) => AsyncGenerator<Observation, void, void>,
): Provider {
  let watches = 0;
  return {
    source: 'test://',
    watch: (signal) => {
      watches += 1;
      return script(watches - 1, signal);
    },
  };
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await sleep(3_600_000, signal);
}

interface Watched {
  readonly followed: Followed;
  readonly news: News[];
  readonly states: SourceState[];
  readonly stop: () => Promise<void>;
}

function start(
  provider: Provider,
  { random = () => 0, now = Date.now }: { random?: Random; now?: () => number } = {},
): Watched {
  const controller = new AbortController();
  const news: News[] = [];
  const states: SourceState[] = [];
  const onNews = (state: SourceState, what: News): void => {
    news.push(what);
    states.push(state);
  };
  const followed = follow(provider, { signal: controller.signal, now, random, onNews });
  const stop = async (): Promise<void> => {
    controller.abort();
    await followed.done;
  };
  onTestFinished(stop);
  return { followed, news, states, stop };
}

/** How long it says it will wait after each of so many failures in a row. */
async function delaysOf(
  error: () => SidecarError,
  tries: number,
  random: Random,
): Promise<readonly number[]> {
  const { states } = start(
    scripted(async function* () {
      yield* NOTHING;
      throw error();
    }),
    { random, now: () => 1_000_000 },
  );
  await vi.waitFor(() => expect(states.length).toBeGreaterThanOrEqual(tries), {
    timeout: 20_000,
    interval: 5,
  });
  return states.slice(0, tries).map(({ nextTryAt }) => (nextTryAt ?? 0) - 1_000_000);
}

describe('a source that is followed', () => {
  it('gives its newest snapshot, its contacts and its changes', async () => {
    let time = 1_000;
    const { followed, news } = start(
      scripted(async function* (_watch, signal) {
        yield snapshot('1');
        time = 2_000;
        yield SAME;
        time = 3_000;
        yield snapshot('2');
        time = 4_000;
        yield SAME;
        await untilAborted(signal);
      }),
      { now: () => time },
    );
    await vi.waitFor(() => expect(followed.state().lastContactAt).toBe(4_000));
    expect(followed.state()).toMatchObject({
      url: 'test://',
      up: true,
      lastChangeAt: 3_000,
      error: null,
      nextTryAt: null,
      errors: {},
    });
    expect(followed.state().snapshot?.revision).toBe('2');
    expect(news).toEqual(['up', 'snapshot', 'snapshot']);
  });

  it('keeps its snapshot while it is down, and says so once for each outage', async () => {
    const { followed, news } = start(
      scripted(async function* (watch, signal) {
        if (watch === 0) yield snapshot('1');
        if (watch < 6) throw failure();
        yield snapshot('1');
        if (watch === 6) throw failure();
        await untilAborted(signal);
      }),
    );
    await vi.waitFor(() => expect(followed.state().errors).toEqual({ 'source.unreachable': 7 }), {
      timeout: 10_000,
    });
    await vi.waitFor(() => expect(followed.state().up).toBe(true), { timeout: 10_000 });
    const still = Array.from({ length: 5 }, () => 'still-down');
    expect(news).toEqual(['up', 'snapshot', 'down', ...still, 'up', 'snapshot', 'down', 'up', 'snapshot']);
    expect(followed.state().snapshot?.revision).toBe('1');
  });

  it('says that it is down again when the reason changes, and counts each', async () => {
    const codes = ['source.timeout', 'source.timeout', 'source.denied', 'source.timeout'];
    const { followed, news } = start(
      scripted(async function* (watch, signal) {
        yield* NOTHING;
        if (watch >= codes.length) await untilAborted(signal);
        else throw failure(codes[watch]);
      }),
    );
    await vi.waitFor(() => expect(news).toEqual(['down', 'still-down', 'down', 'down']), { timeout: 10_000 });
    expect(followed.state().errors).toEqual({ 'source.timeout': 3, 'source.denied': 1 });
    expect(followed.state()).toMatchObject({ up: false, snapshot: null, lastContactAt: null });
  });

  it('is opened again when its watch ends by itself, or throws anything', async () => {
    const { followed } = start(
      scripted(async function* (watch, signal) {
        if (watch === 0) return;
        if (watch === 1) throw new TypeError('a defect');
        yield snapshot('1');
        await untilAborted(signal);
      }),
    );
    await vi.waitFor(() => expect(followed.state().up).toBe(true), { timeout: 10_000 });
    expect(followed.state().errors).toEqual({ 'source.ended': 1, internal: 1 });
  });

  it('is waited for longer after every failure, by a share that chance says', async () => {
    const shares = [0.4, 0.2, 0.1, 0.05];
    let at = 0;
    const delays = await delaysOf(
      () => failure(),
      4,
      () => shares[at++] ?? 0,
    );
    expect(delays).toEqual([100, 80, 64, 51]);
  });

  // A-B03
  it('is tried again at least every minute, however long it was away', async () => {
    const { followed, news } = start(
      scripted(async function* () {
        yield* NOTHING;
        throw failure();
      }),
      { random: () => 0.000_01, now: () => 0 },
    );
    await vi.waitFor(() => expect(news.length).toBeGreaterThan(30), { timeout: 20_000 });
    expect(followed.state().nextTryAt).toBeLessThanOrEqual(60_000);
  });

  it('is waited for as long as it asks, and a tenth of that more at most', async () => {
    const asked = await delaysOf(
      () => failure('source.busy', 90_000),
      1,
      () => 0.5,
    );
    expect(asked).toEqual([94_500]);
  });

  it('that asks not to be waited for at all is waited for all the same', async () => {
    const delays = await delaysOf(
      () => failure('source.busy', 0),
      3,
      () => 0.2,
    );
    expect(delays).toEqual([50, 80, 128]);
  });

  it('begins with a short delay again after a watch that was healthy, and not after one that was not', async () => {
    let time = 0;
    const { states } = start(
      scripted(async function* (watch, signal) {
        if (watch > 5) return await untilAborted(signal);
        if (watch > 2) yield snapshot('1');
        if (watch === 5) time += 5_000;
        throw failure();
      }),
      { random: () => 0.1, now: () => time },
    );
    const downs = () => states.filter(({ error }) => error !== null);
    await vi.waitFor(() => expect(downs()).toHaveLength(6), { timeout: 20_000 });
    const delays = downs().map(({ nextTryAt }, i) => (nextTryAt ?? 0) - (i === 5 ? 5_000 : 0));
    expect(delays).toEqual([25, 40, 64, 102, 164, 25]);
  });

  it('is read at once when that is asked for, whatever delay there was', async () => {
    const { followed, news } = start(
      scripted(async function* (watch, signal) {
        if (watch === 0) throw failure('source.busy', 3_600_000);
        yield snapshot(`${watch}`);
        await untilAborted(signal);
      }),
    );
    await vi.waitFor(() => expect(news).toEqual(['down']));
    followed.sync();
    await vi.waitFor(() => expect(followed.state().snapshot?.revision).toBe('1'));
    followed.sync();
    await vi.waitFor(() => expect(followed.state().snapshot?.revision).toBe('2'));
    expect(news).toEqual(['down', 'up', 'snapshot', 'snapshot']);
  });

  it('leaves nothing behind when it is stopped, in a watch or in a delay', async () => {
    const before = countResources();
    const watching = start(
      scripted(async function* (_watch, signal) {
        yield snapshot('1');
        await untilAborted(signal);
      }),
    );
    const delayed = start(
      scripted(async function* () {
        yield* NOTHING;
        throw failure('source.busy', 3_600_000);
      }),
    );
    await vi.waitFor(() => expect([watching.followed.state().up, delayed.news.length]).toEqual([true, 1]));
    await Promise.all([watching.stop(), delayed.stop()]);
    expect(leftOver(before)).toEqual([]);
  });
});

describe('200 followers that lose their source at once', () => {
  // A-B10, A-B01
  it('come back spread over time, without a common spike', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const outageMs = 600_000;
    const startedAt = Date.now();
    const returns: number[] = [];
    const provider = scripted(async function* (watch, signal) {
      if (watch < 200) yield snapshot('0');
      if (Date.now() < startedAt + outageMs) throw failure();
      returns.push(Date.now() - startedAt - outageMs);
      yield snapshot('1');
      await untilAborted(signal);
    });
    for (let i = 0; i < 200; i += 1) start(provider, { random: Math.random });
    // A turn of the event loop after each first snapshot: that one is real.
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(outageMs);
    const early = returns.length;
    await vi.advanceTimersByTimeAsync(60_000);
    const slots = Array.from(
      { length: 12 },
      (_, slot) => returns.filter((ms) => Math.min(11, Math.floor(ms / 5_000)) === slot).length,
    );
    console.log(`follow: back after an outage of 10 min, per 5 s: ${slots.join(' ')}`);
    expect(early).toBeLessThanOrEqual(2);
    expect(returns).toHaveLength(200);
    // Full jitter brings the early slots more, but all in one would be 200.
    expect(Math.max(...slots)).toBeLessThan(80);
    expect(slots.filter((count) => count > 0).length).toBeGreaterThanOrEqual(6);
  });
});
