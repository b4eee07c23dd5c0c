// The history as it is printed, and the status with what it says of going back.
import { expect, it } from 'vitest';
import { describeHistory, historyOf } from '../../../src/cli/history.ts';
import { ageOf, toTheSecond } from '../../../src/lib/age.ts';
import { describeStatus } from '../../../src/server/ask-status.ts';
import type { TargetStatus } from '../../../src/server/status.ts';
import { AT, NOW, ONE, statusWith, TARGET, TWO } from '../../support/cli/served.ts';

const PINNED: TargetStatus = {
  ...TARGET,
  ...{ outcome: 'pinned', message: 'Somebody chose it.', pinned: true },
  generations: [
    { ...TWO, generation: 12, revision: 'a-long-revision' },
    { ...ONE, onVolume: true, pinned: true },
  ],
  blocked: [
    {
      ...{
        rendering: 'sha256:f3',
        revision: 'r3',
        digest: 'sha256:d3',
        outcome: 'target-died',
        code: 'confirm.died',
      },
      ...{ message: 'The process ended.\n  Its last words.', at: AT },
    },
  ],
  history: [
    {
      ...{ outcome: 'pinned', code: null, message: 'Somebody chose it.', count: 3 },
      ...{ at: '2026-01-31T12:03:15.000Z', output: 'line one\nline two\u001b[2J\n' },
    },
    { outcome: 'applied', code: null, message: 'As wanted.', count: 1, at: AT },
  ],
};

it('is a table of what could be gone back to, of what is blocked, and of the outcomes, the newest first', () => {
  expect(describeHistory(statusWith(PINNED), NOW)).toBe(
    `default: pinned to generation 1, until "config-sidecar resume"
kept generations:
  generation  revision         confirmed             age
  12          a-long-revision  2026-01-31T12:00:00Z  3 min ago  last known good, on the volume
  1           r1               2026-01-31T12:00:00Z  3 min ago  on the volume, pinned
blocked:
  2026-01-31T12:00:00Z  3 min ago  target-died  revision r3: The process ended. Its last words.
outcomes:
  2026-01-31T12:03:15Z  5 s ago    pinned (3 times)  Somebody chose it.
  2026-01-31T12:00:00Z  3 min ago  applied           As wanted.
`,
  );
});

it('says so where there is nothing', () => {
  const empty = { ...TARGET, generations: [], blocked: [], history: [] };
  expect(describeHistory(statusWith(empty), NOW)).toBe(
    'default\nkept generations: none was confirmed yet\nblocked: nothing\noutcomes: none yet\n',
  );
});

it('is data for programs', () => {
  const { pinned, lastKnownGood, generations, blocked, history } = PINNED;
  expect(historyOf(statusWith(PINNED))).toEqual({
    targets: { default: { pinned, lastKnownGood, generations, blocked, history } },
  });
});

it('the status says what was printed, what is known to work, what is pinned and what is blocked', () => {
  expect(describeStatus(statusWith(PINNED))).toBe(
    `config-sidecar 0.1.0 pod-1: ready, fresh
default: pinned: Somebody chose it.
  | line one
  | line two\\u001b[2J
  desired  revision r2, sha256:f2
  running  revision r2, sha256:f2 (answered alive)
  good     revision r2, confirmed ${AT}
  pinned to generation 1 until "config-sidecar resume"
  blocked  1 known not to work; see "config-sidecar history"
  source   file:///source/app.json: up, last contact ${AT}
`,
  );
});

it.each([
  [-5, '0 s'],
  [0, '0 s'],
  [119, '119 s'],
  [120, '2 min'],
  [7_199, '119 min'],
  [7_200, '2 h'],
  [172_799, '47 h'],
  [172_800, '2 d'],
])('%i seconds are told as %s', (seconds, told) => {
  expect(ageOf(AT, Date.parse(AT) + seconds * 1000)).toBe(told);
  expect(toTheSecond(AT)).toBe('2026-01-31T12:00:00Z');
});
