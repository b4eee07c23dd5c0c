import { describe, expect, it, test } from 'vitest';
import { decide, type Facts, type Obstacle, type Step } from '../src/decide.ts';
import { EMPTY_LEDGER, type Ledger, type Verdict } from '../src/ledger.ts';
import { GOOD_FROM, renderingOf, type Setting } from './decide-contents.ts';
import { KILL_POINTS, type KillPoint } from './decide-sidecar.ts';
import { type Event, type HookMode, type Trouble, World } from './decide-world.ts';

const LIMITS = {
  debounceMs: 50,
  debounceMaxMs: 1_000,
  minIntervalMs: 1_000,
  splayMs: 0,
  lookEveryMs: 60_000,
};

/** Everything is done: the volume shows the newest rendering, the application was told of it, and it works. */
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

/** `r2` was published and has not been told yet; `r1` is the last known good. */
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
const publish = (what: Extract<Step, { kind: 'publish' }>['what']): Step => ({ kind: 'publish', what });
const PICK_UP: Step = { kind: 'settle', why: 'picked-up' };

type Example = readonly [rule: string, facts: Facts, step: Step];

const LOOKING: readonly Example[] = [
  ['with everything done it waits for the next look', DONE, wait(LOOK_AT)],
  ['a volume that was not looked at is looked at first', { ...CHANGED, volume: null }, { kind: 'look' }],
  [
    'the volume is looked at again when its time has come',
    { ...DONE, volume: { rendering: 'r1', lookedAt: 40_000 } },
    { kind: 'look' },
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
    { kind: 'reload' },
  ],
  ['a pin waits for no source', { ...PINNED, asked: false }, publish('pinned')],
  ['a verdict waits for no source', { ...TRIED, asked: false, trial: { lookAt: 0 } }, { kind: 'confirm' }],
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
  ['what was rendered is published', RENDERED, publish('rendered')],
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
  ['what passed is published', CHECKED, publish('rendered')],
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
  ['a drifted volume gets the newest rendering back', { ...DONE, volume: showing('x') }, publish('rendered')],
  ['an emptied volume gets it back too', { ...DONE, volume: showing(null) }, publish('rendered')],
  [
    'with the newest input rejected, a drifted volume gets back what was published',
    { ...DONE, ...REJECTED, volume: showing('x') },
    publish('published'),
  ],
  [
    'what was published but is not held any more cannot be given back',
    { ...DONE, ...ALONE, published: published('r1', 'pending', false), volume: showing('x') },
    wait(LOOK_AT),
  ],
  [
    'a volume that shows what is wanted without the ledger knowing is adopted',
    { ...DONE, published: null },
    { kind: 'adopt', what: 'rendered' },
  ],
  ['so is one that shows the pin', { ...PINNED, volume: showing('r0') }, { kind: 'adopt', what: 'pinned' }],
];

const TELLING: readonly Example[] = [
  ['what is owed is told', OWED, { kind: 'reload' }],
  [
    'nothing is told of a volume that shows something else',
    { ...OWED, ...ALONE, published: published('r0', 'pending', false) },
    wait(LOOK_AT),
  ],
  [
    'the volume is looked at shortly before the application is told',
    { ...OWED, volume: { rendering: 'r2', lookedAt: 98_000 } },
    { kind: 'look' },
  ],
  ['a try that failed waits for the next', { ...OWED, tellRetryAt: 101_000 }, wait(101_000)],
  [
    'a process that started after the publication needs no telling',
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
    publish('rendered'),
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
    'with no hook nothing stays owed',
    { ...OWED, hook: 'none', process: null },
    { kind: 'settle', why: 'no-hook' },
  ],
];

