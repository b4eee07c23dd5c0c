import { describe, expect, test } from 'vitest';
import type { Obstacle } from '../../../src/application/types.ts';
import type { Verdict } from '../../../src/ledger/ledger.ts';
import { decide } from '../../../src/reconcile/decide.ts';
import type { Goal } from '../../../src/reconcile/goal.ts';
import { type Facts, type Step, stateOf, stepOf } from '../../support/reconcile/facts.ts';

const LIMITS = {
  debounceMs: 50,
  debounceMaxMs: 1_000,
  minIntervalMs: 1_000,
  splayMs: 0,
};

/** Everything is done: the volume shows the newest rendering, the application was notified of it, and it works. */
const DONE: Facts = {
  now: 100_000,
  limits: LIMITS,
  asked: true,
  askUntil: Number.POSITIVE_INFINITY,
  input: { id: 'i1', changes: { first: 1_000, latest: 1_000 } },
  rendered: { input: 'i1', rendering: 'r1' },
  checked: null,
  validates: false,
  volume: { rendering: 'r1', lookedAt: 99_900 },
  published: { rendering: 'r1', held: true, verdict: 'good' },
  publishedAt: 90_000,
  publishRetryAt: 0,
  blocked: [],
  lastKnownGood: 'r1',
  pinned: null,
  goesBack: true,
  owed: false,
  tellRetryAt: 0,
  hook: 'signal',
  process: null,
  trial: null,
  suspect: null,
};

const published = (rendering: string, verdict: Verdict, held = true): Facts['published'] => ({
  ...{ rendering, verdict, held },
});
const showing = (rendering: string | null): Facts['volume'] => ({ rendering, lookedAt: 99_900 });
const READY = { kind: 'ready' } as const;
const STARTED_AFTER = { kind: 'started-after' } as const;

/** `r2` was published and has not been notified yet; `r1` is the last known good. */
const OWED: Facts = {
  ...DONE,
  input: { id: 'i2', changes: { first: 1_000, latest: 1_000 } },
  ...{ rendered: { input: 'i2', rendering: 'r2' }, volume: showing('r2') },
  ...{ published: published('r2', 'pending'), owed: true, process: READY },
};
const TRIED: Facts = { ...OWED, owed: false, process: null, trial: { lookAt: 100_200 } };
const BAD: Facts = { ...OWED, owed: false, published: published('r2', 'target-died'), blocked: ['r2'] };
const NOTHING_ELSE: Partial<Facts> = { lastKnownGood: null };
const CHANGED: Facts = { ...DONE, input: { id: 'i2', changes: { first: 99_000, latest: 99_500 } } };
const RENDERED: Facts = { ...CHANGED, rendered: { input: 'i2', rendering: 'r2' } };
const CHECKED: Facts = {
  ...RENDERED,
  validates: true,
  checked: { rendering: 'r2', passed: true, retryAt: 0 },
};
/** A newer change than `r2`, rendered. */
const NEWER: Partial<Facts> = {
  input: { id: 'i3', changes: { first: 99_000, latest: 99_500 } },
  rendered: { input: 'i3', rendering: 'r3' },
};
const REJECTED: Partial<Facts> = { rendered: { input: 'i1', rendering: null } };
/** A start whose source cannot be asked. */
const ALONE: Partial<Facts> = { input: null, rendered: null, publishedAt: null };
const PINNED: Facts = { ...DONE, pinned: 'r0' };
const ABSENT: Obstacle = { outcome: 'no-target', code: 'reload.no-target', message: 'It is not there.' };
const OBSTACLE = { kind: 'obstacle', obstacle: ABSENT } as const;
const LOOK_AT = 159_900;

const wait = (until: number, obstacle: Obstacle | null = null): Step => ({ kind: 'wait', until, obstacle });
const publish = (from: Goal['from']): Step => ({ kind: 'publish', from });
const PICK_UP: Step = { kind: 'pick-up' };

type Example = readonly [rule: string, facts: Facts, step: Step];

