import { describe, expect, it } from 'vitest';
import { Attempts, DURATION_BUCKETS, type Report } from '../../../src/reconcile/attempts.ts';
import type { Outcome } from '../../../src/reconcile/decide.ts';

function report(outcome: Outcome, more: Partial<Report> = {}): Omit<Report, 'count'> {
  return { outcome, code: null, message: '', output: null, stage: null, attempted: null, at: 0, ...more };
}

const version = (rendering: string | null, digest = 'd') => ({ revision: '1', digest, rendering, at: 0 });

describe('the outcomes', () => {
  it('are counted one by one, while the same again is only one line of the history', () => {
    const attempts = new Attempts();
    expect(attempts.current).toBeNull();
    expect(attempts.add(report('failed', { code: 'publish.no-space', at: 1 }))).toBe(true);
    expect(attempts.add(report('failed', { code: 'publish.no-space', at: 2 }))).toBe(false);
    expect(attempts.add(report('failed', { code: 'publish.no-space', at: 3 }))).toBe(false);
    expect(attempts.add(report('applied', { at: 4 }))).toBe(true);
    expect(attempts.outcomes).toEqual({ failed: 3, applied: 1 });
    expect(attempts.history.map(({ outcome, at, count }) => ({ outcome, at, count }))).toEqual([
      { outcome: 'applied', at: 4, count: 1 },
      { outcome: 'failed', at: 3, count: 3 },
    ]);
  });

  it.each<[string, Omit<Report, 'count'>]>([
    ['another outcome', report('failed', { code: 'c', attempted: version('r') })],
    ['another code', report('rejected', { code: 'other', attempted: version('r') })],
    ['another rendering', report('rejected', { code: 'c', attempted: version('s') })],
    ['other data', report('rejected', { code: 'c', attempted: version('r', 'e') })],
  ])('are news when there is %s', (_what, next) => {
    const attempts = new Attempts();
    attempts.add(report('rejected', { code: 'c', attempted: version('r') }));
    expect(attempts.add(next)).toBe(true);
    expect(attempts.history).toHaveLength(2);
  });

  it('are remembered newest first, and not for ever', () => {
    const attempts = new Attempts();
    for (let at = 0; at < 100; at += 1) attempts.add(report('applied', { at, attempted: version(`r${at}`) }));
    expect(attempts.history).toHaveLength(20);
    expect(attempts.history[0]?.at).toBe(99);
    expect(attempts.outcomes).toEqual({ applied: 100 });
  });

  it.each<[Outcome, boolean]>([
    ['applied', false],
    ['unchanged', false],
    ['picked-up', false],
    ['rejected', true],
    ['blocked', true],
    ['pinned', true],
    ['rolled-back', true],
    ['rollback-failed', true],
    ['refused', true],
    ['target-died', true],
    ['unconfirmed', true],
    ['failed', true],
    ['held-back', true],
    ['no-target', true],
    ['ambiguous', true],
    ['not-permitted', true],
    ['ignored', true],
    ['stale-mount', true],
  ])('that are %s leave something to do: %s', (outcome, isOpen) => {
    const attempts = new Attempts();
    expect(attempts.isOpen).toBe(false);
    attempts.add(report(outcome));
    expect(attempts.isOpen).toBe(isOpen);
  });
});

describe('an outcome that is over', () => {
  it('stands no more, stays in the history, and is news when it comes again', () => {
    const attempts = new Attempts();
    attempts.add(report('failed'));
    attempts.close();
    expect(attempts.current).toBeNull();
    expect(attempts.isOpen).toBe(false);
    expect(attempts.history).toHaveLength(1);
    expect(attempts.add(report('failed'))).toBe(true);
    expect(attempts.history).toHaveLength(2);
  });
});

describe('the durations', () => {
  it('are counted in every bucket they fit below', () => {
    const attempts = new Attempts();
    for (const ms of [0.5, 1, 30, 99_000]) attempts.observe('publish', ms);
    const { buckets, sum, count } = attempts.durations.publish ?? { buckets: [], sum: 0, count: 0 };
    const at = (bound: (typeof DURATION_BUCKETS)[number]): number | undefined =>
      buckets[DURATION_BUCKETS.indexOf(bound)];
    expect([at(0.001), at(0.025), at(0.05), at(30)]).toEqual([2, 2, 3, 3]);
    expect(count).toBe(4);
    expect(sum).toBeCloseTo(99.0315);
    expect(attempts.durations.render).toBeUndefined();
  });
});

describe('the reloads', () => {
  it('are counted by result', () => {
    const attempts = new Attempts();
    for (const result of ['told', 'unavailable', 'told']) attempts.countReload(result);
    expect(attempts.reloads).toEqual({ told: 2, unavailable: 1 });
  });
});