const TRYING: readonly Example[] = [
  ['what is on the volume and was told is tried', { ...OWED, owed: false }, { kind: 'try' }],
  [
    'so is what nobody is to be told of',
    { ...OWED, owed: false, hook: 'none', process: null },
    { kind: 'try' },
  ],
  [
    'a trial begins when there is somebody to be tried with',
    { ...OWED, owed: false, process: OBSTACLE },
    wait(100_250, ABSENT),
  ],
  [
    'nothing is tried while the volume shows something else',
    { ...OWED, owed: false, ...ALONE, volume: showing('x'), published: published('r2', 'pending', false) },
    wait(LOOK_AT),
  ],
  ['a trial is looked at when that is due', { ...TRIED, trial: { lookAt: 100_000 } }, { kind: 'confirm' }],
  ['and not before', TRIED, wait(100_200)],
  [
    'a trial goes on only with what was seen on the volume lately',
    { ...TRIED, trial: { lookAt: 0 }, volume: { rendering: 'r2', lookedAt: 98_000 } },
    { kind: 'look' },
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
    publish('rendered'),
  ],
  ['what is tried is not told meanwhile', { ...TRIED, owed: true, process: READY }, wait(100_200)],
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
    publish('rendered'),
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
    'a last known good is never blocked: it is told again',
    { ...DONE, published: published('r1', 'refused'), blocked: ['r1'], owed: true, process: READY },
    { kind: 'reload' },
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
  ['with nothing to go back to a blocked rendering stays', { ...BAD, ...NOTHING_ELSE }, wait(100_250)],
  [
    'and is tried with a process that started with it',
    { ...BAD, ...NOTHING_ELSE, process: STARTED_AFTER },
    PICK_UP,
  ],
  [
    'one that was refused is told again, slowly',
    { ...BAD, ...NOTHING_ELSE, published: published('r2', 'refused'), tellRetryAt: 400_000 },
    wait(100_250),
  ],
  [
    'when that is due',
    { ...BAD, ...NOTHING_ELSE, published: published('r2', 'refused'), tellRetryAt: 100_000 },
    { kind: 'reload' },
  ],
  [
    'with nothing to go back to a blocked rendering is published on an empty volume',
    { ...RENDERED, ...NOTHING_ELSE, published: null, blocked: ['r2'], volume: showing(null) },
    publish('rendered'),
  ],
  [
    'or published again, when it is what was there',
    { ...BAD, ...NOTHING_ELSE, volume: showing(null) },
    publish('published'),
  ],
  [
    'what is blocked and was put on the volume again is not told as if it were new',
    { ...BAD, ...NOTHING_ELSE, published: published('r2', 'pending'), owed: true },
    wait(100_250),
  ],
  [
    'a process that starts with it picks it up',
    { ...BAD, ...NOTHING_ELSE, published: published('r2', 'pending'), owed: true, process: STARTED_AFTER },
    PICK_UP,
  ],
  [
    'a bad verdict of other settings is none: it is told again',
    { ...BAD, ...NOTHING_ELSE, blocked: [], goesBack: false },
    { kind: 'reload' },
  ],
  ['ROLLBACK=false stops: what does not work stays', { ...BAD, goesBack: false }, wait(100_250)],
  [
    'ROLLBACK=false stops: what was refused is not told again',
    { ...BAD, goesBack: false, published: published('r2', 'refused'), owed: true },
    wait(100_250),
  ],
  [
    'with ROLLBACK=false a newer change still takes its place, at once',
    { ...BAD, ...NEWER, goesBack: false, publishedAt: 100_000 },
    publish('rendered'),
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
    { kind: 'block' },
  ],
  [
    'or when it has not come back in time',
    { ...GONE_BACK, suspect: { ...SUSPECT, until: 100_000 } },
    { kind: 'block' },
  ],
  ['a death goes back at once all the same', { ...BAD, suspect: SUSPECT }, publish('last-known-good')],
  [
    'with nothing else to do it waits for the end of the suspicion',
    { ...DONE, suspect: { isReplaced: false, until: 100_100 } },
    wait(100_100),
  ],
];

