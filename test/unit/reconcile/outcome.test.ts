// What is recorded after each event, and what each event changes that nothing else shows.
import { describe, expect, it } from 'vitest';
import type { KeptGeneration, Trial } from '../../../src/ledger/ledger.ts';
import { SidecarError, type Stage } from '../../../src/lib/errors.ts';
import { withReports } from '../../../src/reconcile/outcome.ts';
import type { Policy } from '../../../src/reconcile/policy.ts';
import { reduce } from '../../../src/reconcile/reduce.ts';
import { type Candidate, type Event, type State, startOf } from '../../../src/reconcile/state.ts';
import { policyOf } from '../../support/reconcile/contents.ts';
import { SETTING } from '../../support/reconcile/settings.ts';

const POLICY = policyOf(SETTING, { under: 'settings', askUntil: 0 });
const START = startOf(POLICY);
const STAMP = { bootId: 'boot', ticks: 1 };

/** The state after these events, with what was recorded, as the loop makes it. */
function stateAfter(events: readonly Event[], start: State = START): State {
  return events.reduce<State>((before, event, i) => {
    const at = { ms: i, unixMs: 1_000 + i, chance: 0.5 };
    return withReports(before, event, reduce(before, event, at), at);
  }, start);
}

/** The outcomes recorded, oldest first, with how often in a row. */
function outcomes({ session }: State): readonly string[] {
  const { history } = session.journal;
  return [...history].reverse().map(({ outcome, count }) => (count === 1 ? outcome : `${outcome} ×${count}`));
}

const error = (code: string, stage: Stage, message = 'It went wrong.') =>
  new SidecarError(message, { code, stage });
const generation = (rendering: string) => ({ parts: [], rendering });
const volume = (rendering: string | null) => ({
  volume: { rendering, changedAt: null, problem: null, moment: STAMP },
});
const input = (id: string, revision = id) => {
  const snapshot = { revision, content: { kind: 'tree', entries: [] } } as const;
  return { id, digest: id, snapshot, templates: null };
};
const version = (rendering: string) => ({ revision: rendering, digest: rendering, rendering, at: 1 });

const OPENED: Event = {
  ...{ kind: 'opened', ledger: START.ledger, from: 'fresh', copies: [], held: null },
  ...volume(null),
};
const source = (id: string, revision = id): Event => ({
  kind: 'source',
  isAsked: true,
  input: input(id, revision),
});
const candidate = (rendering: string): Candidate => {
  return {
    input: input(rendering),
    version: version(rendering),
    generation: generation(rendering),
    error: null,
  };
};
const rendered = (rendering: string): Event => ({ kind: 'rendered', candidate: candidate(rendering) });
const rejected = (id: string, message = 'No such variable.'): Event => ({
  kind: 'rendered',
  candidate: {
    ...{ input: input(id), generation: null, error: error('render.template', 'render', message) },
    version: { ...version(''), digest: id, rendering: null },
  },
});
const trial = (at = 1): Trial => ({
  ...{ process: { pid: 7, startTicks: 9 }, how: 'told', restarts: false, children: [], evidence: [] },
  ...{ at, notBefore: 1, moment: STAMP },
});
const TRIAL = trial();
const kept = (rendering: string): KeptGeneration => {
  return { ...version(rendering), generation: 1, input: rendering, confirmedAt: 5 };
};
const published = (rendering: string, as: 'desired' | 'rolled-back' = 'desired'): readonly Event[] => [
  {
    kind: 'intended',
    isUrgent: false,
    staged: [],
    version: { ...version(rendering), input: rendering, moment: null, as },
  },
  { kind: 'published', generation: generation(rendering), startedAt: 1, ...volume(rendering) },
];
const notified: Event = { kind: 'notified', result: 'told', next: TRIAL };
const confirmed = (rendering: string): Event => {
  return { kind: 'confirmed', trial: TRIAL, evidence: ['alive'], kept: kept(rendering), keepError: null };
};
const applied = (rendering: string): readonly Event[] => [
  ...[source(rendering), rendered(rendering), ...published(rendering), notified, confirmed(rendering)],
];
const died: Event = {
  ...{ kind: 'trial-failed', trial: TRIAL, outcome: 'target-died', isReplaced: true },
  error: error('confirm.died', 'reload'),
};
const GOOD: readonly Event[] = [OPENED, ...applied('one')];

