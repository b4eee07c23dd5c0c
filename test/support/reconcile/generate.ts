// Generated worlds for `decide`: how they are set up, and what befalls them.
import fc from 'fast-check';
import type { Setting } from './contents.ts';
import { KILL_POINTS } from './life.ts';
import type { Event, Trouble } from './world.ts';

/** Few values, so that changes are often undone; of twelve neighbours five are good. */
const content = fc.integer({ min: 1, max: 24 });

type Weighted = { readonly weight: number; readonly arbitrary: fc.Arbitrary<Trouble> };

const downMs = fc.constantFrom(0, 0, 700, 5_000, 60_000);

/** What a good content must outlive without being taken for a bad one. */
const HARMLESS: readonly Weighted[] = [
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('change' as const), content }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('source' as const),
      mode: fc.constantFrom('up' as const, 'up' as const, 'fails' as const, 'hangs' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('validator' as const), works: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('disk' as const),
      of: fc.constantFrom('output' as const, 'state' as const, 'both' as const),
      full: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('drift' as const),
      to: fc.constantFrom('other' as const, 'nothing' as const),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      at: fc.constantFrom(...KILL_POINTS),
      how: fc.constantFrom('kill' as const, 'stop' as const),
      downMs,
    }),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({
        kind: fc.constant('pod' as const),
        how: fc.constantFrom('kill' as const, 'stop' as const),
        stopAfterMs: fc.constantFrom(0, 10, 300, 900),
        downMs: fc.constantFrom(12_000, 90_000),
        isAppFirst: fc.boolean(),
        keeps: fc.constantFrom('everything' as const, 'state' as const, 'nothing' as const),
      })
      .map((one) => (one.how === 'kill' ? { ...one, stopAfterMs: 0 } : one)),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'settings' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('hand' as const),
      does: fc.constantFrom(...(['pin', 'pin oldest', 'resume', 'resume', 'sync', 'retry'] as const)),
    }),
  },
];

const HARMFUL: readonly Weighted[] = [
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('hook' as const),
      mode: fc.constantFrom(
        ...([
          'works',
          'works',
          'unavailable',
          'refuses',
          'misconfigured',
          'unknown',
          'lost',
          'gone',
        ] as const),
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('app' as const),
      becomes: fc.constantFrom('absent' as const, 'restarted' as const, 'ambiguous' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('ledger' as const),
      is: fc.constantFrom('lost' as const, 'cut' as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'copy damaged' as const }) },
];

const afterMs = fc.oneof(
  fc.integer({ min: 0, max: 20 }),
  fc.integer({ min: 0, max: 1_500 }),
  fc.integer({ min: 0, max: 6_000 }),
  fc.integer({ min: 0, max: 90_000 }),
);

function eventsOf(troubles: readonly Weighted[]): fc.Arbitrary<readonly Event[]> {
  const event = fc.record({ afterMs, trouble: fc.oneof(...troubles) });
  return fc.array(event, { maxLength: 25 });
}

/** Anything, and as much as possible of it. */
export const anyEvents = eventsOf([...HARMLESS, ...HARMFUL]);

/** Nothing that could make a good content look bad. */
export const harmlessEvents = eventsOf(HARMLESS);

export const anySetting: fc.Arbitrary<Setting> = fc
  .record({
    outputs: fc.constantFrom(1, 2, 3),
    limits: fc.record({
      debounceMs: fc.constantFrom(0, 50, 300),
      debounceMaxMs: fc.constantFrom(0, 1_000),
      minIntervalMs: fc.constantFrom(0, 1_000, 5_000),
      splayMs: fc.constantFrom(0, 700),
    }),
    lookEveryMs: fc.constantFrom(5_000, 60_000),
    hook: fc.constantFrom('signal' as const, 'http' as const, 'command' as const, 'none' as const),
    restarts: fc.boolean(),
    isNamed: fc.boolean(),
    validates: fc.boolean(),
    periodMs: fc.constantFrom(0, 3_000, 3_000),
    timeoutMs: fc.constantFrom(10_000, 30_000),
    probes: fc.boolean(),
    goesBack: fc.constantFrom(true, true, false),
    keeps: fc.constantFrom(1, 2, 5),
    restartMs: fc.constantFrom(200, 2_000),
    durationsMs: fc.array(fc.constantFrom(0, 2, 40, 700), { minLength: 1, maxLength: 4 }),
  })
  .map((one) => ({
    ...one,
    isNamed: one.hook === 'signal' || one.isNamed,
    restarts: one.hook === 'signal' && one.restarts,
  }));