const PINNING: readonly Example[] = [
  ['pinned beats the source', PINNED, publish('pinned')],
  ['pinned beats blocks', { ...PINNED, blocked: ['r0'] }, publish('pinned')],
  ['pinned beats a trial', { ...TRIED, pinned: 'r1' }, publish('pinned')],
  ['pinned waits for no timing', { ...PINNED, publishedAt: 100_000 }, publish('pinned')],
  ['pinned fills an empty volume', { ...PINNED, ...ALONE, volume: showing(null) }, publish('pinned')],
  ['pinned fails and stays', { ...BAD, pinned: 'r2' }, wait(100_250)],
  ['pinned is told, though it is blocked', { ...OWED, pinned: 'r2', blocked: ['r2'] }, { kind: 'reload' }],
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
  ['and what is wanted, when that may be published', { ...EMPTY, ...NEWER }, publish('rendered')],
  [
    'what was published, when there is a copy of it',
    { ...EMPTY, ...ALONE, published: published('r0', 'good') },
    publish('published'),
  ],
  ['nothing, when there is nothing', { ...EMPTY, ...ALONE, ...NOTHING_ELSE }, wait(LOOK_AT)],
];

const EXAMPLES = [
  ...[...LOOKING, ...PUBLISHING, ...TELLING, ...TRYING],
  ...[...GOING_BACK, ...DEATHS, ...PINNING, ...EMPTY_STARTS],
];

describe('the next step', () => {
  test.each(EXAMPLES)('%s', (_rule, facts, step) => {
    expect(decide(facts)).toEqual(step);
  });
});

const SETTING: Setting = {
  ...{ limits: LIMITS, hook: 'signal', restarts: false, isNamed: true, validates: false, goesBack: true },
  ...{ periodMs: 0, timeoutMs: 30_000, probes: false, keeps: 5, restartMs: 200, durationsMs: [3, 1, 8] },
};
const WATCHED: Partial<Setting> = { periodMs: 3_000 };

/** See `natureOf`. */
const [GOOD, OTHER, DEADLY, REFUSED, UNCONFIRMED, KILLS_WHEN_TOLD] = [2, 5, 3, 7, 9, 10] as const;

const event = (trouble: Trouble, afterMs = 0): Event => ({ afterMs, trouble });
const put = (content: number, afterMs = 0): Event => event({ kind: 'change', content }, afterMs);
const kill = (at: KillPoint, downMs = 0): Event => event({ kind: 'end', at, how: 'kill', downMs });
const hook = (mode: HookMode, afterMs = 0): Event => event({ kind: 'hook', mode }, afterMs);
const hand = (does: Extract<Trouble, { kind: 'hand' }>['does'], afterMs = 0): Event =>
  event({ kind: 'hand', does }, afterMs);

/** Contents that are always acceptable. */
const puts = (count: number, everyMs: number): readonly Event[] =>
  Array.from({ length: count }, (_, i) => put(GOOD_FROM + i, everyMs));

/** A world that has applied its first content and has been quiet for a while. */
function calm(changes: Partial<Setting> = {}): World {
  const world = new World({ ...SETTING, ...changes });
  world.play([], 30_000);
  return world;
}

const counts = (world: World): object => ({
  ...{ publications: world.publications, tellings: world.tellings.length },
});
const publishedIn = (world: World): readonly string[] => world.renames.map(({ rendering }) => rendering);
const ledgerOf = (world: World): Ledger => world.sidecar?.ledger ?? EMPTY_LEDGER;
const blockedIn = (world: World): readonly string[] =>
  ledgerOf(world).blocked.map(({ rendering }) => rendering);

