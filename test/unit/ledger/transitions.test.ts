import { describe, expect, it } from 'vitest';
import {
  type Block,
  EMPTY_LEDGER,
  type KeptGeneration,
  type Ledger,
  lastKnownGoodOf,
  nextKept,
  type Published,
  type Trial,
  versionOf,
} from '../../../src/ledger/ledger.ts';
import {
  addKept,
  adoptVolume,
  carryOut,
  confirm,
  confirmSuspect,
  dropSuspect,
  intend,
  loseTrial,
  markNotified,
  recordFailure,
  resolveIntention,
  restore,
  startTrial,
  unblock,
  withoutKept,
} from '../../../src/ledger/transitions.ts';

const MOMENT = { bootId: 'boot', ticks: 4_711 };
const PROCESS = { pid: 7, startTicks: 99 };

function version(name: string, at: number): Published {
  return {
    revision: `rev-${name}`,
    digest: `digest-${name}`,
    rendering: `sha256:${name}`,
    at,
    input: `input-${name}`,
    moment: null,
    as: 'desired',
  };
}

const A = version('a', 1_000);
const B = version('b', 2_000);
const C = version('c', 3_000);
const HOW = { at: 1_500, process: PROCESS, evidence: 'answered' } as const;
const TRIAL: Trial = {
  ...{ process: PROCESS, how: 'told', restarts: false, children: [], evidence: ['answered'] },
  ...{ at: 1_500, moment: MOMENT, notBefore: 1_400 },
};
const WORKS = { evidence: ['answered', 'alive'], at: 1_800 } as const;

const INTENDED = intend(EMPTY_LEDGER, A, true);
const PUBLISHED = carryOut(INTENDED, MOMENT);
const TOLD = markNotified(PUBLISHED, TRIAL);
const GOOD = confirm(TOLD, WORKS);

/** The ledger with this on the volume, notified and tried. */
function trying(ledger: Ledger, what: Published): Ledger {
  return markNotified(carryOut(intend(ledger, what, true), MOMENT), TRIAL);
}

/** The ledger with a copy of what is published. */
function withCopy(ledger: Ledger, limit: number): Ledger {
  const newest = nextKept(ledger, 1_900);
  return newest === null ? ledger : addKept(ledger, newest, limit);
}

/** The ledger with this on the volume and found good, with a copy of it. */
function kept(ledger: Ledger, what: Published, limit = 5): Ledger {
  return withCopy(confirm(trying(ledger, what), WORKS), limit);
}

function blockOf({ rendering, revision, digest }: Published, changes: Partial<Block> = {}): Block {
  return {
    ...{ rendering, revision, digest, under: 'settings', outcome: 'target-died', at: 9_000 },
    ...{ code: 'confirm.died', message: 'It died.', ...changes },
  };
}

/** What is on the volume died; `suspectUntil` as in `TrialFailure`. */
function died(ledger: Ledger, suspectUntil: number | null = null): Ledger {
  return recordFailure(ledger, { block: blockOf(ledger.published ?? A), suspectUntil }, true);
}

const renderings = (all: readonly { readonly rendering: string }[]): readonly string[] =>
  all.map(({ rendering }) => rendering);

describe('the order', () => {
  it('owes a reload from before the rename until the application was notified', () => {
    expect(INTENDED).toEqual({
      ...EMPTY_LEDGER,
      intended: { version: A, owedBefore: false },
      owed: { since: 1_000 },
    });
    expect(PUBLISHED).toEqual({
      ...EMPTY_LEDGER,
      generation: 1,
      published: { ...A, moment: MOMENT },
      owed: { since: 1_000 },
    });
    const shown = versionOf(A);
    const running = { version: shown, at: 1_500, evidence: ['answered'] };
    expect(TOLD).toEqual({
      ...PUBLISHED,
      owed: null,
      told: { ...HOW, version: shown },
      running,
      trial: TRIAL,
    });
  });

  it('remembers since when a reload is owed when another publication comes on top', () => {
    const again = carryOut(intend(PUBLISHED, B, true), MOMENT);
    expect(again).toMatchObject({
      generation: 2,
      published: { rendering: B.rendering },
      owed: { since: 1_000 },
    });
  });

  it('owes nothing where no application is notified', () => {
    expect(intend(PUBLISHED, B, false).owed).toBeNull();
    expect(adoptVolume(EMPTY_LEDGER, A, false).owed).toBeNull();
    expect(loseTrial(TOLD, false, 7).owed).toBeNull();
    expect(unblock(died(TOLD), false, 7).owed).toBeNull();
    expect(
      recordFailure(kept(EMPTY_LEDGER, A), { block: blockOf(A), suspectUntil: null }, false).owed,
    ).toBeNull();
  });

  it('carries nothing out that was not intended', () => {
    expect(carryOut(TOLD, MOMENT)).toBe(TOLD);
  });

  it('owes a reload for what is adopted, since it is unknown whether it was notified', () => {
    expect(adoptVolume(GOOD, B, true)).toEqual({
      ...GOOD,
      ...{
        generation: GOOD.generation + 1,
        published: B,
        verdict: 'pending',
        trial: null,
        owed: { since: 2_000 },
      },
    });
  });

  it('a notification that proves nothing leaves it unknown what the application runs', () => {
    expect(markNotified(GOOD, { ...TRIAL, evidence: [] })).toMatchObject({
      running: null,
      verdict: 'pending',
    });
  });

  it('forgets a notification for which nothing is published', () => {
    expect(markNotified({ ...EMPTY_LEDGER, owed: { since: 1 } }, TRIAL)).toEqual(EMPTY_LEDGER);
  });
});