describe('the state directory', () => {
  it('that cannot be had is an attempt each second, and is over when it can', () => {
    const locked: Event = { kind: 'open-failed', error: error('state.locked', 'publish') };
    const waiting = stateAfter([locked, locked]);
    expect(outcomes(waiting)).toEqual(['failed ×2']);
    expect(waiting.session).toMatchObject({ isOpen: false, opening: { failures: 2, dueAt: 1_001 } });
    expect(stateAfter([locked, OPENED]).session.journal.current).toBeNull();
  });

  it('that was taken away has to be opened and looked at again', () => {
    expect(stateAfter([...GOOD, { kind: 'closed' }]).session).toMatchObject({ isOpen: false, volume: null });
  });

  it('that could not be written, or could not keep a copy, is remembered until it can', () => {
    const full = error('ledger.write', 'ledger');
    const failed = stateAfter([
      ...GOOD,
      { kind: 'saved', error: full },
      { kind: 'kept', kept: null, keepError: full },
    ]);
    expect(failed.session).toMatchObject({ saveError: full, keepError: full });
    const again = stateAfter(
      [
        { kind: 'saved', error: null },
        { kind: 'kept', kept: kept('one'), keepError: null },
      ],
      failed,
    );
    expect(again.session).toMatchObject({ saveError: null, keepError: null });
  });

  it('makes a confirmed generation the last known good once there is a copy of it', () => {
    const uncopied: Event = { ...confirmed('one'), kept: null } as Event;
    const before = stateAfter([...GOOD.slice(0, -1), uncopied]);
    expect(before.ledger.kept).toEqual([]);
    const keeping = (rendering: string): Event => ({ kind: 'kept', kept: kept(rendering), keepError: null });
    expect(stateAfter([keeping('one')], before).ledger.kept).toEqual([kept('one')]);
    expect(stateAfter([keeping('other')], before).ledger.kept).toEqual([]);
  });

  it('whose copy is damaged keeps it no more', () => {
    expect(stateAfter([...GOOD, { kind: 'copy-lost', rendering: 'one' }]).ledger.kept).toEqual([]);
  });
});

