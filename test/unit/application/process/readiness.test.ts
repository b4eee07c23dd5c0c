// Whether a signal can be sent without harm: every row of the table of masks, ages and users.
import { describe, expect, test } from 'vitest';
import {
  type ProcessCredentials,
  type ReadinessQuestion,
  readiness,
  type SignalReadiness,
} from '../../../../src/application/process/readiness.ts';

const HUP = 1n;
const USER: ProcessCredentials = {
  realUid: 1000,
  effectiveUid: 1000,
  savedUid: 1000,
  effectiveCapabilities: 0n,
};

function ask(question: Partial<ReadinessQuestion>): SignalReadiness {
  return readiness({
    signal: 'SIGHUP',
    isInit: false,
    isStopped: false,
    gateOff: false,
    masks: { caught: HUP, ignored: 0n, blocked: 0n },
    ageMs: 60_000,
    stableForMs: 0,
    busyProcessors: null,
    sender: USER,
    receiver: USER,
    ...question,
  });
}

const none = { caught: 0n, ignored: 0n, blocked: 0n };

describe('a settled process', () => {
  test('with a handler is ready', () => expect(ask({})).toEqual({ kind: 'ready' }));

  test('that blocks the signal is ready, also while it ignores it', () => {
    expect(ask({ masks: { ...none, blocked: HUP } })).toEqual({ kind: 'ready' });
    expect(ask({ masks: { ...none, blocked: HUP, ignored: HUP } })).toEqual({ kind: 'ready' });
  });

  test('that ignores it is said to, also with RELOAD_GATE=off', () => {
    const answer = { kind: 'ignored', reason: 'ignores SIGHUP' };
    expect(ask({ masks: { ...none, ignored: HUP } })).toEqual(answer);
    expect(ask({ masks: { ...none, ignored: HUP }, gateOff: true })).toEqual(answer);
  });

  test('without a handler is held back unless RELOAD_GATE is off', () => {
    const reason = 'has no handler for SIGHUP, which would kill it';
    expect(ask({ masks: none })).toEqual({ kind: 'no-handler', reason });
    expect(ask({ masks: none, gateOff: true })).toEqual({ kind: 'ready' });
  });

  test('needs the handler for the very signal, high ones too', () => {
    const masks = { ...none, caught: 1n << 27n };
    expect(ask({ signal: 'SIGWINCH', masks })).toEqual({ kind: 'ready' });
    expect(ask({ signal: 'SIGUSR1', masks }).kind).toBe('no-handler');
    const reason = 'has no handler for SIGWINCH, which would pass unnoticed';
    expect(ask({ signal: 'SIGWINCH', masks: none })).toEqual({ kind: 'no-handler', reason });
  });

  test('needs no handler for SIGTERM, except as the first of its namespace', () => {
    expect(ask({ signal: 'SIGTERM', masks: none })).toEqual({ kind: 'ready' });
    const reason = 'has no handler for SIGTERM, which would pass unnoticed';
    expect(ask({ signal: 'SIGTERM', masks: none, isInit: true })).toEqual({ kind: 'no-handler', reason });
  });
});

describe('a young process', () => {
  test('is waited for until it is a second old, whatever it shows', () => {
    expect(ask({ ageMs: 10, stableForMs: 10 })).toEqual({ kind: 'settling', waitMs: 990 });
    expect(ask({ ageMs: 990, masks: { ...none, ignored: HUP }, stableForMs: 900 })).toEqual({
      kind: 'settling',
      waitMs: 10,
    });
    expect(ask({ ageMs: 10, gateOff: true }).kind).toBe('settling');
    expect(ask({ ageMs: 1000, stableForMs: 250 })).toEqual({ kind: 'ready' });
  });

  test('must have looked the same for 250 ms until it is five seconds old', () => {
    expect(ask({ ageMs: 4_999, stableForMs: 200 })).toEqual({ kind: 'settling', waitMs: 50 });
    expect(ask({ ageMs: 4_999, stableForMs: 250 })).toEqual({ kind: 'ready' });
    expect(ask({ ageMs: 5_000, stableForMs: 0 })).toEqual({ kind: 'ready' });
  });

  test('of which nothing will be asked by a signal is ready at once', () => {
    expect(ask({ signal: null, ageMs: 0, masks: none })).toEqual({ kind: 'ready' });
  });
});

