import { describe, expect, it } from 'vitest';
import { EMPTY_LEDGER, type Ledger } from '../../../src/ledger/ledger.ts';
import type { HookMode } from '../../support/reconcile/application.ts';
import { GOOD_FROM, renderingOf, type Setting } from '../../support/reconcile/contents.ts';
import { KILL_POINTS, type KillPoint } from '../../support/reconcile/life.ts';
import { LIMITS, SETTING } from '../../support/reconcile/settings.ts';
import { type Event, type Trouble, World } from '../../support/reconcile/world.ts';

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
async function calm(changes: Partial<Setting> = {}): Promise<World> {
  const world = new World({ ...SETTING, ...changes });
  await world.play([], 30_000);
  return world;
}

const counts = (world: World): object => ({
  ...{ publications: world.publications, tellings: world.tellings.length },
});
const publishedIn = (world: World): readonly string[] => world.renames.map(({ rendering }) => rendering);
const ledgerOf = (world: World): Ledger => world.life?.state.ledger ?? EMPTY_LEDGER;
const blockedIn = (world: World): readonly string[] =>
  ledgerOf(world).blocked.map(({ rendering }) => rendering);

describe('timing', () => {
  it('answers 50 puts in a row with at most two publications and two reloads, and the last value lands', async () => {
    const world = await calm();
    const before = { publications: world.publications, tellings: world.tellings.length };
    await world.play(puts(50, 4), 10_000);
    expect(world.volume).toBe(renderingOf(GOOD_FROM + 49));
    expect(world.app?.runs).toBe(world.volume);
    expect(world.publications - before.publications).toBeLessThanOrEqual(2);
    expect(world.tellings.length - before.tellings).toBeLessThanOrEqual(2);
  });

  it('reloads at least every maximum while a put every half period goes on', async () => {
    const world = await calm({
      limits: { ...LIMITS, debounceMs: 200, debounceMaxMs: 500, minIntervalMs: 0 },
    });
    const startedAt = world.now;
    await world.play(puts(40, 100), 5_000);
    const times = world.tellings.map(({ at }) => at).filter((at) => at >= startedAt);
    const gaps = times.map((at, i) => at - (times[i - 1] ?? startedAt));
    expect(times.length).toBeGreaterThanOrEqual(7);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(500 + 100 + 50);
    expect(world.app?.runs).toBe(renderingOf(GOOD_FROM + 39));
  });

  it('renders at most four times for 50 changes 50 ms apart with 200 ms and 1 s, and the last wins', async () => {
    const world = await calm({
      limits: { ...LIMITS, debounceMs: 200, debounceMaxMs: 1_000, minIntervalMs: 0 },
    });
    const before = world.renders.length;
    await world.play(puts(50, 50), 5_000);
    expect(world.renders.length - before).toBeLessThanOrEqual(4);
    expect(world.app?.runs).toBe(renderingOf(GOOD_FROM + 49));
  });

  it('makes one publication of two storms within the quiet time', async () => {
    const world = await calm({ limits: { ...LIMITS, debounceMs: 100 } });
    const before = world.publications;
    await world.play([...puts(20, 1), put(2_000, 50), put(2_035, 1)], 5_000);
    expect(world.publications - before).toBe(1);
    expect(world.app?.runs).toBe(renderingOf(2_035));
  });

  it('sends the last signal of 100 changes within a second after the last rename', async () => {
    const world = await calm();
    const before = world.tellings.length;
    await world.play(puts(100, 10), 10_000);
    const last = world.tellings.at(-1);
    const renamedAt = world.renames.at(-1)?.at ?? Number.POSITIVE_INFINITY;
    expect(world.tellings.length - before).toBeLessThanOrEqual(3);
    expect(last?.read).toBe(renderingOf(GOOD_FROM + 99));
    expect(last?.at).toBeGreaterThanOrEqual(renamedAt);
    expect(last?.at).toBeLessThanOrEqual(renamedAt + 1_000);
  });

  it('makes nothing of a change that is undone within the quiet time', async () => {
    const world = await calm();
    const before = world.publications;
    await world.play([put(2_000), put(1, 10)], 10_000);
    expect(world.publications).toBe(before);
  });
});

/** The points that a change passes which works. */
const POINTS_OF_A_CHANGE = KILL_POINTS.filter(
  (point) => !['begun', 'condemned', 'going back', 'blocked'].includes(point),
);

