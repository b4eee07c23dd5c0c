// What the status says of time.
import { expect, test } from 'vitest';
import { isFresh } from '../../../src/server/status.ts';
import type { Followed, SourceState } from '../../../src/source/follow.ts';

const NOW = Date.UTC(2026, 0, 1);
const MINUTE_MS = 60_000;

function seen(lastContactAt: number | null) {
  const state: SourceState = {
    url: 'file:///app.json',
    up: true,
    snapshot: null,
    lastContactAt,
    lastChangeAt: null,
    error: null,
    nextTryAt: null,
    errors: {},
  };
  const source: Followed = { state: () => state, sync: () => {}, done: Promise.resolve() };
  return { source, staleAfterMs: 10 * MINUTE_MS };
}

test('a source is fresh while its last contact is younger than STALE_AFTER', () => {
  expect(isFresh(seen(NOW - 9 * MINUTE_MS), NOW)).toBe(true);
  expect(isFresh(seen(NOW - 10 * MINUTE_MS), NOW)).toBe(false);
  expect(isFresh(seen(null), NOW)).toBe(false);
});

test('a clock that is set back by a day does not keep a source fresh for a day', () => {
  expect(isFresh(seen(NOW + 24 * 60 * MINUTE_MS), NOW)).toBe(false);
});