describe('a runtime that catches signals for its own sake', () => {
  // What Go shows from its first millisecond, and Java; the application may not have asked for the signal yet.
  const masks = { go: 0xffff_fffe_7ffb_feffn, java: 0x2_0000_0001_8100_5ccfn };

  test('is waited for until it is five seconds old, since its handler proves nothing', () => {
    for (const caught of Object.values(masks)) {
      const question = { masks: { ...none, caught }, stableForMs: 900 };
      expect(ask({ ...question, ageMs: 4000 })).toEqual({ kind: 'settling', waitMs: 1000 });
      expect(ask({ ...question, ageMs: 5000 })).toEqual({ kind: 'ready' });
    }
  });

  test('is waited for while it is busy, until it is half a minute old', () => {
    const question = { masks: { ...none, caught: masks.java }, stableForMs: 900, ageMs: 6000 };
    expect(ask({ ...question, busyProcessors: 0.6 })).toEqual({ kind: 'settling', waitMs: 250 });
    expect(ask({ ...question, busyProcessors: 'unseen' })).toEqual({ kind: 'settling', waitMs: 250 });
    expect(ask({ ...question, busyProcessors: 0.4 })).toEqual({ kind: 'ready' });
    expect(ask({ ...question, busyProcessors: 4, ageMs: 30_000 })).toEqual({ kind: 'ready' });
    expect(ask({ ageMs: 6000, busyProcessors: 4 })).toEqual({ kind: 'ready' });
  });

  test('is waited for no longer than others when it is to end, or does not catch this signal', () => {
    const question = { ageMs: 1000, stableForMs: 900, masks: { ...none, caught: masks.java } };
    expect(ask({ ...question, signal: 'SIGTERM' })).toEqual({ kind: 'ready' });
    expect(ask({ ...question, signal: 'SIGWINCH' }).kind).toBe('no-handler');
  });
});

describe('a process whose handlers the system does not show', () => {
  const blind = { masks: null, ageMs: 60_000 };

  test('is held back however old it is, unless RELOAD_GATE is off', () => {
    expect(ask(blind)).toEqual({
      kind: 'unknown-handler',
      reason: 'may have no handler for SIGHUP, which would kill it: this system does not show handlers',
    });
    expect(ask({ ...blind, gateOff: true })).toEqual({ kind: 'ready' });
    expect(ask({ ...blind, gateOff: true, ageMs: 4000, stableForMs: 4000 })).toEqual({
      kind: 'settling',
      waitMs: 1000,
    });
  });

  test('can be asked to end, and needs nothing where no signal is sent', () => {
    expect(ask({ ...blind, signal: 'SIGTERM' })).toEqual({ kind: 'ready' });
    expect(ask({ ...blind, signal: null })).toEqual({ kind: 'ready' });
  });
});

describe('permission', () => {
  const root = { ...USER, realUid: 0, effectiveUid: 0, savedUid: 0 };

  test('comes with the same user, real or saved', () => {
    expect(ask({ receiver: { ...root, savedUid: 1000 } })).toEqual({ kind: 'ready' });
    expect(ask({ receiver: { ...root, realUid: 1000 } })).toEqual({ kind: 'ready' });
    expect(ask({ receiver: { ...root, effectiveUid: 1000 } }).kind).toBe('not-permitted');
  });

  test('comes with CAP_KILL, and not with user 0 alone', () => {
    expect(ask({ sender: { ...root, effectiveCapabilities: 1n << 5n } })).toEqual({ kind: 'ready' });
    expect(ask({ sender: { ...root, effectiveCapabilities: 1n << 6n } })).toEqual({
      kind: 'not-permitted',
      reason: 'belongs to user 1000, and this sidecar runs as user 0 without CAP_KILL',
    });
  });
});

test('a process that was stopped takes nothing, whatever hook there is', () => {
  const stopped = { kind: 'stopped', reason: 'is stopped (SIGSTOP), so it can take nothing' };
  expect(ask({ isStopped: true })).toEqual(stopped);
  expect(ask({ isStopped: true, signal: null })).toEqual(stopped);
});
