import { describe, expect, it } from 'vitest';
import {
  adopt,
  carriedOut,
  EMPTY_LEDGER,
  intend,
  type Ledger,
  type Published,
  resolveIntention,
  toldOf,
} from '../src/ledger.ts';

const MOMENT = { bootId: 'boot', ticks: 4_711 };

function version(name: string, at: number): Published {
  return {
    revision: `rev-${name}`,
    digest: `digest-${name}`,
    rendering: `sha256:${name}`,
    at,
    input: `input-${name}`,
    moment: null,
  };
}

const A = version('a', 1_000);
const B = version('b', 2_000);
const HOW = { at: 1_500, process: { pid: 7, startTicks: 99 }, evidence: 'answered' } as const;

const INTENDED = intend(EMPTY_LEDGER, A, true);
const PUBLISHED = carriedOut(INTENDED, MOMENT);
const TOLD = toldOf(PUBLISHED, HOW);

describe('the order', () => {
  it('owes a reload from before the rename until the application was told', () => {
    expect(INTENDED).toEqual({
      ...EMPTY_LEDGER,
      intended: { version: A, owedBefore: false },
      owed: { since: 1_000 },
    });
    expect(PUBLISHED).toEqual({
      generation: 1,
      published: { ...A, moment: MOMENT },
      intended: null,
      owed: { since: 1_000 },
      told: null,
    });
    const { input: _input, moment: _moment, ...shown } = A;
    expect(TOLD).toEqual({ ...PUBLISHED, owed: null, told: { ...HOW, version: shown } });
  });

  it('remembers since when a reload is owed when another publication comes on top', () => {
    const again = carriedOut(intend(PUBLISHED, B, true), MOMENT);
    expect(again).toMatchObject({
      generation: 2,
      published: { rendering: B.rendering },
      owed: { since: 1_000 },
    });
  });

  it('owes nothing where nobody is told', () => {
    expect(intend(PUBLISHED, B, false).owed).toBeNull();
    expect(adopt(EMPTY_LEDGER, A, false).owed).toBeNull();
  });

  it('carries nothing out that was not intended', () => {
    expect(carriedOut(TOLD, MOMENT)).toBe(TOLD);
  });

  it('owes a reload for what is adopted, since nobody knows whether it was told', () => {
    expect(adopt(TOLD, B, true)).toEqual({ ...TOLD, published: B, owed: { since: 2_000 } });
  });
});

const again = intend(TOLD, B, true);
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
      'before a rename nothing is owed when nothing was',
      again,
      A.rendering,
      { published: PUBLISHED.published, owed: null, generation: 1 },
    ],
    [
      'before a rename what was owed stays owed',
      onTop,
      A.rendering,
      { published: PUBLISHED.published, owed: { since: 1_000 }, generation: 1 },
    ],
    ['after a rename a reload is owed', again, B.rendering, { generation: 2, owed: { since: 2_000 } }],
    [
      'with something else on the volume a reload stays owed',
      again,
      'drifted',
      { published: PUBLISHED.published, owed: { since: 2_000 } },
    ],
    [
      'with nothing on the volume a reload stays owed',
      again,
      null,
      { published: PUBLISHED.published, owed: { since: 2_000 } },
    ],
  ])('%s', (_what, ledger, rendering, expected) => {
    expect(resolveIntention(ledger, rendering)).toMatchObject({ ...expected, intended: null });
  });

  it('the rename took place when the volume says so; else nobody is taken to have started after it', () => {
    expect(resolveIntention(INTENDED, A.rendering, MOMENT).published?.moment).toEqual(MOMENT);
    expect(resolveIntention(INTENDED, A.rendering).published?.moment).toEqual({ bootId: null, ticks: null });
  });

  it('a ledger without an intention is left as it is', () => {
    for (const rendering of [A.rendering, 'drifted', null])
      expect(resolveIntention(TOLD, rendering)).toBe(TOLD);
  });
});
