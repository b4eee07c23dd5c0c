import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { debounceDue, RETRY, retryDelay, SOURCE_RETRY, splayOf, spread } from '../../../src/lib/schedule.ts';

const always = (value: number) => () => value;
const NEARLY_ONE = 0.999_999_999;

describe('the delay between tries', () => {
  it('is spread over a bound that is doubled from one second up to a minute', () => {
    const bounds = [1, 2, 3, 4, 5, 6, 7, 8, 100, 10_000].map((failures) =>
      retryDelay(failures, RETRY, always(NEARLY_ONE)),
    );
    expect(bounds).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000]);
    expect(retryDelay(3, RETRY, always(0.25))).toBe(1_000);
  });

  it('is never a hot loop, whatever chance says', () => {
    for (const backoff of [RETRY, SOURCE_RETRY]) {
      for (const failures of [0, 1, 5, 1e9])
        expect(retryDelay(failures, backoff, always(0))).toBeGreaterThanOrEqual(20);
    }
  });

  it('begins early for a source, and does not pass a minute', () => {
    expect(retryDelay(1, SOURCE_RETRY, always(NEARLY_ONE))).toBe(250);
    expect(retryDelay(50, SOURCE_RETRY, always(NEARLY_ONE))).toBe(60_000);
  });
});

describe('the share of the splay', () => {
  it('is the same for the same instance, and evenly spread over instances', () => {
    expect(splayOf('pod-1/out', 10_000)).toBe(splayOf('pod-1/out', 10_000));
    const tenths = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 10_000; i += 1) {
      const tenth = Math.floor(splayOf(`pod-${i}/out`, 10_000) / 1_000);
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    expect(tenths).toHaveLength(10);
    for (const count of tenths) expect(count).toBeGreaterThan(850);
  });

  it('is nothing without a splay', () => {
    expect(splayOf('pod-1/out', 0)).toBe(0);
  });
});

describe('an interval', () => {
  it('is spread by up to a tenth both ways', () => {
    expect([
      spread(60_000, always(0)),
      spread(60_000, always(0.5)),
      spread(60_000, always(NEARLY_ONE)),
    ]).toEqual([54_000, 60_000, 66_000]);
  });
});

describe('a stream of changes', () => {
  it('is due when it was quiet for long enough, and no later than the maximum', () => {
    expect(debounceDue({ first: 1_000, latest: 1_000 }, 50, 1_000)).toBe(1_050);
    expect(debounceDue({ first: 1_000, latest: 1_900 }, 50, 1_000)).toBe(1_950);
    expect(debounceDue({ first: 1_000, latest: 1_990 }, 50, 1_000)).toBe(2_000);
  });

  it('is never due before its quiet time, also when the maximum is shorter', () => {
    expect(debounceDue({ first: 1_000, latest: 1_000 }, 500, 100)).toBe(1_500);
  });

  it('is never due later because of the changes that came before', () => {
    const times = fc.tuple(fc.nat(10_000), fc.nat(10_000), fc.nat(1_000), fc.nat(2_000));
    fc.assert(
      fc.property(times, ([first, more, debounceMs, maxMs]) => {
        const due = debounceDue({ first, latest: first + more }, debounceMs, maxMs);
        expect(due).toBeLessThanOrEqual(first + Math.max(debounceMs, maxMs));
        expect(due).toBeLessThanOrEqual(first + more + debounceMs);
      }),
    );
  });
});
