import { describe, expect, it } from 'vitest';
import type { OwedClass } from '../../../src/application/reload/hook.ts';
import type { Obstacle } from '../../../src/application/types.ts';
import { Delivery } from '../../../src/reconcile/delivery.ts';

const SLOW = 300_000;
const HALF = () => 0.5;

const owed = (kind: OwedClass, more: { readonly retryAfterMs?: number } = {}) =>
  ({ kind: 'owed', class: kind, code: `reload.${kind}`, message: `It is ${kind}.`, ...more }) as const;

const obstacle = (code: string): Obstacle => ({ outcome: 'no-target', code, message: 'Not now.' });

describe('a try that did not tell the application', () => {
  it('is made again after a growing delay while the hook is unavailable', () => {
    const delivery = new Delivery(HALF);
    const setbacks = Array.from({ length: 8 }, () => delivery.fail(owed('unavailable')));
    expect(setbacks.map(({ retryInMs }) => retryInMs)).toEqual([
      500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000,
    ]);
    expect(setbacks[7]).toEqual({
      outcome: 'failed',
      code: 'reload.unavailable',
      message: 'It is unavailable.',
      retryInMs: 30_000,
    });
  });

  it('begins with a short delay again after a new publication', () => {
    const delivery = new Delivery(HALF);
    for (let i = 0; i < 5; i += 1) delivery.fail(owed('unavailable'));
    delivery.reset();
    expect(delivery.fail(owed('unavailable')).retryInMs).toBe(500);
  });

  it('waits as long as the other side asks, and no shorter than it would by itself', () => {
    const delivery = new Delivery(HALF);
    expect(delivery.fail(owed('unavailable', { retryAfterMs: 7_000 })).retryInMs).toBe(7_000);
    expect(delivery.fail(owed('unavailable', { retryAfterMs: 0 })).retryInMs).toBe(1_000);
  });

  it('is made again slowly where the settings are probably wrong', () => {
    expect(new Delivery(HALF).fail(owed('misconfigured'))).toMatchObject({
      outcome: 'failed',
      retryInMs: SLOW,
    });
  });

  it('is a refusal when the application says no for the third time in a row', () => {
    const delivery = new Delivery(HALF);
    const outcomes = (count: number) =>
      Array.from({ length: count }, () => delivery.fail(owed('refused')).outcome);
    expect(outcomes(2)).toEqual(['failed', 'failed']);
    delivery.fail(owed('unknown'));
    expect(outcomes(4)).toEqual(['failed', 'failed', 'refused', 'refused']);
    expect(delivery.fail(owed('refused'))).toEqual({
      outcome: 'refused',
      code: 'reload.refused',
      message: 'It is refused.',
      retryInMs: SLOW,
    });
    delivery.reset();
    expect(outcomes(1)).toEqual(['failed']);
  });

  it('is made again soon, but not at once, when the process was gone', () => {
    const delivery = new Delivery(HALF);
    const gone = { kind: 'gone', code: 'reload.gone', message: 'It is gone.' } as const;
    for (let i = 0; i < 5; i += 1) {
      expect(delivery.fail(gone)).toEqual({
        outcome: 'no-target',
        code: 'reload.gone',
        message: 'It is gone.',
        retryInMs: 100,
      });
    }
  });

  it('is made again with growing delay when it is not permitted', () => {
    const delivery = new Delivery(HALF);
    const denied = {
      kind: 'not-permitted',
      code: 'reload.not-permitted',
      message: 'It is not permitted.',
    } as const;
    expect(delivery.fail(denied)).toMatchObject({ outcome: 'not-permitted', retryInMs: 500 });
    expect(delivery.fail(denied)).toMatchObject({ outcome: 'not-permitted', retryInMs: 1_000 });
  });
});

describe('an obstacle', () => {
  it('is said again when its sentence is another, without counting its time anew', () => {
    const delivery = new Delivery(HALF);
    const other = { ...obstacle('reload.no-target'), message: 'Another process is not there.' };
    expect(delivery.meet(obstacle('reload.no-target'), 0, 60_000)).toBe('new');
    expect(delivery.meet(other, 30_000, 60_000)).toBe('new');
    expect(delivery.meet(other, 60_000, 60_000)).toBe('loud');
  });

  it('is said once when it is met, and loudly once when it lasts', () => {
    const delivery = new Delivery(HALF);
    const met = [0, 250, 59_999, 60_000, 60_250, 600_000].map((now) =>
      delivery.meet(obstacle('reload.no-target'), now, 60_000),
    );
    expect(met).toEqual(['new', null, null, 'loud', null, null]);
  });

  it('is new again after it was gone, and when its reason is another', () => {
    const delivery = new Delivery(HALF);
    expect(delivery.meet(obstacle('reload.no-target'), 0, 60_000)).toBe('new');
    expect(delivery.meet(obstacle('reload.held-back'), 10, 60_000)).toBe('new');
    expect(delivery.meet(obstacle('reload.held-back'), 60_009, 60_000)).toBeNull();
    expect(delivery.meet(null, 60_020, 60_000)).toBeNull();
    expect(delivery.meet(obstacle('reload.held-back'), 60_030, 60_000)).toBe('new');
    expect(delivery.meet(obstacle('reload.held-back'), 120_029, 60_000)).toBeNull();
    expect(delivery.meet(obstacle('reload.held-back'), 120_030, 60_000)).toBe('loud');
  });
});
