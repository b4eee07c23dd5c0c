import { describe, expect, it } from 'vitest';
import { SidecarError } from '../../../src/lib/errors.ts';
import { sleep } from '../../../src/lib/wait.ts';
import { HANDED_OVER, Reconciler, type World } from '../../../src/reconcile/reconciler.ts';
import { type Event, startOf } from '../../../src/reconcile/state.ts';
import { policyOf } from '../../support/reconcile/contents.ts';
import { SETTING } from '../../support/reconcile/settings.ts';

const FULL = new SidecarError('The disk is full.', { code: 'ledger.write', stage: 'ledger' });

/** Far above what any test here needs: a loop that never rests is a failure, and no test that hangs. */
const MOST_LOOKS_AT_THE_CLOCK = 10_000;

/** A loop over a world in which every action opens, looks, or does what the test says; and the events it has taken. */
function loop(world: Partial<World> = {}) {
  const taken: Event[] = [];
  let looks = 0;
  const reconciler: Reconciler = new Reconciler(
    startOf(policyOf(SETTING, { under: 'settings', askUntil: 0 })),
    {
      time: () => {
        looks += 1;
        if (looks > MOST_LOOKS_AT_THE_CLOCK) throw new Error('The loop never rests.');
        return { ms: performance.now(), unixMs: Date.now(), chance: 0.5 };
      },
      ...{ sleep, turn: () => Promise.resolve(), save: () => undefined, release: () => {} },
      perform: async function* (action): AsyncGenerator<Event, void> {
        const moment = { bootId: null, ticks: null };
        const volume = { rendering: null, changedAt: null, problem: null, moment };
        const { ledger } = reconciler.state;
        if (action.kind === 'open')
          yield { kind: 'opened', ledger, from: 'fresh', copies: [], held: null, volume };
        if (action.kind === 'observe') yield { kind: 'observed', volume };
      },
      announce: (_before, event) => {
        taken.push(event);
      },
      ...world,
    },
  );
  return { reconciler, taken, kinds: () => taken.map(({ kind }) => kind) };
}

describe('the loop', () => {
  it('ends at once, also when it is ended in the moment in which it goes to rest', async () => {
    const ending = new AbortController();
    let isReleased = false;
    const { reconciler, kinds } = loop({
      announce: (_before, event) => {
        if (event.kind === 'rested') ending.abort();
      },
      release: () => {
        isReleased = true;
      },
    });
    await reconciler.run(ending.signal);
    expect(isReleased).toBe(true);
    expect(kinds()).toEqual([]);
  });

  it('says to the ledger whether another loop goes on for it', async () => {
    for (const [reason, handsOver] of [
      [undefined, false],
      [HANDED_OVER, true],
    ] as const) {
      const { reconciler, taken } = loop();
      await reconciler.run(AbortSignal.abort(reason));
      expect(taken).toEqual([{ kind: 'ended', handsOver }]);
    }
  });

  it('takes an event at once, and its wait ends', async () => {
    const ending = new AbortController();
    const { reconciler, kinds } = loop();
    const done = reconciler.run(ending.signal);
    await expect.poll(() => kinds().at(-1)).toBe('rested');
    reconciler.post({ kind: 'retry-asked', unblocks: false });
    expect(reconciler.state.session.waits).toBeNull();
    await expect.poll(() => kinds().slice(-3)).toEqual(['retry-asked', 'observed', 'rested']);
    ending.abort();
    await done;
  });

  it('changes nothing when what was asked for by hand cannot be saved', () => {
    const { reconciler } = loop({ save: () => FULL });
    const before = reconciler.state;
    expect(() => reconciler.post({ kind: 'pinned', pinned: { rendering: 'r1', generation: 1 } })).toThrow(
      FULL,
    );
    expect(reconciler.state).toBe(before);
    // What can be saved later goes on.
    reconciler.post({ kind: 'suspicion-confirmed' });
    expect(reconciler.state.session.saveError).toBe(FULL);
  });

  it('lets a step know where it yielded an event that has to be saved and cannot', async () => {
    const ending = new AbortController();
    const thrown: unknown[] = [];
    const { reconciler } = loop({
      save: () => FULL,
      perform: async function* (): AsyncGenerator<Event, void> {
        try {
          const version = {
            revision: '1',
            digest: 'd',
            rendering: 'r',
            at: 1,
            input: 'i',
            moment: null,
            as: 'desired',
          } as const;
          yield { kind: 'intended', version, isUrgent: false, staged: [] };
        } catch (error) {
          thrown.push(error);
        } finally {
          ending.abort();
        }
      },
    });
    await reconciler.run(ending.signal);
    expect(thrown).toEqual([FULL]);
    expect(reconciler.state.ledger.intended).toBeNull();
  });

  it('survives a step that throws, says so, and goes on a second later', async () => {
    const ending = new AbortController();
    const waits: number[] = [];
    const { reconciler } = loop({
      // biome-ignore lint/correctness/useYield: it throws before.
      perform: async function* (): AsyncGenerator<Event, void> {
        throw new Error('No step does this.');
      },
      sleep: async (ms) => {
        waits.push(ms);
        ending.abort();
      },
    });
    await reconciler.run(ending.signal);
    expect(waits).toEqual([1_000]);
    expect(reconciler.state.session.journal.current).toMatchObject({ outcome: 'failed', code: 'internal' });
  });
});