describe('timing', () => {
  // B-02
  it('answers 50 puts in a row with at most two publications and two reloads, and the last value lands', () => {
    const world = calm();
    const before = { publications: world.publications, tellings: world.tellings.length };
    world.play(puts(50, 4), 10_000);
    expect(world.volume).toBe(renderingOf(GOOD_FROM + 49));
    expect(world.app?.runs).toBe(world.volume);
    expect(world.publications - before.publications).toBeLessThanOrEqual(2);
    expect(world.tellings.length - before.tellings).toBeLessThanOrEqual(2);
  });

  // B-03
  it('reloads at least every maximum while a put every half period goes on', () => {
    const world = calm({ limits: { ...LIMITS, debounceMs: 200, debounceMaxMs: 500, minIntervalMs: 0 } });
    const startedAt = world.now;
    world.play(puts(40, 100), 5_000);
    const times = world.tellings.map(({ at }) => at).filter((at) => at >= startedAt);
    const gaps = times.map((at, i) => at - (times[i - 1] ?? startedAt));
    expect(times.length).toBeGreaterThanOrEqual(7);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(500 + 100 + 50);
    expect(world.app?.runs).toBe(renderingOf(GOOD_FROM + 39));
  });

  // A-T01
  it('renders at most four times for 50 changes 50 ms apart with 200 ms and 1 s, and the last wins', () => {
    const world = calm({ limits: { ...LIMITS, debounceMs: 200, debounceMaxMs: 1_000, minIntervalMs: 0 } });
    const before = world.renders.length;
    world.play(puts(50, 50), 5_000);
    expect(world.renders.length - before).toBeLessThanOrEqual(4);
    expect(world.app?.runs).toBe(renderingOf(GOOD_FROM + 49));
  });

  // C-S13, C-R02
  it('makes one publication of two storms within the quiet time', () => {
    const world = calm({ limits: { ...LIMITS, debounceMs: 100 } });
    const before = world.publications;
    world.play([...puts(20, 1), put(2_000, 50), put(2_035, 1)], 5_000);
    expect(world.publications - before).toBe(1);
    expect(world.app?.runs).toBe(renderingOf(2_035));
  });

  // D-02
  it('sends the last signal of 100 changes within a second after the last rename', () => {
    const world = calm();
    const before = world.tellings.length;
    world.play(puts(100, 10), 10_000);
    const last = world.tellings.at(-1);
    const renamedAt = world.renames.at(-1)?.at ?? Number.POSITIVE_INFINITY;
    expect(world.tellings.length - before).toBeLessThanOrEqual(3);
    expect(last?.read).toBe(renderingOf(GOOD_FROM + 99));
    expect(last?.at).toBeGreaterThanOrEqual(renamedAt);
    expect(last?.at).toBeLessThanOrEqual(renamedAt + 1_000);
  });

  it('makes nothing of a change that is taken back within the quiet time', () => {
    const world = calm();
    const before = world.publications;
    world.play([put(2_000), put(1, 10)], 10_000);
    expect(world.publications).toBe(before);
  });
});

/** The points that a change passes which works. */
const POINTS_OF_A_CHANGE = KILL_POINTS.filter(
  (point) => !['begun', 'condemned', 'going back', 'blocked'].includes(point),
);

describe('a crash', () => {
  // A-R05, C-C04, D-38
  it.each(POINTS_OF_A_CHANGE)('at the point "%s" costs no reload, and never makes a second one', (at) => {
    const world = calm(WATCHED);
    const before = world.tellings.length;
    world.play([kill(at), put(2_000)], 120_000);
    expect(world.lives).toBe(2);
    expect(world.app?.runs).toBe(renderingOf(2_000));
    expect(ledgerOf(world)).toMatchObject({ owed: null, verdict: 'good', blocked: [] });
    expect(ledgerOf(world).kept[0]?.rendering).toBe(renderingOf(2_000));
    // Only between delivery and the note of it cannot be known whether the application was told.
    expect(world.tellings.length - before).toBe(at === 'delivered' ? 2 : 1);
  });

  it('right after the beginning of a trial of which nobody was told costs nothing', () => {
    const world = calm({ ...WATCHED, hook: 'none' });
    world.play([kill('begun'), put(2_000)], 120_000);
    expect(world.lives).toBe(2);
    expect(ledgerOf(world).kept[0]?.rendering).toBe(renderingOf(2_000));
  });

  it.each(['condemned', 'going back', 'blocked'] as const)(
    'at the point "%s" goes back all the same, and never tries again what is bad',
    (at) => {
      const world = calm(WATCHED);
      const before = world.tellings.length;
      world.play([kill(at), put(DEADLY)], 120_000);
      expect(world.lives).toBe(2);
      expect(publishedIn(world)).toEqual(['r1', 'r3', 'r1']);
      expect(world.app?.runs).toBe('r1');
      expect(ledgerOf(world)).toMatchObject({ owed: null, verdict: 'good' });
      expect(blockedIn(world)).toEqual(['r3']);
      // The application that comes back has read what it is to run.
      expect(world.tellings.length - before).toBe(1);
    },
  );

  it('before a rename forgets no reload that was owed before, also when the change is taken back meanwhile', () => {
    const world = calm({ durationsMs: [0] });
    world.play([hook('unavailable'), put(2_000)], 5_000);
    expect(ledgerOf(world).owed).not.toBeNull();
    const events = [
      ...[kill('intended'), put(2_035)],
      // The intention is written after the quiet time, and the source answers the next run 5 ms later.
      ...[put(2_000, LIMITS.debounceMs + 2), hook('works', 10)],
    ];
    const before = world.publications;
    world.play(events, 120_000);
    expect(world.lives).toBe(2);
    expect(world.publications).toBe(before);
    expect(world.app?.runs).toBe(renderingOf(2_000));
  });

  // B-44
  it('with nothing changed makes no publication and no reload', () => {
    const world = calm(WATCHED);
    const before = counts(world);
    world.play([kill('waiting')], 120_000);
    expect(world.lives).toBe(2);
    expect(counts(world)).toEqual(before);
  });
});