const again = intend(GOOD, B, true);
const onTop = intend(PUBLISHED, B, true);

describe('after a crash', () => {
  it.each<[string, Ledger, string | null, Partial<Ledger>]>([
    [
      'before the first rename nothing is owed',
      INTENDED,
      null,
      { published: null, owed: null, generation: 0 },
    ],
    [
      'after the first rename a reload is owed',
      INTENDED,
      A.rendering,
      { generation: 1, owed: { since: 1_000 } },
    ],
    [
      'before a rename nothing is owed when nothing was, and what worked still does',
      again,
      A.rendering,
      { published: GOOD.published, owed: null, generation: 1, verdict: 'good' },
    ],
    [
      'before a rename what was owed stays owed',
      onTop,
      A.rendering,
      { published: PUBLISHED.published, owed: { since: 1_000 }, generation: 1 },
    ],
    [
      'after a rename a reload is owed, and whether it works is not known',
      again,
      B.rendering,
      { generation: 2, owed: { since: 2_000 }, verdict: 'pending', trial: null },
    ],
    [
      'with something else on the volume a reload stays owed',
      again,
      'drifted',
      { published: GOOD.published, owed: { since: 2_000 } },
    ],
    [
      'with nothing on the volume a reload stays owed',
      again,
      null,
      { published: GOOD.published, owed: { since: 2_000 } },
    ],
  ])('%s', (_what, ledger, rendering, expected) => {
    expect(resolveIntention(ledger, rendering)).toMatchObject({ ...expected, intended: null });
  });

  it('the rename took place when the volume says so; else no process counts as started after it', () => {
    expect(resolveIntention(INTENDED, A.rendering, MOMENT).published?.moment).toEqual(MOMENT);
    expect(resolveIntention(INTENDED, A.rendering).published?.moment).toEqual({ bootId: null, ticks: null });
  });

  it('a ledger without an intention is left as it is', () => {
    for (const rendering of [A.rendering, 'drifted', null])
      expect(resolveIntention(TOLD, rendering)).toBe(TOLD);
  });

  it('without a ledger the copies say what worked, and numbers go on from theirs', () => {
    const copies = kept(kept(EMPTY_LEDGER, A), B).kept;
    const found = restore(EMPTY_LEDGER, copies);
    expect(found).toEqual({ ...EMPTY_LEDGER, kept: copies, generation: 2 });
    expect(kept(found, C).kept[0]).toMatchObject({ rendering: C.rendering, generation: 3 });
  });
});

describe('what works', () => {
  it('is good, is what runs, and is tried no more', () => {
    const running = { version: versionOf(A), at: 1_800, evidence: WORKS.evidence };
    expect(GOOD).toEqual({ ...TOLD, verdict: 'good', trial: null, running, appliedAt: 1_800 });
  });

  it('is not known to run when nothing shows it', () => {
    expect(confirm(TOLD, { evidence: [], at: 1_800 })).toMatchObject({ verdict: 'good', running: null });
  });

  it('is applied only when it is what is wanted: a way back does not count', () => {
    expect(confirm(trying(GOOD, { ...B, as: 'rolled-back' }), { ...WORKS, at: 5_000 }).appliedAt).toBe(1_800);
    expect(confirm(EMPTY_LEDGER, WORKS)).toBe(EMPTY_LEDGER);
  });

  it('is blocked no longer, while other blocks stay', () => {
    const blocked = [blockOf(A), blockOf(B), blockOf(A, { under: 'other settings' })];
    expect(renderings(confirm({ ...TOLD, blocked }, WORKS).blocked)).toEqual([B.rendering]);
  });

  it('is the last known good once there is a copy of it, and not before', () => {
    expect(lastKnownGoodOf(GOOD)).toBeNull();
    const one: KeptGeneration = { ...versionOf(A), input: A.input, generation: 1, confirmedAt: 1_900 };
    expect(lastKnownGoodOf(withCopy(GOOD, 5))).toEqual(one);
    expect(nextKept(EMPTY_LEDGER, 1_900)).toBeNull();
    expect(nextKept(kept(EMPTY_LEDGER, A), 2_500)).toBeNull();
  });

  it('is kept newest first and not for ever; what was kept before keeps its number', () => {
    const three = kept(kept(kept(EMPTY_LEDGER, A, 2), B, 2), C, 2);
    expect(three.kept.map(({ generation }) => generation)).toEqual([3, 2]);
    const back = kept(three, B, 2);
    expect(back.kept.map(({ generation }) => generation)).toEqual([2, 3]);
    expect(back.generation).toBe(4);
  });

  it('stays beyond any limit while it is pinned', () => {
    const two = kept(kept(EMPTY_LEDGER, A, 2), B, 2);
    const pinned = { rendering: A.rendering, generation: 1 };
    expect(renderings(kept({ ...two, pinned }, C, 1).kept)).toEqual([C.rendering, A.rendering]);
  });

  it('is not kept when its copy cannot be used, though it stays pinned', () => {
    const pinned = { rendering: A.rendering, generation: 1 };
    const two = { ...kept(kept(EMPTY_LEDGER, A), B), pinned };
    expect(withoutKept(two, A.rendering)).toMatchObject({ pinned, kept: [{ rendering: B.rendering }] });
    expect(withoutKept(two, B.rendering)).toMatchObject({ pinned, kept: [{ rendering: A.rendering }] });
  });
});

