// Which processes existed before the notification: workers start within milliseconds, and the sidecar may be paused just then.
import { expect, test } from 'vitest';
import { startedAfterTellingMs } from '../../../../src/application/confirm/trial-clock.ts';
import { bootId } from '../../../../src/application/process/boot-clock.ts';

const worker = { pid: 7, startTicks: 1_000 };
const notBefore = 1_700_000_000_000;
/** The trial began 70 ms after the notification on one clock, and 1 ms after it on the other, which was read before a pause. */
const paused = { notBefore, at: notBefore + 1, moment: { bootId: bootId(), ticks: 1_007 } };

test('a worker that started with the notification is new, however long the sidecar was paused after it', () => {
  expect(startedAfterTellingMs(worker, { ...paused, toldFrom: 1_000 })).toBe(0);
  expect(startedAfterTellingMs({ ...worker, startTicks: 999 }, { ...paused, toldFrom: 1_000 })).toBe(-10);
});

test('a clock that was set back during the notification changes nothing', () => {
  const setBack = { ...paused, at: notBefore - 3_600_000, toldFrom: 1_000 };
  expect(startedAfterTellingMs(worker, setBack)).toBe(0);
});

test('without the time of the notification the two clocks are compared, but never across a reboot', () => {
  expect(startedAfterTellingMs(worker, { ...paused, at: notBefore + 70 })).toBe(0);
  expect(startedAfterTellingMs(worker, paused)).toBe(-60);
  const other = { ...paused, moment: { bootId: 'another', ticks: 1_007 }, toldFrom: 1_000 };
  expect(startedAfterTellingMs(worker, other)).toBeNull();
});