describe('a change that does not work', () => {
  it.each<[string, number, Partial<Setting>]>([
    ['kills the application', DEADLY, WATCHED],
    ['kills it only when it is told', KILLS_WHEN_TOLD, WATCHED],
    ['kills the one that a SIGTERM asked for', DEADLY, { ...WATCHED, restarts: true }],
    ['kills one that watches its files itself', DEADLY, { ...WATCHED, hook: 'none' }],
    ['is refused', REFUSED, { hook: 'http' }],
    ['is never confirmed', UNCONFIRMED, { probes: true }],
    [
      'is never confirmed by one that is not named',
      UNCONFIRMED,
      { probes: true, isNamed: false, hook: 'http' },
    ],
  ])('since it %s is taken back, and not tried again', (_how, content, setting) => {
    const world = calm(setting);
    world.play([put(GOOD)], 60_000);
    world.play([put(content)], 120_000);
    const bad = renderingOf(content);
    expect(publishedIn(world)).toEqual(['r1', 'r2', bad, 'r2']);
    expect(blockedIn(world)).toEqual([bad]);
    expect(ledgerOf(world)).toMatchObject({ verdict: 'good', owed: null, suspect: null });
    expect(world.runs).toBe(setting.hook === 'none' ? world.app?.runs : 'r2');
    world.play([put(GOOD), put(content, 60_000), kill('waiting')], 120_000);
    expect(publishedIn(world)).toEqual(['r1', 'r2', bad, 'r2']);
  });

  it('makes room for a newer one that waited for the verdict', () => {
    const world = calm({ ...WATCHED, limits: { ...LIMITS, minIntervalMs: 0 } });
    world.play([put(DEADLY), put(GOOD, 100)], 60_000);
    expect(publishedIn(world)).toEqual(['r1', 'r3', 'r2']);
    expect(world.app?.runs).toBe('r2');
    expect(blockedIn(world)).toEqual(['r3']);
  });

  it('is tried again when somebody says so, and only then', () => {
    const world = calm(WATCHED);
    world.play([put(DEADLY), hand('sync', 60_000), hand('retry', 60_000)], 60_000);
    expect(publishedIn(world)).toEqual(['r1', 'r3', 'r1', 'r3', 'r1']);
  });

  it('is tried again under other settings', () => {
    const world = calm(WATCHED);
    world.play([put(DEADLY), event({ kind: 'settings' }, 60_000)], 60_000);
    expect(publishedIn(world)).toEqual(['r1', 'r3', 'r1', 'r3', 'r1']);
  });

  it('stays with ROLLBACK=false', () => {
    const world = calm({ hook: 'http', goesBack: false });
    world.play([put(REFUSED)], 400_000);
    expect(publishedIn(world)).toEqual(['r1', 'r7']);
    expect(ledgerOf(world).verdict).toBe('refused');
    expect(world.app?.runs).toBe('r1');
  });

  it('is blocked and gone back from though it worked once, when something else worked later', () => {
    const world = calm({ ...WATCHED, keeps: 5 });
    // A process that starts with it lives, so that it is known to work; told of it, it dies.
    world.play([event({ kind: 'app', becomes: 'absent' }), put(KILLS_WHEN_TOLD)], 5_000);
    world.play([event({ kind: 'app', becomes: 'restarted' }), put(GOOD, 30_000)], 30_000);
    expect([...world.confirmed]).toEqual(['r1', 'r10', 'r2']);
    world.play([put(KILLS_WHEN_TOLD)], 60_000);
    expect(blockedIn(world)).toEqual(['r10']);
    expect(world.volume).toBe('r2');
    expect(world.app?.runs).toBe('r2');
  });
});