describe('a crash', () => {
  it.each(POINTS_OF_A_CHANGE)(
    'at the point "%s" costs no reload, and never makes a second one',
    async (at) => {
      const world = await calm({ ...WATCHED, outputs: at === 'between' ? 2 : 1 });
      const before = world.tellings.length;
      await world.play([kill(at), put(2_000)], 120_000);
      expect(world.lives).toBe(2);
      expect(world.app?.runs).toBe(renderingOf(2_000));
      expect(ledgerOf(world)).toMatchObject({ owed: null, verdict: 'good', blocked: [] });
      expect(ledgerOf(world).kept[0]?.rendering).toBe(renderingOf(2_000));
      // Between the delivery and its record it is unknown whether the application was notified.
      expect(world.tellings.length - before).toBe(at === 'delivered' ? 2 : 1);
    },
  );

  it('right after the start of a trial without a notification costs nothing', async () => {
    const world = await calm({ ...WATCHED, hook: 'none' });
    await world.play([kill('begun'), put(2_000)], 120_000);
    expect(world.lives).toBe(2);
    expect(ledgerOf(world).kept[0]?.rendering).toBe(renderingOf(2_000));
  });

  it.each(['condemned', 'going back', 'blocked'] as const)(
    'at the point "%s" rolls back all the same, and never tries again what is bad',
    async (at) => {
      const world = await calm(WATCHED);
      const before = world.tellings.length;
      await world.play([kill(at), put(DEADLY)], 120_000);
      expect(world.lives).toBe(2);
      expect(publishedIn(world)).toEqual(['r1', 'r3', 'r1']);
      expect(world.app?.runs).toBe('r1');
      expect(ledgerOf(world)).toMatchObject({ owed: null, verdict: 'good' });
      expect(blockedIn(world)).toEqual(['r3']);
      // The application that comes back has read what it is to run.
      expect(world.tellings.length - before).toBe(1);
    },
  );

  it('before a rename forgets no reload that was owed before, even when the change is undone meanwhile', async () => {
    const world = await calm({ durationsMs: [0] });
    await world.play([hook('unavailable'), put(2_000)], 5_000);
    expect(ledgerOf(world).owed).not.toBeNull();
    const events = [
      ...[kill('intended'), put(2_035)],
      // The intention is written after the quiet time, and the source answers the next run 5 ms later.
      ...[put(2_000, LIMITS.debounceMs + 2), hook('works', 10)],
    ];
    const before = world.publications;
    await world.play(events, 120_000);
    expect(world.lives).toBe(2);
    expect(world.publications).toBe(before);
    expect(world.app?.runs).toBe(renderingOf(2_000));
  });

  it('with nothing changed makes no publication and no reload', async () => {
    const world = await calm(WATCHED);
    const before = counts(world);
    await world.play([kill('waiting')], 120_000);
    expect(world.lives).toBe(2);
    expect(counts(world)).toEqual(before);
  });
});

describe('a change that does not work', () => {
  it.each<[string, number, Partial<Setting>]>([
    ['kills the application', DEADLY, WATCHED],
    ['kills it only when it is notified', KILLS_WHEN_TOLD, WATCHED],
    ['kills the one that a SIGTERM asked for', DEADLY, { ...WATCHED, restarts: true }],
    ['kills one that watches its files itself', DEADLY, { ...WATCHED, hook: 'none' }],
    ['is refused', REFUSED, { hook: 'http' }],
    ['is never confirmed', UNCONFIRMED, { probes: true }],
    [
      'is never confirmed by one that is not named',
      UNCONFIRMED,
      { probes: true, isNamed: false, hook: 'http' },
    ],
  ])('since it %s is rolled back, and not tried again', async (_how, content, setting) => {
    const world = await calm(setting);
    await world.play([put(GOOD)], 60_000);
    await world.play([put(content)], 120_000);
    const bad = renderingOf(content);
    expect(publishedIn(world)).toEqual(['r1', 'r2', bad, 'r2']);
    expect(blockedIn(world)).toEqual([bad]);
    expect(ledgerOf(world)).toMatchObject({ verdict: 'good', owed: null, suspect: null });
    expect(world.runs).toBe(setting.hook === 'none' ? world.app?.runs : 'r2');
    await world.play([put(GOOD), put(content, 60_000), kill('waiting')], 120_000);
    expect(publishedIn(world)).toEqual(['r1', 'r2', bad, 'r2']);
  });

  it('makes room for a newer one that waited for the verdict', async () => {
    const world = await calm({ ...WATCHED, limits: { ...LIMITS, minIntervalMs: 0 } });
    await world.play([put(DEADLY), put(GOOD, 100)], 60_000);
    expect(publishedIn(world)).toEqual(['r1', 'r3', 'r2']);
    expect(world.app?.runs).toBe('r2');
    expect(blockedIn(world)).toEqual(['r3']);
  });

  it('is tried again when an operator asks for it, and only then', async () => {
    const world = await calm(WATCHED);
    await world.play([put(DEADLY), hand('sync', 60_000), hand('retry', 60_000)], 60_000);
    expect(publishedIn(world)).toEqual(['r1', 'r3', 'r1', 'r3', 'r1']);
  });

  it('is tried again under other settings', async () => {
    const world = await calm(WATCHED);
    await world.play([put(DEADLY), event({ kind: 'settings' }, 60_000)], 60_000);
    expect(publishedIn(world)).toEqual(['r1', 'r3', 'r1', 'r3', 'r1']);
  });

  it('stays with ROLLBACK=false', async () => {
    const world = await calm({ hook: 'http', goesBack: false });
    await world.play([put(REFUSED)], 400_000);
    expect(publishedIn(world)).toEqual(['r1', 'r7']);
    expect(ledgerOf(world).verdict).toBe('refused');
    expect(world.app?.runs).toBe('r1');
  });

  it('is blocked and rolled back though it worked once, when something else worked later', async () => {
    const world = await calm({ ...WATCHED, keeps: 5 });
    // A process that starts with it survives, so that it is known to work; notified of it, it dies.
    await world.play([event({ kind: 'app', becomes: 'absent' }), put(KILLS_WHEN_TOLD)], 5_000);
    await world.play([event({ kind: 'app', becomes: 'restarted' }), put(GOOD, 30_000)], 30_000);
    expect([...world.confirmed]).toEqual(['r1', 'r10', 'r2']);
    await world.play([put(KILLS_WHEN_TOLD)], 60_000);
    expect(blockedIn(world)).toEqual(['r10']);
    expect(world.volume).toBe('r2');
    expect(world.app?.runs).toBe('r2');
  });
});