describe('what stands', () => {
  it('is what the verdict says, once for each change', () => {
    expect(outcomes(stateAfter(GOOD))).toEqual(['applied']);
    expect(outcomes(stateAfter([...GOOD, ...applied('two')]))).toEqual(['applied', 'applied']);
  });

  it('is a rejection until something else is rendered, also after a verdict on what came before', () => {
    const events = [...GOOD, source('two'), rendered('two'), ...published('two'), notified];
    const bad = stateAfter([...events, rejected('three'), confirmed('two')]);
    expect(outcomes(bad)).toEqual(['applied', 'rejected', 'applied', 'rejected']);
    expect(outcomes(stateAfter([source('two', 'later'), rendered('two')], bad)).at(-1)).toBe('unchanged');
  });

  it('is counted once more when the same is rejected again, and is news with another reason', () => {
    expect(outcomes(stateAfter([...GOOD, rejected('two'), rejected('two')]))).toEqual([
      'applied',
      'rejected ×2',
    ]);
    const other = stateAfter([...GOOD, rejected('two'), rejected('two', 'Another variable.')]);
    expect(outcomes(other)).toEqual(['applied', 'rejected', 'rejected']);
  });

  it('is "unchanged" for a new revision of the same data, and hides nothing that is open', () => {
    expect(outcomes(stateAfter([...GOOD, source('one', 'r2'), source('one', 'r3')]))).toEqual([
      'applied',
      'unchanged ×2',
    ]);
    const owed = stateAfter([...GOOD.slice(0, -2), source('one', 'r2')]);
    expect(outcomes(owed)).toEqual([]);
  });

  it('is the way back, whatever was rejected before, until something newer is rendered', () => {
    const back = [...published('one', 'rolled-back'), notified, confirmed('one')];
    const events = [...GOOD, source('two'), rendered('two'), ...published('two'), notified, died, ...back];
    const rolledBack = stateAfter(events);
    expect(outcomes(rolledBack)).toEqual(['applied', 'target-died', 'rolled-back']);
    expect(outcomes(stateAfter([rendered('two')], rolledBack))).toEqual([
      'applied',
      'target-died',
      'rolled-back',
    ]);
    expect(outcomes(stateAfter([rejected('three')], rolledBack)).at(-1)).toBe('rejected');
    const again = stateAfter([rejected('three'), rendered('two')], rolledBack);
    expect(outcomes(again).slice(-2)).toEqual(['rejected', 'blocked']);
  });

  it('is "rollback-failed" when that does not work either', () => {
    const failed = stateAfter([...GOOD, source('two'), rendered('two'), ...published('two'), notified, died]);
    const back = stateAfter([...published('one', 'rolled-back'), notified, died], failed);
    expect(outcomes(back)).toEqual(['applied', 'target-died', 'rollback-failed']);
    expect(back.session.relapses).toBe(1);
    expect(back.ledger.owed).not.toBeNull();
  });

  it('is a failed publication, each try counted, until the next one works', () => {
    const full: Event = {
      ...{ kind: 'publish-failed', error: error('publish.no-space', 'publish') },
      left: volume('one').volume,
    };
    const trying = [...GOOD, source('two'), rendered('two'), full, full];
    expect(outcomes(stateAfter(trying))).toEqual(['applied', 'failed ×2']);
    expect(stateAfter(trying).session.publishing).toMatchObject({ failures: 2 });
    // To look at what is left puts off no look that is due.
    const { seenAt, dueAt } = stateAfter(GOOD).session.volume ?? {};
    expect(stateAfter(trying).session.volume).toMatchObject({ seenAt, dueAt });
    const done = stateAfter([...published('two'), notified, confirmed('two')], stateAfter(trying));
    expect(outcomes(done)).toEqual(['applied', 'failed ×2', 'applied']);
    expect(done.session.publishing).toEqual({ failures: 0, dueAt: 0, error: null });
  });

  it('is why the application was not notified, each try counted', () => {
    const no: Event = {
      ...{ kind: 'notify-failed', outcome: 'failed' },
      error: error('reload.unavailable', 'reload'),
      tries: { failures: 1, dueAt: 500, lastResult: 'unavailable', refusals: 0, refusedSince: null },
    };
    const owed = stateAfter([...GOOD.slice(0, -2), no, no]);
    expect(outcomes(owed)).toEqual(['failed ×2']);
    expect(owed.session).toMatchObject({
      notifying: { dueAt: 500, lastResult: 'unavailable' },
      journal: { reloads: { unavailable: 2 } },
    });
    expect(outcomes(stateAfter([notified, confirmed('one')], owed))).toEqual(['failed ×2', 'applied']);
    // What is mended by then is tried at once.
    const asked = stateAfter([{ kind: 'retry-asked', unblocks: false }], owed);
    expect(asked.session.notifying).toMatchObject({ failures: 0, dueAt: 0 });
  });

  it('is that CONFIRM_URL does not answer yet, and the trial is over until the next', () => {
    const silent: Event = { kind: 'unanswered', trial: TRIAL, error: error('confirm.no-answer', 'reload') };
    const waiting = stateAfter([...GOOD.slice(0, -1), silent]);
    expect(outcomes(waiting)).toEqual(['no-target']);
    expect(waiting.ledger).toMatchObject({ trial: null, verdict: 'pending', blocked: [] });
  });

  it('is what no step should do, and a validation that was lost is over', () => {
    const failed = stateAfter([
      ...GOOD,
      { kind: 'validating', isAtWork: true },
      { kind: 'failed', error: error('internal', 'internal') },
    ]);
    expect(outcomes(failed)).toEqual(['applied', 'failed']);
    expect(outcomes(stateAfter([{ kind: 'rested', waits: [] }], failed)).at(-1)).toBe('applied');
    expect(stateAfter([{ kind: 'validating', isAtWork: false }], failed).session.isValidating).toBe(false);
  });

  it('is a refusal by VALIDATE_COMMAND, each run counted', () => {
    const no: Event = {
      ...{ kind: 'validated', rendering: 'two', error: error('validate.command', 'validate') },
    };
    const started: Event = { kind: 'validating', isAtWork: true };
    const refused = stateAfter([...GOOD, source('two'), rendered('two'), started, no, no]);
    expect(outcomes(refused)).toEqual(['applied', 'rejected ×2']);
    // The step is over later: no other one starts beside it.
    expect(refused.session.isValidating).toBe(true);
    expect(refused.session).toMatchObject({
      checked: { rendering: 'two', failures: 2, error: { code: 'validate.command' } },
    });
  });

  it('is nothing any more when what is blocked is to be tried again', () => {
    const events = [...GOOD, source('two'), rendered('two'), ...published('two'), notified, died];
    const again = stateAfter([...events, { kind: 'retry-asked', unblocks: true }]);
    expect(again.session.journal.current).toBeNull();
    expect(again.ledger).toMatchObject({
      blocked: [],
      verdict: 'pending',
      owed: { since: expect.any(Number) },
    });
  });
});