describe('with nothing to go back to', () => {
  const first = (content: number, setting: Partial<Setting>): World => {
    const world = new World({ ...SETTING, ...setting });
    world.play([put(content)], 30_000);
    return world;
  };

  it('what does not work stays, and a process that lives with it lifts the block', () => {
    const world = first(KILLS_WHEN_TOLD, WATCHED);
    expect(publishedIn(world)).toEqual(['r10']);
    expect(world.tellings).toHaveLength(1);
    expect(ledgerOf(world)).toMatchObject({ verdict: 'good', blocked: [], kept: [{ rendering: 'r10' }] });
  });

  it('what is put back on the volume is not told as if it were new', () => {
    const world = first(DEADLY, { ...WATCHED, restartMs: 4_000 });
    const before = world.tellings.length;
    world.play([event({ kind: 'drift', to: 'other' })], 120_000);
    expect(world.volume).toBe('r3');
    expect(world.tellings.length).toBe(before);
    expect(blockedIn(world)).toEqual(['r3']);
  });

  it('what was refused is told again, slowly', () => {
    const world = first(REFUSED, { hook: 'http' });
    expect(ledgerOf(world)).toMatchObject({ verdict: 'refused', owed: { since: expect.any(Number) } });
    expect(publishedIn(world)).toEqual(['r7']);
  });
});

describe('what is not the fault of the content', () => {
  it('drift during a trial: what CONFIRM_URL shows of something else proves nothing', () => {
    const world = calm({ hook: 'none', probes: true, limits: { ...LIMITS, minIntervalMs: 5_000 } });
    world.play([put(GOOD), event({ kind: 'drift', to: 'other' }, 75)], 60_000);
    expect(blockedIn(world)).toEqual([]);
    expect(ledgerOf(world)).toMatchObject({
      verdict: 'good',
      kept: [{ rendering: 'r2' }, { rendering: 'r1' }],
    });
  });

  it.each([0, 300, 900])(
    'a pod that ends: SIGTERM %s ms after the application records nothing',
    (stopAfterMs) => {
      const world = calm(WATCHED);
      const pod = {
        kind: 'pod',
        how: 'stop',
        stopAfterMs,
        downMs: 12_000,
        isAppFirst: false,
        keeps: 'state',
      } as const;
      world.play([put(GOOD), event(pod, 500)], 60_000);
      expect(world.lives).toBe(2);
      expect(blockedIn(world)).toEqual([]);
      expect(world.app?.runs).toBe('r2');
      expect(ledgerOf(world).kept[0]?.rendering).toBe('r2');
    },
  );
});

describe('a pin', () => {
  it('stays over restarts and changes, fills an empty volume, and ends by hand', () => {
    const world = calm(WATCHED);
    world.play([put(GOOD), hand('pin', 30_000), put(OTHER, 10_000)], 30_000);
    expect(world.volume).toBe('r1');
    const pod = {
      kind: 'pod',
      how: 'stop',
      stopAfterMs: 0,
      downMs: 12_000,
      isAppFirst: true,
      keeps: 'state',
    } as const;
    world.play([event({ kind: 'source', mode: 'hangs' }), event(pod)], 60_000);
    expect(world.volume).toBe('r1');
    expect(world.app?.runs).toBe('r1');
    world.play([event({ kind: 'source', mode: 'up' }), hand('resume', 1_000)], 30_000);
    expect(world.app?.runs).toBe('r5');
    expect(publishedIn(world)).toEqual(['r1', 'r2', 'r1', 'r1', 'r5']);
  });
});
