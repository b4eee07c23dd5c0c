// The history as it is printed, and the status with what it says of going back.
import { expect, it } from 'vitest';
import { describeHistory, historyOf } from '../../../src/cli/history.ts';
import { ageOf, toTheSecond } from '../../../src/lib/age.ts';
import { describeStatus } from '../../../src/server/ask-status.ts';
import type { TargetStatus } from '../../../src/server/status-shape.ts';
import { AT, NOW, ONE, statusWith, TARGET, TWO } from '../../support/cli/served.ts';

const PINNED: TargetStatus = {
  ...TARGET,
  ...{ outcome: 'pinned', message: 'It was chosen by hand.', pinned: true },
  pin: { generation: 1, at: AT, by: 'alice on pod-1 (control socket)', reason: '502s' },
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
      ...{ outcome: 'pinned', code: null, message: 'It was chosen by hand.', count: 3 },
      ...{ at: '2026-01-31T12:03:15.000Z', output: 'line one\nline two\u001b[2J\n' },
    },
    { outcome: 'applied', code: null, message: 'As wanted.', count: 1, at: AT },
  ],
};

it('is a table of the kept generations, of what is blocked, and of the outcomes, the newest first', () => {
  expect(describeHistory(statusWith(PINNED), NOW)).toBe(
    `default: pinned to generation 1 by alice on pod-1 (control socket), 2026-01-31T12:00:00Z: 502s, until "config-sidecar resume"
kept generations:
  generation  revision         confirmed             age
  12          a-long-revision  2026-01-31T12:00:00Z  3 min ago  last known good, on the volume
  1           r1               2026-01-31T12:00:00Z  3 min ago  on the volume, pinned
blocked:
  2026-01-31T12:00:00Z  3 min ago  target-died  revision r3: The process ended. Its last words. [confirm.died]
outcomes:
  2026-01-31T12:03:15Z  5 s ago    pinned (3 times)  It was chosen by hand.
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
  const { pinned, pin, lastKnownGood, generations, blocked, history } = PINNED;
  expect(historyOf(statusWith(PINNED))).toEqual({
    targets: { default: { pinned, pin, lastKnownGood, generations, blocked, history } },
  });
});

const HERE = { instance: 'pod-1', now: NOW };

it('the status says the outcome, what was printed, what to do, and then the facts', () => {
  expect(describeStatus(statusWith(PINNED), HERE)).toBe(
    `config-sidecar 0.1.0 pod-1: ready, fresh
default: pinned: It was chosen by hand.
  | line one
  | line two\\u001b[2J
  -> A configuration did not work and is not tried again: change it in the source, or run "config-sidecar sync --retry".
  -> A generation was chosen by hand and stays: "config-sidecar resume" follows the source again.
  output       /config/app.json
  application  nginx (pid 7, user 1000)
  hook         SIGHUP
  desired      revision r2, sha256:f2
  running      revision r2, sha256:f2 (answered alive)
  good         revision r2, confirmed ${AT}
  pinned       to generation 1 by alice on pod-1 (control socket), 2026-01-31T12:00:00Z: 502s
  blocked      1 known not to work; see "config-sidecar history"
  source       file:///source/app.json: up, last contact ${AT}
`,
  );
});

it('the status marks the application among the processes, and cuts digests to twelve digits', () => {
  const nginx = { pid: 7, program: 'nginx', user: 1000, ageSeconds: 200, memoryBytes: 2 ** 21 };
  const pause = { pid: 1, program: 'pause', user: null, ageSeconds: null, memoryBytes: null };
  const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
  const text = describeStatus(
    statusWith({
      ...TARGET,
      desired: { revision: digest, digest, rendering: digest, at: AT },
      processes: [
        { ...nginx, isApplication: true },
        { ...pause, isApplication: false },
      ],
    }),
    HERE,
  );
  expect(text).toContain('desired      revision 0123456789ab, 0123456789ab\n');
  expect(text).toContain('processes    * 7 nginx (user 1000, 3 min, 2.0 MiB)\n                 1 pause\n');
});

it('the status of another sidecar says whose it is', () => {
  const text = describeStatus(statusWith(TARGET), { instance: 'pod-2', now: NOW });
  expect(text).toContain(
    '\nThis is the status of pod-1, not of pod-2: one sidecar at a time holds an output.\n',
  );
});

it('a source that is down is said with the time since when, and nothing is called the newest', () => {
  const sources = TARGET.sources.map((one) => ({ ...one, up: false }));
  const text = describeStatus(statusWith({ ...TARGET, sources }), HERE);
  expect(text).toContain('has been silent for 3 min: what changed there since then is not known here.');
  expect(text).not.toMatch(/newest|latest/);
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
])('%i seconds are shown as %s', (seconds, shown) => {
  expect(ageOf(AT, Date.parse(AT) + seconds * 1000)).toBe(shown);
  expect(toTheSecond(AT)).toBe('2026-01-31T12:00:00Z');
});