describe('a verdict', () => {
  it('on a trial that is over changes nothing', () => {
    const state = stateAfter(GOOD);
    const stale: readonly Event[] = [
      ...[confirmed('one'), died, { kind: 'trial-lost', trial: TRIAL } as const],
      { kind: 'probed', trial: TRIAL, inMs: 1 },
      { kind: 'trial-started', trial: TRIAL, next: trial(2) },
      { kind: 'unanswered', trial: TRIAL, error: error('confirm.no-answer', 'reload') },
    ];
    for (const event of stale) expect(stateAfter([event], state)).toBe(state);
  });

  it('that is lost leaves the reload owed, and one that is put off says until when', () => {
    const trying = stateAfter(GOOD.slice(0, -1));
    expect(stateAfter([{ kind: 'probed', trial: TRIAL, inMs: 200 }], trying).session.probeAt).toBe(200);
    const lost = stateAfter([{ kind: 'trial-lost', trial: TRIAL }], trying);
    expect(lost.ledger).toMatchObject({ trial: null, owed: { since: 1_000 } });
    const next = stateAfter([{ kind: 'trial-started', trial: TRIAL, next: trial(2) }], trying);
    expect(next.ledger.trial?.at).toBe(2);
  });
});

describe('without a hook', () => {
  const NO_HOOK: Policy = { ...POLICY, notifies: false };

  it('what was owed before is owed no more', () => {
    const owed = stateAfter(GOOD.slice(0, -2));
    expect(owed.ledger.owed).not.toBeNull();
    const opened: Event = { ...OPENED, ...volume('one'), ledger: owed.ledger } as Event;
    expect(stateAfter([opened], startOf(NO_HOOK)).ledger).toMatchObject({ owed: null, verdict: 'pending' });
    expect(stateAfter([opened]).ledger.owed).not.toBeNull();
  });

  it('what the volume shows is adopted, and its trial is not one of our doing', () => {
    const there = stateAfter(
      [{ ...OPENED, ...volume('one') } as Event, source('one'), rendered('one')],
      startOf(NO_HOOK),
    );
    const as = { ...version('one'), input: 'one', moment: null, as: 'desired' } as const;
    const adopted = stateAfter([{ kind: 'adopted', version: as }], there);
    expect(adopted.ledger).toMatchObject({
      generation: 1,
      published: { rendering: 'one' },
      verdict: 'pending',
    });
    const found = { ...TRIAL, how: 'published' } as const;
    const done = stateAfter(
      [
        { kind: 'trial-started', trial: null, next: found },
        { kind: 'confirmed', trial: found, evidence: [], kept: null, keepError: null },
      ],
      adopted,
    );
    expect(outcomes(done)).toEqual(['unchanged']);
  });
});

it('how long a stage took is counted', () => {
  const { durations } = stateAfter([{ kind: 'measured', stage: 'render', tookMs: 4 }]).session.journal;
  expect(durations.render).toMatchObject({ count: 1, sum: 0.004 });
});
