import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { SidecarError } from '../../../src/lib/errors.ts';
import type { Random } from '../../../src/lib/schedule.ts';
import { sleep } from '../../../src/lib/wait.ts';
import {
  type Follow,
  type Followed,
  followOne,
  type SourceEvent,
  type SourceState,
  silenceBoundMs,
} from '../../../src/source/follower.ts';
import type { Observation, Provider } from '../../../src/source/provider.ts';
import { countResources, leftOver } from '../../support/source/provider-contract.ts';
import { createVirtualClock } from '../../support/virtual-clock.ts';

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
  readonly news: SourceEvent[];
  readonly states: SourceState[];
  readonly stop: () => Promise<void>;
}

function start(provider: Provider, more: Partial<Follow> = {}): Watched {
  const controller = new AbortController();
  const news: SourceEvent[] = [];
  const states: SourceState[] = [];
  const onNews = (state: SourceState, what: SourceEvent): void => {
    news.push(what);
    states.push(state);
  };
  const { signal } = controller;
  const followed = followOne(provider, { signal, now: Date.now, random: () => 0, onNews, ...more });
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
    expect(delays).toEqual([100, 80, 64, 50]);
  });

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

  it.each([
    [2_000, 3_000],
    [90_000, 120_000],
    [3_600_000, 3_780_000],
  ])(
    'that asks for %s ms is waited for that long and a share of as much more, here %s ms',
    async (ms, delay) => {
      const asked = await delaysOf(
        () => failure('source.busy', ms),
        1,
        () => 0.5,
      );
      expect(asked).toEqual([delay]);
    },
  );

  it.each([0, 1, 99])('that asks for %s ms is waited for all the same', async (ms) => {
    const delays = await delaysOf(
      () => failure('source.busy', ms),
      3,
      () => 0.2,
    );
    expect(delays).toEqual([50, 80, 128]);
  });

  it('that denies is asked soon once more, then slowly', async () => {
    const clock = createVirtualClock();
    const { states } = start(
      scripted(async function* () {
        yield* NOTHING;
        throw failure('source.denied');
      }),
      { random: () => 0.999_999_999, now: clock.now, clock: clock.now, sleep: clock.sleep },
    );
    await clock.advance(200_000);
    const delays = states.map(({ nextTryAt }, i) => (nextTryAt ?? 0) - (states[i - 1]?.nextTryAt ?? 0));
    expect(delays.slice(0, 6)).toEqual([250, 10_000, 20_000, 40_000, 60_000, 60_000]);
  });

  it('that denies never is asked twice within five seconds, whatever chance says', async () => {
    const clock = createVirtualClock();
    const { states } = start(
      scripted(async function* () {
        yield* NOTHING;
        throw failure('source.denied');
      }),
      { random: () => 0, now: clock.now, clock: clock.now, sleep: clock.sleep },
    );
    await clock.advance(100_000);
    const delays = states.map(({ nextTryAt }, i) => (nextTryAt ?? 0) - (states[i - 1]?.nextTryAt ?? 0));
    expect(delays).toEqual([20, 5_000, 10_000, 20_000, 30_000, 30_000, 30_000]);
  });

  it('begins with a short delay again after a watch that was healthy, and not after one that was not', async () => {
    const clock = createVirtualClock();
    const { states } = start(
      scripted(async function* (watch, signal) {
        // Long in coming, and gone at once: that is no health.
        if (watch === 4) await clock.sleep(6_000, signal);
        if (watch > 2) yield snapshot('1');
        if (watch === 5) await clock.sleep(5_000, signal);
        if (watch > 6) await untilAborted(signal);
        throw failure();
      }),
      { random: () => 0.1, now: clock.now, clock: clock.now, sleep: clock.sleep },
    );
    await clock.advance(20_000);
    const downs = states.filter(({ error }) => error !== null);
    const delays = downs.map(({ nextTryAt, errors }) => {
      const slowMs = (errors['source.unreachable'] ?? 0) > 4 ? 6_000 : 0;
      return { nextTryAt, slowMs };
    });
    const at = delays.map(({ nextTryAt, slowMs }) => (nextTryAt ?? 0) - slowMs);
    expect(at.slice(0, 5)).toEqual([25, 65, 129, 229, 329]);
    // 5 s of health after that: the sixth failure is the first of a new outage.
    expect(at.slice(5)).toEqual([329 + 5_000 + 25, 329 + 5_000 + 25 + 40]);
  });

  it('is asked within a second while its outage is young, and less and less often after', async () => {
    const clock = createVirtualClock();
    const { states } = start(
      scripted(async function* () {
        yield* NOTHING;
        throw failure();
      }),
      { random: () => 0.999_999_999, now: clock.now, clock: clock.now, sleep: clock.sleep },
    );
    await clock.advance(1_200_000);
    const tries = states.map(({ nextTryAt }) => nextTryAt ?? 0);
    const delays = tries.map((ms, i) => ({ ageMs: tries[i - 1] ?? 0, ms: ms - (tries[i - 1] ?? 0) }));
    for (const { ageMs, ms } of delays) {
      if (ageMs < 8_000) expect(ms).toBeLessThanOrEqual(1_000);
      else expect(ms).toBeLessThanOrEqual(Math.min(60_000, ageMs / 8 + 1));
    }
    expect(delays.at(-1)?.ms).toBe(60_000);
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

  it('is heard without a pause when it changes three hundred times in a row', async () => {
    const clock = createVirtualClock();
    const { followed, states, stop } = start(
      scripted(async function* (_watch, signal) {
        for (let i = 1; i <= 300; i += 1) yield snapshot(`${i}`);
        await untilAborted(signal);
      }),
      { now: clock.now, clock: clock.now, sleep: clock.sleep },
    );
    // The clock stands still: a pause would never end.
    await vi.waitFor(() => expect(followed.state().snapshot?.revision).toBe('300'), { timeout: 5_000 });
    expect(states.filter(({ snapshot: held }) => held !== null).length).toBeGreaterThanOrEqual(300);
    await stop();
  });
});

