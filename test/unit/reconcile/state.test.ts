import { describe, expect, it } from 'vitest';
import type { Obstacle } from '../../../src/application/types.ts';
import { reduce } from '../../../src/reconcile/reduce.ts';
import { type State, startOf, type Wait } from '../../../src/reconcile/state.ts';
import { policyOf } from '../../support/reconcile/contents.ts';
import { SETTING } from '../../support/reconcile/settings.ts';

const START = startOf(policyOf(SETTING, { under: 'settings', askUntil: 0 }));

/** What the loop makes of these obstacles, met at these times: whether each is a new attempt, and whether it is overdue. */
function noteAll(...met: readonly (readonly [ms: number, obstacle: Obstacle | null])[]): readonly string[] {
  const seen: string[] = [];
  met.reduce<State>((before, [ms, obstacle]) => {
    const waits: readonly Wait[] = [{ until: ms + 250, ...(obstacle && { obstacle }) }];
    const after = reduce(before, { kind: 'rested', waits }, { ms, unixMs: ms, chance: 0.5 });
    const isNew = after.session.attempts > before.session.attempts;
    const isOverdue = after.session.obstacle?.isOverdue === true;
    seen.push(!isNew ? 'nothing' : isOverdue ? 'overdue' : 'new');
    return after;
  }, START);
  return seen;
}

const obstacle = (code: string, message = 'Not now.'): Obstacle => ({ outcome: 'no-target', code, message });
const ABSENT = obstacle('reload.no-target');
const HELD_BACK = obstacle('reload.held-back');

describe('an obstacle', () => {
  it('is noted once when it is met, and once when it is overdue', () => {
    const times = [0, 250, 59_999, 60_000, 60_250, 600_000];
    expect(noteAll(...times.map((ms) => [ms, ABSENT] as const))).toEqual([
      ...['new', 'nothing', 'nothing', 'overdue', 'nothing', 'nothing'],
    ]);
  });

  it('is noted again when its sentence is another, without counting its time again', () => {
    const other = obstacle('reload.no-target', 'Another process is not there.');
    expect(noteAll([0, ABSENT], [30_000, other], [60_000, other])).toEqual(['new', 'new', 'overdue']);
  });

  it('is new again after it was gone, and when its reason is another', () => {
    expect(
      noteAll(
        ...([
          [0, ABSENT],
          [10, HELD_BACK],
          [60_009, HELD_BACK],
          [60_020, null],
        ] as const),
        ...([
          [60_030, HELD_BACK],
          [120_029, HELD_BACK],
          [120_030, HELD_BACK],
        ] as const),
      ),
    ).toEqual(['new', 'new', 'nothing', 'nothing', 'new', 'nothing', 'overdue']);
  });
});