const LOOKING: readonly Example[] = [
  ['with everything done it waits for the next look', DONE, wait(LOOK_AT)],
  ['a volume that was not looked at is looked at first', { ...CHANGED, volume: null }, { kind: 'observe' }],
  [
    'the volume is looked at again when its time has come',
    { ...DONE, volume: { rendering: 'r1', lookedAt: 40_000 } },
    { kind: 'observe' },
  ],
  [
    'before the source had its chance nothing is done, even what is owed',
    { ...OWED, asked: false },
    wait(LOOK_AT),
  ],
  [
    'a source that does not answer is waited for until its time is over',
    { ...OWED, asked: false, askUntil: 100_500 },
    wait(100_500),
  ],
  [
    'a source that has had its time holds nothing up any more',
    { ...OWED, asked: false, askUntil: 100_000 },
    { kind: 'notify' },
  ],
  ['a pin waits for no source', { ...PINNED, asked: false }, publish('pin')],
  ['a verdict waits for no source', { ...TRIED, asked: false, trial: { lookAt: 0 } }, { kind: 'probe' }],
];

const PUBLISHING: readonly Example[] = [
  ['a change that has been quiet for long enough is rendered', CHANGED, { kind: 'render' }],
  [
    'a change within the quiet period waits for its end',
    { ...CHANGED, input: { id: 'i2', changes: { first: 99_980, latest: 99_990 } } },
    wait(100_040),
  ],
  [
    'a stream of changes is put off no longer than the maximum',
    { ...CHANGED, input: { id: 'i2', changes: { first: 99_000, latest: 99_999 } } },
    { kind: 'render' },
  ],
  ['a change waits for its splay', { ...CHANGED, limits: { ...LIMITS, splayMs: 700 } }, wait(100_250)],
  ['a change waits for the least interval', { ...CHANGED, publishedAt: 99_600 }, wait(100_600)],
  [
    'the first publication of a run waits for nothing',
    { ...CHANGED, publishedAt: null, limits: { ...LIMITS, splayMs: 9_000 } },
    { kind: 'render' },
  ],
  ['what was rendered is published', RENDERED, publish('candidate')],
  [
    'what was rejected changes nothing',
    { ...CHANGED, rendered: { input: 'i2', rendering: null } },
    wait(LOOK_AT),
  ],
  ['a rendering is validated before it is published', { ...RENDERED, validates: true }, { kind: 'validate' }],
  [
    'a verdict on another rendering does not count',
    { ...CHECKED, checked: { rendering: 'r0', passed: true, retryAt: 0 } },
    { kind: 'validate' },
  ],
  ['what passed is published', CHECKED, publish('candidate')],
  [
    'what did not pass waits for its next try',
    { ...CHECKED, checked: { rendering: 'r2', passed: false, retryAt: 100_300 } },
    wait(100_300),
  ],
  [
    'what did not pass is tried again',
    { ...CHECKED, checked: { rendering: 'r2', passed: false, retryAt: 100_000 } },
    { kind: 'validate' },
  ],
  [
    'what a newer change will replace is not validated any more',
    { ...RENDERED, validates: true, input: { id: 'i3', changes: { first: 99_990, latest: 99_990 } } },
    wait(100_040),
  ],
  ['what is on the volume already is not validated', { ...DONE, validates: true }, wait(LOOK_AT)],
  ['what is blocked is not validated', { ...RENDERED, validates: true, blocked: ['r2'] }, wait(LOOK_AT)],
  ['while pinned nothing is validated', { ...RENDERED, validates: true, pinned: 'r1' }, wait(LOOK_AT)],
  [
    'a publication that failed waits for its next try',
    { ...RENDERED, publishRetryAt: 100_200 },
    wait(100_200),
  ],
  [
    'a drifted volume gets the newest rendering back',
    { ...DONE, volume: showing('x') },
    publish('candidate'),
  ],
  ['an emptied volume gets it back too', { ...DONE, volume: showing(null) }, publish('candidate')],
  [
    'with the newest input rejected, a drifted volume gets back what was published',
    { ...DONE, ...REJECTED, volume: showing('x') },
    publish('published'),
  ],
  [
    'what was published but is not held any more cannot be given back',
    {
      ...DONE,
      ...ALONE,
      ...NOTHING_ELSE,
      published: published('r1', 'pending', false),
      volume: showing('x'),
    },
    wait(LOOK_AT),
  ],
  [
    'a volume that shows what is wanted without the ledger knowing is adopted',
    { ...DONE, published: null },
    { kind: 'adopt', from: 'candidate' },
  ],
  ['so is one that shows the pin', { ...PINNED, volume: showing('r0') }, { kind: 'adopt', from: 'pin' }],
];

