import { describe, expect, it } from 'vitest';
import { sleep } from '../../../src/lib/wait.ts';
import { poll, spread } from '../../../src/source/poll.ts';
import type { Observation } from '../../../src/source/provider.ts';
import { countResources, leftOver } from '../../support/source/provider-contract.ts';

const SAME: Observation = { kind: 'same' };

describe('poll', () => {
  it('reads at once, and again after every interval', async () => {
    const controller = new AbortController();
    const timesMs: number[] = [];
    let isLater: boolean = false;
    let wasAtOnce: boolean = false;
    const read = async (): Promise<Observation> => {
      if (timesMs.length === 0) wasAtOnce = !isLater;
      timesMs.push(performance.now());
      return SAME;
    };
    const startedMs = performance.now();
    // Due before any interval is over, however busy the machine is.
    setTimeout(() => {
      isLater = true;
    });
    for await (const observation of poll(read, {
      intervalMs: 500,
      signal: controller.signal,
      random: () => 0.5,
    })) {
      expect(observation).toEqual(SAME);
      if (timesMs.length === 3) controller.abort();
    }
    expect(timesMs).toHaveLength(3);
    expect(wasAtOnce).toBe(true);
    expect((timesMs[2] ?? 0) - startedMs).toBeGreaterThanOrEqual(995);
  });

  it('spreads the interval by up to a tenth, both ways', () => {
    expect(spread(60_000, () => 0)).toBe(54_000);
    expect(spread(60_000, () => 0.5)).toBe(60_000);
    expect(spread(60_000, () => 0.999_999)).toBe(66_000);
  });

  it('ends with the error that the read throws', async () => {
    const read = (): Promise<Observation> => Promise.reject(new Error('no answer'));
    const reading = poll(read, { intervalMs: 10, signal: new AbortController().signal });
    await expect(reading.next()).rejects.toThrow('no answer');
    expect(await reading.next()).toEqual({ done: true, value: undefined });
  });

  it('returns promptly when it is aborted between two reads, and leaves no timer', async () => {
    const before = countResources();
    const controller = new AbortController();
    const reading = poll(async () => SAME, { intervalMs: 3_600_000, signal: controller.signal });
    await reading.next();
    const waiting = reading.next();
    controller.abort();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(leftOver(before)).toEqual([]);
  });

  it('takes an error during the abort for the abort', async () => {
    const controller = new AbortController();
    const read = async (): Promise<Observation> => {
      controller.abort();
      throw new Error('given up');
    };
    expect(await poll(read, { intervalMs: 10, signal: controller.signal }).next()).toEqual({
      done: true,
      value: undefined,
    });
  });

  it('does not read at all when the signal has aborted before', async () => {
    const read = (): Promise<Observation> => Promise.reject(new Error('was read'));
    expect(await poll(read, { intervalMs: 10, signal: AbortSignal.abort() }).next()).toEqual({
      done: true,
      value: undefined,
    });
  });
});

describe('sleep', () => {
  it('lasts as long as it says', async () => {
    const startedMs = performance.now();
    await sleep(50, new AbortController().signal);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(49);
  });

  it('does not take a very long time for none', async () => {
    const controller = new AbortController();
    let isOver = false;
    const sleeping = sleep(2 ** 40, controller.signal).then(() => {
      isOver = true;
    });
    await sleep(50, new AbortController().signal);
    expect(isOver).toBe(false);
    controller.abort();
    await sleeping;
  });

  it('ends at the abort, and leaves no timer', async () => {
    const before = countResources();
    const controller = new AbortController();
    const sleeping = sleep(3_600_000, controller.signal);
    controller.abort();
    await sleeping;
    await sleep(3_600_000, controller.signal);
    expect(leftOver(before)).toEqual([]);
  });
});
