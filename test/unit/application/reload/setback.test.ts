import { describe, expect, it } from 'vitest';
import type { OwedClass, ReloadResult } from '../../../../src/application/reload/hook.ts';
import { type NotifyTries, type Setback, setbackOf } from '../../../../src/application/reload/setback.ts';

const SLOW = 300_000;

const owed = (kind: OwedClass, more: { readonly retryAfterMs?: number } = {}) =>
  ({ kind: 'owed', class: kind, code: `reload.${kind}`, message: `It is ${kind}.`, ...more }) as const;

type Failed = Exclude<ReloadResult, { kind: 'told' }>;

/** What becomes of tries that fail one after the other, each when it is due. */
function setbacks(...results: readonly Failed[]): readonly (Setback & { readonly retryInMs: number })[] {
  let tries: NotifyTries = {
    ...{ failures: 0, dueAt: 0 },
    lastResult: null,
    refusals: 0,
    refusedSince: null,
  };
  return results.map((result) => {
    const ms = tries.dueAt;
    const setback = setbackOf(result, tries, { ms, chance: 0.5 });
    tries = setback.tries;
    return { ...setback, retryInMs: tries.dueAt - ms };
  });
}

const delays = (all: ReturnType<typeof setbacks>): readonly number[] => all.map(({ retryInMs }) => retryInMs);
const outcomes = (all: readonly Setback[]): readonly string[] => all.map(({ outcome }) => outcome);

describe('a notification that does not arrive', () => {
  it('is tried again after a growing delay while the hook is unavailable', () => {
    const all = setbacks(...Array.from({ length: 8 }, () => owed('unavailable')));
    expect(delays(all)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    expect(all[7]).toMatchObject({
      outcome: 'failed',
      tries: { failures: 8, lastResult: 'unavailable', refusals: 0, refusedSince: null },
    });
  });

  it('waits as long as the other side asks, and no shorter than it would by itself', () => {
    const [first, second] = setbacks(
      owed('unavailable', { retryAfterMs: 7_000 }),
      owed('unavailable', { retryAfterMs: 0 }),
    );
    expect(first?.retryInMs).toBe(7_000);
    expect(second?.retryInMs).toBe(1_000);
  });

  it('is tried again slowly where the settings are probably wrong', () => {
    expect(setbacks(owed('misconfigured'))).toMatchObject([{ outcome: 'failed', retryInMs: SLOW }]);
  });

  it('is a refusal when the application says no three times and for 10 s: the last try is made then', () => {
    const no = owed('refused');
    const all = setbacks(no, no, no, no);
    expect(outcomes(all)).toEqual(['failed', 'failed', 'failed', 'refused']);
    expect(delays(all.slice(0, 3))).toEqual([500, 1_000, 8_500]);
    expect(all[3]).toMatchObject({ tries: { lastResult: 'refused', refusals: 4, refusedSince: 0 } });
  });

  it('is no refusal while another answer comes in between: it has to say no from then on', () => {
    const no = owed('refused');
    const all = setbacks(no, no, owed('unknown'), no, no, no);
    expect(outcomes(all)).toEqual(['failed', 'failed', 'failed', 'failed', 'failed', 'refused']);
    expect(all.slice(2, 4).map(({ tries }) => tries.refusedSince)).toEqual([null, 3_500]);
  });

  it('is tried again soon, but not at once, when the process was gone', () => {
    const gone = { kind: 'gone', code: 'reload.gone', message: 'It is gone.' } as const;
    expect(setbacks(gone, gone, gone)).toMatchObject(
      Array.from({ length: 3 }, () => ({
        outcome: 'no-target',
        tries: { lastResult: 'gone' },
        retryInMs: 100,
      })),
    );
  });

  it('is tried again with growing delay when it is not permitted', () => {
    const denied = { kind: 'not-permitted', code: 'reload.not-permitted', message: 'It is not.' } as const;
    expect(setbacks(denied, denied)).toMatchObject([
      { outcome: 'not-permitted', tries: { lastResult: 'not-permitted' }, retryInMs: 500 },
      { outcome: 'not-permitted', tries: { lastResult: 'not-permitted' }, retryInMs: 1_000 },
    ]);
  });
});