const NOTIFYING: readonly Example[] = [
  ['what is owed is notified', OWED, { kind: 'notify' }],
  [
    'the application is not notified of a volume that shows something else',
    { ...OWED, ...ALONE, published: published('r0', 'pending', false) },
    wait(LOOK_AT),
  ],
  [
    'the volume is looked at shortly before the application is notified',
    { ...OWED, volume: { rendering: 'r2', lookedAt: 98_000 } },
    { kind: 'observe' },
  ],
  ['a try that failed waits for the next', { ...OWED, tellRetryAt: 101_000 }, wait(101_000)],
  [
    'a process that started after the publication needs no notification',
    { ...OWED, process: STARTED_AFTER, tellRetryAt: 101_000 },
    PICK_UP,
  ],
  [
    'a process that is too young is waited for',
    { ...OWED, process: { kind: 'settling', until: 100_600 } },
    wait(100_600),
  ],
  [
    'a process that is not there is looked for again soon',
    { ...OWED, process: OBSTACLE },
    wait(100_250, ABSENT),
  ],
  [
    'an application that is in the way does not keep a newer change from the volume',
    { ...OWED, ...NEWER, process: OBSTACLE },
    publish('candidate'),
  ],
  [
    'a change that is due earlier than the process ends the wait',
    {
      ...OWED,
      input: { id: 'i3', changes: { first: 99_990, latest: 99_990 } },
      process: OBSTACLE,
    },
    wait(100_040, ABSENT),
  ],
  [
    'what an application that watches its files has by now is tried before anything newer',
    { ...OWED, ...NEWER, owed: false, hook: 'none' },
    { kind: 'start-trial' },
  ],
  [
    'where there is none the newer goes at once',
    { ...OWED, ...NEWER, owed: false, hook: 'none', process: null },
    publish('candidate'),
  ],
];

const TRYING: readonly Example[] = [
  ['what is on the volume and was notified is tried', { ...OWED, owed: false }, { kind: 'start-trial' }],
  [
    'so is what needs no notification',
    { ...OWED, owed: false, hook: 'none', process: null },
    { kind: 'start-trial' },
  ],
  [
    'a trial begins when there is a process to try it with',
    { ...OWED, owed: false, process: OBSTACLE },
    wait(100_250, ABSENT),
  ],
  [
    'nor with one that is too young',
    { ...OWED, owed: false, process: { kind: 'settling', until: 100_600 } },
    wait(100_600),
  ],
  [
    'nothing is tried while the volume shows something else',
    { ...OWED, owed: false, ...ALONE, volume: showing('x'), published: published('r2', 'pending', false) },
    wait(LOOK_AT),
  ],
  ['a trial is looked at when that is due', { ...TRIED, trial: { lookAt: 100_000 } }, { kind: 'probe' }],
  ['and not before', TRIED, wait(100_200)],
  [
    'a trial goes on only with what was seen on the volume lately',
    { ...TRIED, trial: { lookAt: 0 }, volume: { rendering: 'r2', lookedAt: 98_000 } },
    { kind: 'observe' },
  ],
  [
    'what drifted away during its trial is not judged but put back',
    { ...TRIED, trial: { lookAt: 0 }, volume: showing('x') },
    publish('published'),
  ],
  [
    'and waits for the interval like any other',
    { ...TRIED, trial: { lookAt: 0 }, volume: showing('x'), publishedAt: 99_500 },
    wait(100_500),
  ],
  ['a newer change waits for the verdict on the one before', { ...TRIED, ...NEWER }, wait(100_200)],
  ['it is validated meanwhile', { ...TRIED, ...NEWER, validates: true }, { kind: 'validate' }],
  [
    'a trial of what cannot be shown any more holds nothing up',
    { ...TRIED, ...NEWER, volume: showing(null), published: published('r2', 'pending', false) },
    publish('candidate'),
  ],
  ['what is tried is not notified meanwhile', { ...TRIED, owed: true, process: READY }, wait(100_200)],
];

