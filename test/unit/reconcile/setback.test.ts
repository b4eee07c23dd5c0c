import { describe, expect, it } from 'vitest';
import type { OwedClass, ReloadResult } from '../../../src/application/reload/hook.ts';
import { type Setback, setbackOf } from '../../../src/reconcile/setback.ts';

const SLOW = 300_000;
const HALF = () => 0.5;

const owed = (kind: OwedClass, more: { readonly retryAfterMs?: number } = {}) =>
  ({ kind: 'owed', class: kind, code: `reload.${kind}`, message: `It is ${kind}.`, ...more }) as const;

/** What becomes of tries that fail one after the other. */
function setbacks(...results: readonly Exclude<ReloadResult, { kind: 'told' }>[]): readonly Setback[] {
  const [all] = results.reduce<readonly [readonly Setback[], number]>(
    ([before, refusals], result) => {
      const tries = { notify: { failures: before.length, dueAt: 0 } };
      const setback = setbackOf(result, { tries, refusals }, HALF);
      return [[...before, setback], setback.isRefusal ? refusals + 1 : 0];
    },
    [[], 0],
  );
  return all;
}

const delays = (all: readonly Setback[]): readonly number[] => all.map(({ retryInMs }) => retryInMs);
const outcomes = (all: readonly Setback[]): readonly string[] => all.map(({ outcome }) => outcome);

describe('a notification that does not arrive', () => {
  it('is tried again after a growing delay while the hook is unavailable', () => {
    const all = setbacks(...Array.from({ length: 8 }, () => owed('unavailable')));
    expect(delays(all)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    expect(all[7]).toEqual({ outcome: 'failed', result: 'unavailable', isRefusal: false, retryInMs: 30_000 });
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

  it('is a refusal when the application says no for the third time in a row', () => {
    const no = owed('refused');
    expect(outcomes(setbacks(no, no, owed('unknown'), no, no, no))).toEqual([
      ...['failed', 'failed', 'failed', 'failed', 'failed', 'refused'],
    ]);
    expect(setbacks(no, no, no).at(-1)).toEqual({
      ...{ outcome: 'refused', result: 'refused', isRefusal: true, retryInMs: SLOW },
    });
  });

  it('is tried again soon, but not at once, when the process was gone', () => {
    const gone = { kind: 'gone', code: 'reload.gone', message: 'It is gone.' } as const;
    expect(setbacks(gone, gone, gone)).toMatchObject(
      Array.from({ length: 3 }, () => ({ outcome: 'no-target', result: 'gone', retryInMs: 100 })),
    );
  });

  it('is tried again with growing delay when it is not permitted', () => {
    const denied = { kind: 'not-permitted', code: 'reload.not-permitted', message: 'It is not.' } as const;
    expect(setbacks(denied, denied)).toMatchObject([
      { outcome: 'not-permitted', result: 'not-permitted', retryInMs: 500 },
      { outcome: 'not-permitted', result: 'not-permitted', retryInMs: 1_000 },
    ]);
  });
});
