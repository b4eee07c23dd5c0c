import { describe, expect, it } from 'vitest';
import {
  add,
  close,
  countReload,
  DURATION_BUCKETS,
  EMPTY_JOURNAL,
  isNews,
  isOpen,
  type Journal,
  measure,
  type Outcome,
  type Report,
} from '../../../src/reconcile/journal.ts';

function report(outcome: Outcome, more: Partial<Report> = {}): Omit<Report, 'count'> {
  return { outcome, code: null, message: '', output: null, stage: null, attempted: null, at: 0, ...more };
}

const version = (rendering: string | null, digest = 'd') => ({ revision: '1', digest, rendering, at: 0 });

const journalOf = (...reports: readonly Omit<Report, 'count'>[]): Journal =>
  reports.reduce(add, EMPTY_JOURNAL);

describe('the outcomes', () => {
  it('are counted one by one, while the same again is only one line of the history', () => {
    const full = (at: number): Omit<Report, 'count'> => report('failed', { code: 'publish.no-space', at });
    const journal = journalOf(full(1), full(2), full(3), report('applied', { at: 4 }));
    expect(journal.outcomes).toEqual({ failed: 3, applied: 1 });
    expect(journal.history.map(({ outcome, at, count }) => ({ outcome, at, count }))).toEqual([
      { outcome: 'applied', at: 4, count: 1 },
      { outcome: 'failed', at: 3, count: 3 },
    ]);
    expect(journal.current).toBe(journal.history[0]);
  });

  it.each<[string, Omit<Report, 'count'>]>([
    ['another outcome', report('failed', { code: 'c', attempted: version('r') })],
    ['another code', report('rejected', { code: 'other', attempted: version('r') })],
    ['another message', report('rejected', { code: 'c', message: 'Line 7.', attempted: version('r') })],
    ['another rendering', report('rejected', { code: 'c', attempted: version('s') })],
    ['other data', report('rejected', { code: 'c', attempted: version('r', 'e') })],
  ])('are news when there is %s', (_what, next) => {
    const journal = journalOf(report('rejected', { code: 'c', attempted: version('r') }));
    expect(isNews(journal, next)).toBe(true);
    expect(add(journal, next).history).toHaveLength(2);
  });

  it('are no news when nothing but the time is another', () => {
    expect(isNews(journalOf(report('failed')), report('failed', { at: 7 }))).toBe(false);
  });

  it('are no news when only a number in what the application said is another', () => {
    const died = (pid: number) =>
      report('target-died', { stage: 'reload', message: `Process ${pid} was found dead.` });
    expect(isNews(journalOf(died(7)), died(812))).toBe(false);
    expect(isNews(journalOf(died(7)), report('target-died', { stage: 'reload', message: 'It hangs.' }))).toBe(
      true,
    );
  });

  it('are no news when the process that died was replaced this time, and not the last', () => {
    const died = (more: string) =>
      report('rollback-failed', { stage: 'reload', message: `Process 7 was found dead${more}. It stays.` });
    const replaced = died(', and process 812 has taken its place');
    expect(isNews(journalOf(died('')), replaced)).toBe(false);
    expect(isNews(journalOf(replaced), died(''))).toBe(false);
  });

  it('are remembered newest first, and not for ever', () => {
    const reports = Array.from({ length: 100 }, (_, at) =>
      report('applied', { at, attempted: version(`r${at}`) }),
    );
    const journal = journalOf(...reports);
    expect(journal.history).toHaveLength(20);
    expect(journal.history[0]?.at).toBe(99);
    expect(journal.outcomes).toEqual({ applied: 100 });
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
  ])('that are %s leave something to do: %s', (outcome, open) => {
    expect(isOpen(EMPTY_JOURNAL)).toBe(false);
    expect(isOpen(journalOf(report(outcome)))).toBe(open);
  });
});

describe('an outcome that is over', () => {
  it('stands no more, stays in the history, and is news when it comes again', () => {
    const journal = close(journalOf(report('failed')));
    expect(journal.current).toBeNull();
    expect(isOpen(journal)).toBe(false);
    expect(journal.history).toHaveLength(1);
    expect(add(journal, report('failed')).history).toHaveLength(2);
  });
});

describe('the durations', () => {
  it('are counted in every bucket they fit below', () => {
    const { durations } = [0.5, 1, 30, 99_000].reduce(
      (journal, ms) => measure(journal, 'publish', ms),
      EMPTY_JOURNAL,
    );
    const { buckets, sum, count } = durations.publish ?? { buckets: [], sum: 0, count: 0 };
    const at = (bound: (typeof DURATION_BUCKETS)[number]): number | undefined =>
      buckets[DURATION_BUCKETS.indexOf(bound)];
    expect([at(0.001), at(0.025), at(0.05), at(30)]).toEqual([2, 2, 3, 3]);
    expect(count).toBe(4);
    expect(sum).toBeCloseTo(99.0315);
    expect(durations.render).toBeUndefined();
  });
});

describe('the reloads', () => {
  it('are counted by result', () => {
    const { reloads } = ['told', 'unavailable', 'told'].reduce(countReload, EMPTY_JOURNAL);
    expect(reloads).toEqual({ told: 2, unavailable: 1 });
  });
});