const GOING_BACK: readonly Example[] = [
  ['after a bad verdict the last known good takes its place', BAD, publish('last-known-good')],
  [
    'going back waits for no timing',
    { ...BAD, publishedAt: 100_000, limits: { ...LIMITS, splayMs: 9_000 } },
    publish('last-known-good'),
  ],
  [
    'going back that failed waits for its next try',
    { ...BAD, publishRetryAt: 100_200, process: null },
    wait(100_200),
  ],
  [
    'after a bad verdict a newer one that has passed its checks takes its place, at once',
    {
      ...{ ...BAD, ...NEWER, publishedAt: 100_000 },
      ...{ validates: true, checked: { rendering: 'r3', passed: true, retryAt: 0 } },
    },
    publish('candidate'),
  ],
  [
    'else the last known good goes first: a newer one is not rendered yet',
    { ...BAD, input: { id: 'i3', changes: { first: 99_990, latest: 99_990 } } },
    publish('last-known-good'),
  ],
  [
    'else the last known good goes first: a newer one did not pass its checks',
    {
      ...{ ...BAD, ...NEWER },
      ...{ validates: true, checked: { rendering: 'r3', passed: false, retryAt: 100_900 } },
    },
    publish('last-known-good'),
  ],
  ['what is blocked is not tried again by itself', { ...RENDERED, blocked: ['r2'] }, wait(LOOK_AT)],
  [
    'a last known good is never blocked: it is notified again',
    { ...DONE, published: published('r1', 'target-died'), blocked: ['r1'], owed: true, process: READY },
    { kind: 'notify' },
  ],
  [
    'a last known good is never blocked: it is published when it is wanted',
    { ...DONE, blocked: ['r1'], volume: showing('r0'), published: published('r0', 'good') },
    publish('candidate'),
  ],
  [
    'but with growing delay',
    { ...DONE, published: published('r1', 'refused'), owed: true, process: READY, tellRetryAt: 103_000 },
    wait(100_250),
  ],
  [
    'a verdict beats a process that started with it, while going back fails',
    { ...BAD, process: STARTED_AFTER, publishRetryAt: 100_200 },
    wait(100_200),
  ],
  ['with nothing to roll back to, a blocked rendering stays', { ...BAD, ...NOTHING_ELSE }, wait(100_250)],
  [
    'and is tried with a process that started with it',
    { ...BAD, ...NOTHING_ELSE, process: STARTED_AFTER },
    PICK_UP,
  ],
  [
    'one that was refused is notified again, slowly',
    { ...BAD, ...NOTHING_ELSE, published: published('r2', 'refused'), tellRetryAt: 400_000 },
    wait(100_250),
  ],
  [
    'when that is due',
    { ...BAD, ...NOTHING_ELSE, published: published('r2', 'refused'), tellRetryAt: 100_000 },
    { kind: 'notify' },
  ],
  [
    'with nothing to roll back to, a blocked rendering is published on an empty volume',
    { ...RENDERED, ...NOTHING_ELSE, published: null, blocked: ['r2'], volume: showing(null) },
    publish('candidate'),
  ],
  [
    'or published again, when it is what was there',
    { ...BAD, ...NOTHING_ELSE, volume: showing(null) },
    publish('published'),
  ],
  [
    'what is blocked and was put on the volume again is not notified as if it were new',
    { ...BAD, ...NOTHING_ELSE, published: published('r2', 'pending'), owed: true },
    wait(100_250),
  ],
  [
    'a process that starts with it picks it up',
    { ...BAD, ...NOTHING_ELSE, published: published('r2', 'pending'), owed: true, process: STARTED_AFTER },
    PICK_UP,
  ],
  [
    'a bad verdict under other settings does not count: it is notified again',
    { ...BAD, ...NOTHING_ELSE, blocked: [], goesBack: false },
    { kind: 'notify' },
  ],
  ['ROLLBACK=false stops: what does not work stays', { ...BAD, goesBack: false }, wait(100_250)],
  [
    'ROLLBACK=false stops: what was refused is not notified again',
    { ...BAD, goesBack: false, published: published('r2', 'refused'), owed: true },
    wait(100_250),
  ],
  [
    'with ROLLBACK=false a newer change still takes its place, at once',
    { ...BAD, ...NEWER, goesBack: false, publishedAt: 100_000 },
    publish('candidate'),
  ],
];