describe('with nothing to roll back to', () => {
  const first = async (content: number, setting: Partial<Setting>): Promise<World> => {
    const world = new World({ ...SETTING, ...setting });
    await world.play([put(content)], 30_000);
    return world;
  };

  it('what does not work stays, and a process that lives with it lifts the block', async () => {
    const world = await first(KILLS_WHEN_TOLD, WATCHED);
    expect(publishedIn(world)).toEqual(['r10']);
    expect(world.tellings).toHaveLength(1);
    expect(ledgerOf(world)).toMatchObject({ verdict: 'good', blocked: [], kept: [{ rendering: 'r10' }] });
  });

  it('what is put back on the volume is not notified as if it were new', async () => {
    const world = await first(DEADLY, { ...WATCHED, restartMs: 4_000 });
    const before = world.tellings.length;
    await world.play([event({ kind: 'drift', to: 'other' })], 120_000);
    expect(world.volume).toBe('r3');
    expect(world.tellings.length).toBe(before);
    expect(blockedIn(world)).toEqual(['r3']);
  });

  it('what was refused is notified again, slowly', async () => {
    const world = await first(REFUSED, { hook: 'http' });
    expect(ledgerOf(world)).toMatchObject({ verdict: 'refused', owed: { since: expect.any(Number) } });
    expect(publishedIn(world)).toEqual(['r7']);
  });
});

describe('what is not the fault of the content', () => {
  it('drift during a trial: what CONFIRM_URL shows of something else proves nothing', async () => {
    const world = await calm({ hook: 'none', probes: true, limits: { ...LIMITS, minIntervalMs: 5_000 } });
    await world.play([put(GOOD), event({ kind: 'drift', to: 'other' }, 75)], 60_000);
    expect(blockedIn(world)).toEqual([]);
    expect(ledgerOf(world)).toMatchObject({
      verdict: 'good',
      kept: [{ rendering: 'r2' }, { rendering: 'r1' }],
    });
  });

  it.each([0, 300, 900])(
    'a pod that ends: SIGTERM %s ms after the application records nothing',
    async (stopAfterMs) => {
      const world = await calm(WATCHED);
      const pod = {
        kind: 'pod',
        how: 'stop',
        stopAfterMs,
        downMs: 12_000,
        isAppFirst: false,
        keeps: 'state',
      } as const;
      await world.play([put(GOOD), event(pod, 500)], 60_000);
      expect(world.lives).toBe(2);
      expect(blockedIn(world)).toEqual([]);
      expect(world.app?.runs).toBe('r2');
      expect(ledgerOf(world).kept[0]?.rendering).toBe('r2');
    },
  );
});

describe('a sync', () => {
  it('looks at the volume, and restores what is gone from it', async () => {
    const world = await calm();
    await world.play([event({ kind: 'drift', to: 'nothing' })], 2_000);
    expect(world.volume).toBeNull();
    await world.play([hand('sync')], 2_000);
    expect(world.volume).toBe('r1');
    expect(ledgerOf(world)).toMatchObject({ verdict: 'good', owed: null });
  });
});

describe('a pin', () => {
  it('stays over restarts and changes, fills an empty volume, and ends by hand', async () => {
    const world = await calm(WATCHED);
    await world.play([put(GOOD), hand('pin', 30_000), put(OTHER, 10_000)], 30_000);
    expect(world.volume).toBe('r1');
    const pod = {
      kind: 'pod',
      how: 'stop',
      stopAfterMs: 0,
      downMs: 12_000,
      isAppFirst: true,
      keeps: 'state',
    } as const;
    await world.play([event({ kind: 'source', mode: 'hangs' }), event(pod)], 60_000);
    expect(world.volume).toBe('r1');
    expect(world.app?.runs).toBe('r1');
    await world.play([event({ kind: 'source', mode: 'up' }), hand('resume', 1_000)], 30_000);
    expect(world.app?.runs).toBe('r5');
    expect(publishedIn(world)).toEqual(['r1', 'r2', 'r1', 'r1', 'r5']);
  });
});