describe('a provider that breaks its law', () => {
  it('and throws at once, for ever, is not asked in a hot loop', async () => {
    const clock = createVirtualClock();
    let watches = 0;
    const provider: Provider = {
      source: 'test://',
      watch: () => {
        watches += 1;
        throw new TypeError('a defect');
      },
    };
    const { followed } = start(provider, { random: Math.random, clock: clock.now, sleep: clock.sleep });
    await clock.advance(60_000);
    expect(followed.state().errors).toEqual({ internal: watches });
    expect(watches).toBeGreaterThan(20);
    expect(watches).toBeLessThan(90);
  });

  it('and ends its watch silently, for ever, is opened again and not in a hot loop', async () => {
    const clock = createVirtualClock();
    let watches = 0;
    const provider = scripted(async function* () {
      watches += 1;
      yield snapshot(`${watches}`);
    });
    const { followed, news } = start(provider, {
      random: Math.random,
      clock: clock.now,
      sleep: clock.sleep,
    });
    await clock.advance(60_000);
    expect(watches).toBeGreaterThan(20);
    expect(watches).toBeLessThan(90);
    expect(followed.state().snapshot?.revision).toBe(`${watches}`);
    expect(news.slice(0, 6)).toEqual(['up', 'snapshot', 'down', 'up', 'snapshot', 'down']);
  });

  const NONSENSE: readonly (readonly [unknown, string])[] = [
    [SAME, 'said "the same" before any snapshot'],
    [undefined, 'said something that is no observation'],
    [null, 'said something that is no observation'],
    [{ kind: 'delta' }, 'said something that is no observation'],
    [{ kind: 'snapshot' }, 'gave a snapshot without a revision'],
    [
      { kind: 'snapshot', snapshot: { revision: '', content: { kind: 'nothing' } } },
      'gave a snapshot without a revision',
    ],
    [{ kind: 'snapshot', snapshot: { revision: '1' } }, 'gave a snapshot without content'],
    [
      { kind: 'snapshot', snapshot: { revision: '1', content: { kind: 'tree' } } },
      'gave a snapshot without content',
    ],
    [
      { kind: 'snapshot', snapshot: { revision: '1', content: { kind: 'document', bytes: 'text' } } },
      'gave a snapshot without content',
    ],
  ];

  it.each(NONSENSE)('and says %j is not believed, and asked again', async (nonsense, what) => {
    const { followed, news, states } = start(
      scripted(async function* (watch, signal) {
        if (watch === 0) yield snapshot('good');
        else if (watch < 4) yield nonsense as Observation;
        else {
          yield snapshot('better');
          await untilAborted(signal);
        }
        throw failure();
      }),
    );
    await vi.waitFor(() => expect(followed.state().snapshot?.revision).toBe('better'), { timeout: 10_000 });
    const still = ['still-down', 'still-down', 'up', 'snapshot'];
    expect(news).toEqual(['up', 'snapshot', 'down', 'down', ...still]);
    const { error, snapshot: kept } = states[3] ?? {};
    expect({ code: error?.code, message: error?.message, kept: kept?.revision }).toEqual({
      code: 'source.defect',
      message: `Cannot follow "test://": its watch ${what}, which is a bug in config-sidecar. It is opened again.`,
      kept: 'good',
    });
  });

  it('and talks without end does not keep other work from its turn', async () => {
    let said = 0;
    const { followed, stop } = start(
      scripted(async function* (_watch, signal) {
        yield snapshot('1');
        while (!signal.aborted) {
          said += 1;
          yield SAME;
        }
      }),
    );
    await vi.waitFor(() => expect(said).toBeGreaterThan(520));
    const before = { said, ms: performance.now() };
    await vi.waitFor(() => expect(performance.now() - before.ms).toBeGreaterThan(300));
    const perSecond = ((said - before.said) * 1_000) / (performance.now() - before.ms);
    expect(perSecond).toBeLessThan(100);
    expect(followed.state().up).toBe(true);
    await stop();
  });

  it('and falls silent is opened again, and heard again', async () => {
    const clock = createVirtualClock();
    const { followed, states } = start(
      scripted(async function* (watch, signal) {
        yield snapshot(`${watch}`);
        if (watch === 0) await new Promise(() => undefined);
        for (;;) {
          await clock.sleep(50_000, signal);
          if (signal.aborted) return;
          yield SAME;
        }
      }),
      { silentAfterMs: 140_000, now: clock.now, clock: clock.now, sleep: clock.sleep },
    );
    await clock.advance(139_000);
    expect(followed.state().snapshot?.revision).toBe('0');
    await clock.advance(5_000);
    expect(followed.state()).toMatchObject({ up: true, errors: { 'source.silent': 1 } });
    expect(followed.state().snapshot?.revision).toBe('1');
    const messages = states.flatMap(({ error }) => (error === null ? [] : [error.message]));
    expect(messages).toEqual([
      'Cannot follow "test://": the watch said nothing for 140 s. It is opened again.',
    ]);
    await clock.advance(600_000);
    expect(followed.state().errors).toEqual({ 'source.silent': 1 });
  });

  it('and does not hear that it should end holds up neither a sync nor the end', async () => {
    const { followed, stop } = start(
      scripted(async function* (watch) {
        yield snapshot(`${watch}`);
        await new Promise(() => undefined);
      }),
    );
    await vi.waitFor(() => expect(followed.state().snapshot?.revision).toBe('0'));
    followed.sync();
    await vi.waitFor(() => expect(followed.state().snapshot?.revision).toBe('1'), { timeout: 10_000 });
    const startedMs = performance.now();
    await stop();
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});

describe('the longest silence of a working watch', () => {
  it('is twice the longest question and its answer', () => {
    expect(silenceBoundMs(60_000, 10_000)).toBe(152_000);
    expect(silenceBoundMs(1_000, 10_000)).toBe(140_000);
    expect(silenceBoundMs(3_600_000, 10_000)).toBe(7_940_000);
  });
});