const SUSPECT = { isReplaced: false, until: 120_000 };
const GONE_BACK: Facts = {
  ...BAD,
  ...{ volume: showing('r1'), published: published('r1', 'pending'), owed: true, process: OBSTACLE },
};

const DEATHS: readonly Example[] = [
  [
    'a death is no verdict while the application is not back',
    { ...GONE_BACK, suspect: SUSPECT },
    wait(100_250, ABSENT),
  ],
  [
    'it is one once another process has its place',
    { ...GONE_BACK, suspect: { ...SUSPECT, isReplaced: true } },
    { kind: 'confirm-suspicion' },
  ],
  [
    'or when it has not come back in time',
    { ...GONE_BACK, suspect: { ...SUSPECT, until: 100_000 } },
    { kind: 'confirm-suspicion' },
  ],
  ['a death is rolled back at once all the same', { ...BAD, suspect: SUSPECT }, publish('last-known-good')],
  [
    'with nothing else to do it waits for the end of the suspicion',
    { ...DONE, process: READY, suspect: { isReplaced: false, until: 100_100 } },
    wait(100_100),
  ],
];

const PINNING: readonly Example[] = [
  ['pinned beats the source', PINNED, publish('pin')],
  ['pinned beats blocks', { ...PINNED, blocked: ['r0'] }, publish('pin')],
  ['pinned beats a trial', { ...TRIED, pinned: 'r1' }, publish('pin')],
  ['pinned waits for no timing', { ...PINNED, publishedAt: 100_000 }, publish('pin')],
  ['pinned fills an empty volume', { ...PINNED, ...ALONE, volume: showing(null) }, publish('pin')],
  ['pinned fails and stays', { ...BAD, pinned: 'r2' }, wait(100_250)],
  [
    'what is pinned is notified, though it is blocked',
    { ...OWED, pinned: 'r2', blocked: ['r2'] },
    { kind: 'notify' },
  ],
  [
    'a change while pinned is rendered, so that it can be said',
    { ...CHANGED, pinned: 'r1' },
    { kind: 'render' },
  ],
  ['and not published', { ...RENDERED, pinned: 'r1' }, wait(LOOK_AT)],
];

const EMPTY: Facts = {
  ...DONE,
  ...{ publishedAt: null, volume: showing(null), published: published('r2', 'pending', false) },
};

const EMPTY_STARTS: readonly Example[] = [
  [
    'an empty volume at a start gets the last known good when the source failed',
    { ...EMPTY, ...ALONE },
    publish('last-known-good'),
  ],
  [
    'not before the source had its chance',
    { ...EMPTY, ...ALONE, asked: false, askUntil: 100_700 },
    wait(100_700),
  ],
  [
    'when the source has had its time',
    { ...EMPTY, ...ALONE, asked: false, askUntil: 100_000 },
    publish('last-known-good'),
  ],
  ['when the change is rejected', { ...EMPTY, ...REJECTED }, publish('last-known-good')],
  [
    'when it does not pass its checks',
    {
      ...{ ...EMPTY, ...NEWER, validates: true },
      checked: { rendering: 'r3', passed: false, retryAt: 101_000 },
    },
    publish('last-known-good'),
  ],
  ['when it is blocked', { ...EMPTY, ...NEWER, blocked: ['r3'] }, publish('last-known-good')],
  [
    'also with ROLLBACK=false',
    { ...EMPTY, ...NEWER, blocked: ['r3'], goesBack: false },
    publish('last-known-good'),
  ],
  ['and what is wanted, when that may be published', { ...EMPTY, ...NEWER }, publish('candidate')],
  [
    'what was published, when there is a copy of it',
    { ...EMPTY, ...ALONE, published: published('r0', 'good') },
    publish('published'),
  ],
  ['nothing, when there is nothing', { ...EMPTY, ...ALONE, ...NOTHING_ELSE }, wait(LOOK_AT)],
];

const EXAMPLES = [
  ...[...LOOKING, ...PUBLISHING, ...NOTIFYING, ...TRYING],
  ...[...GOING_BACK, ...DEATHS, ...PINNING, ...EMPTY_STARTS],
];

describe('the next step', () => {
  test.each(EXAMPLES)('%s', (_rule, facts, step) => {
    expect(stepOf(decide(stateOf(facts), facts.now))).toEqual(step);
  });
});