describe('what does not work', () => {
  const bad = trying(kept(EMPTY_LEDGER, A), B);

  it('is blocked and not known to run, and nothing is owed for it', () => {
    const after = died(bad);
    expect(after).toEqual({
      ...bad,
      ...{ verdict: 'target-died', trial: null, running: null, blocked: [blockOf(B)] },
    });
  });

  it('leaves the application running what it ran before when it was refused', () => {
    const published = carryOut(intend(kept(EMPTY_LEDGER, A), B, true), MOMENT);
    const block = blockOf(B, { outcome: 'refused' });
    const after = recordFailure(published, { block, suspectUntil: null }, true);
    expect(after).toMatchObject({
      verdict: 'refused',
      running: { version: versionOf(A) },
      owed: { since: 2_000 },
    });
  });

  it('is only suspected while its death may be no verdict', () => {
    const after = died(bad, 12_000);
    expect(after).toMatchObject({ verdict: 'target-died', blocked: [] });
    expect(after.suspect).toEqual({ block: blockOf(B), process: PROCESS, until: 12_000 });
    expect(confirmSuspect(after)).toEqual({ ...after, suspect: null, blocked: [blockOf(B)] });
    expect(confirmSuspect(bad)).toEqual(bad);
  });

  it('is tried again when the pod ended', () => {
    expect(dropSuspect(died(bad, 12_000))).toMatchObject({
      suspect: null,
      blocked: [],
      verdict: 'pending',
    });
    expect(dropSuspect(bad)).toBe(bad);
  });

  it('leaves the verdict on what took its place alone when the pod ended', () => {
    const back = kept(died(bad, 12_000), { ...A, as: 'rolled-back' });
    expect(dropSuspect(back)).toMatchObject({ suspect: null, verdict: 'good' });
  });

  it('is not blocked when it is the last known good: it is owed another notification', () => {
    const after = died(trying(kept(EMPTY_LEDGER, A), A), 12_000);
    expect(after).toMatchObject({
      verdict: 'target-died',
      blocked: [],
      suspect: null,
      owed: { since: 9_000 },
    });
  });

  it('is blocked when it worked longer ago than the last known good', () => {
    const after = died(trying(kept(kept(EMPTY_LEDGER, A), B), A));
    expect(renderings(after.blocked)).toEqual([A.rendering]);
    expect(after.owed).toBeNull();
  });

  it('is blocked once under the same settings, newest first, and not for ever', () => {
    const others = Array.from({ length: 60 }, (_, i) => blockOf(version(`x${i}`, i)));
    const before = {
      ...bad,
      blocked: [blockOf(A), blockOf(B, { at: 1 }), blockOf(B, { under: 'old' }), ...others],
    };
    const { blocked } = died(before);
    expect(blocked).toHaveLength(50);
    expect(blocked.slice(0, 3)).toEqual([blockOf(B), blockOf(A), blockOf(B, { under: 'old' })]);
  });

  it('is owed again when an operator lifts the blocks', () => {
    const after = unblock(died(bad), true, 7);
    expect(after).toMatchObject({ blocked: [], suspect: null, verdict: 'pending', owed: { since: 7 } });
    expect(unblock(died(bad, 12_000), true, 7)).toMatchObject({ suspect: null, owed: { since: 7 } });
  });

  it('and is not on the volume any more leaves what is there alone when its block is lifted', () => {
    const back = kept(died(bad), { ...A, as: 'rolled-back' });
    expect(unblock(back, true, 7)).toEqual({ ...back, blocked: [] });
  });
});

describe('a trial', () => {
  it('that cannot go on is notified again, and keeps its first time', () => {
    expect(loseTrial(TOLD, true, 7)).toEqual({ ...TOLD, trial: null, owed: { since: 7 } });
    expect(loseTrial({ ...TOLD, owed: { since: 3 } }, true, 7).owed).toEqual({ since: 3 });
  });

  it('can begin without a notification', () => {
    expect(startTrial(died(TOLD), TRIAL)).toMatchObject({
      trial: TRIAL,
      verdict: 'pending',
      told: { at: 1_500 },
    });
  });

  it('ends with another publication', () => {
    expect(carryOut(intend(TOLD, B, true), MOMENT)).toMatchObject({ trial: null, verdict: 'pending' });
  });
});
