// What the status says of a request: still to come, done, or why not.
import { describe, expect, it } from 'vitest';
import {
  type AwaitedRequest,
  outcomeOfRequest,
  type Result,
  timedOut,
} from '../../../src/cli/await-outcome.ts';
import type { TargetStatus } from '../../../src/server/status-shape.ts';
import { ONE, SOURCE, TARGET, TWO } from '../../support/cli/served.ts';

const AT = '2026-01-31T12:00:10.000Z';
const LATER = '2026-01-31T12:00:11.000Z';
const SOON = Date.parse(LATER);
const MUCH_LATER = Date.parse(AT) + 4_000;

const sync: AwaitedRequest = { action: 'sync', at: AT, generation: null };
const resume: AwaitedRequest = { action: 'resume', at: AT, generation: null };
const rollback: AwaitedRequest = { action: 'rollback', at: AT, generation: 1 };

/** Read since the request, with nothing under way. */
const READ: TargetStatus = {
  ...TARGET,
  underWay: false,
  sources: [{ ...SOURCE, lastContactAt: LATER }],
};

/** Rolled back to generation 1, which runs. */
const BACK: TargetStatus = {
  ...READ,
  outcome: 'pinned',
  pinned: true,
  running: { revision: 'r1', digest: 'sha256:d1', rendering: 'sha256:f1', at: LATER, evidence: 'alive' },
  generations: [
    { ...TWO, onVolume: false },
    { ...ONE, onVolume: true, pinned: true },
  ],
  history: [{ outcome: 'pinned', code: null, message: '', count: 1, at: LATER }],
};

const done = (text: string): Result => ({ exitCode: 0, text });

describe('a sync', () => {
  it('is done when the source was read and the application runs what it says', () => {
    expect(outcomeOfRequest(sync, READ, SOON)).toEqual(
      done('Read the source: revision r2, applied; the application runs it (answered alive).'),
    );
  });

  it('says what is known where there is no evidence', () => {
    expect(outcomeOfRequest(sync, { ...READ, running: null }, SOON)).toEqual(
      done('Read the source: revision r2, applied; it is on the volume.'),
    );
  });

  it.each<readonly [string, Partial<TargetStatus>]>([
    ['the source was not read since', { sources: [SOURCE] }],
    ['a second source was not read since', { sources: [...READ.sources, SOURCE] }],
    ['the templates were not read since', { template: SOURCE }],
    ['something is under way', { underWay: true }],
    ['there was no outcome yet', { outcome: null }],
    ['the application is owed a reload, and nothing has gone wrong', { reloadOwed: true }],
    ['the application has no handler yet', { outcome: 'held-back', reloadOwed: true }],
    ['it is not pinned any more, but that is what stands', { outcome: 'pinned' }],
  ])('is waited for while %s', (_what, target) => {
    expect(outcomeOfRequest(sync, { ...READ, ...target }, MUCH_LATER)).toBeNull();
  });

  it('gives a source that is down a moment to come back', () => {
    const error = { code: 'source.timeout', message: 'Cannot read "file:///source/app.json": no answer.' };
    const target = { ...READ, sources: [{ ...SOURCE, up: false, error }] };
    expect(outcomeOfRequest(sync, target, SOON)).toBeNull();
    expect(outcomeOfRequest(sync, target, MUCH_LATER)).toEqual({
      exitCode: 3,
      text: 'Asked to sync, but "file:///source/app.json" cannot be reached (last reached 2026-01-31T12:00:00.000Z): Cannot read "file:///source/app.json": no answer.',
    });
    const never = { ...READ, sources: [{ ...SOURCE, up: false, lastContactAt: null }] };
    expect(outcomeOfRequest(sync, never, MUCH_LATER)?.text).toBe(
      'Asked to sync, but "file:///source/app.json" cannot be reached (never reached)',
    );
    // A target that has only just started has no outcome yet.
    expect(outcomeOfRequest(sync, { ...never, outcome: null }, MUCH_LATER)?.exitCode).toBe(3);
    expect(outcomeOfRequest(sync, { ...never, outcome: null, underWay: true }, MUCH_LATER)).toBeNull();
  });

  it.each([
    ['rejected', 'render.missing', 4],
    ['blocked', 'reload.refused', 4],
    ['failed', 'publish.full', 5],
    ['failed', 'state.generation-damaged', 5],
    ['failed', 'reload.command', 6],
    ['refused', 'reload.command', 6],
    ['target-died', 'confirm.died', 6],
    ['unconfirmed', 'confirm.url', 6],
    ['rolled-back', 'confirm.url', 6],
    ['rollback-failed', 'confirm.url', 6],
    ['no-target', 'process.none', 6],
    ['ambiguous', 'process.ambiguous', 6],
    ['not-permitted', 'process.permission', 6],
    ['ignored', 'process.ignored', 6],
    ['stale-mount', 'process.mount', 6],
  ])('that ends %s (%s) has exit code %i', (outcome, code, exitCode) => {
    const target = {
      ...READ,
      outcome,
      code,
      message: 'It did not work.',
      reloadOwed: outcome === 'no-target',
    };
    expect(outcomeOfRequest(sync, target, SOON)).toEqual({
      exitCode,
      text: `Read the source, but: ${outcome}: It did not work.`,
    });
  });

  it('of a pinned target changes nothing, and says so', () => {
    expect(outcomeOfRequest(sync, BACK, SOON)).toEqual({
      exitCode: 4,
      text: 'Read the source, but the target is pinned to generation 1; "config-sidecar resume" follows the source again.',
    });
  });
});

describe('going back', () => {
  it('is done when the generation is on the volume and the application runs it', () => {
    expect(outcomeOfRequest(rollback, BACK, SOON)).toEqual(
      done(
        'Rolled back to generation 1 (revision r1), and stays there until "config-sidecar resume"; the application runs it (alive).',
      ),
    );
  });

  it('needs no source', () => {
    const sources = [{ ...SOURCE, up: false, lastContactAt: null }];
    expect(outcomeOfRequest(rollback, { ...BACK, sources }, SOON)?.exitCode).toBe(0);
  });

  it.each<readonly [string, Partial<TargetStatus>]>([
    ['it is under way', { underWay: true }],
    ['it is not on the volume', { generations: [TWO, { ...ONE, pinned: true }] }],
    ['the application is owed the notification', { reloadOwed: true }],
  ])('is waited for while %s', (_what, target) => {
    expect(outcomeOfRequest(rollback, { ...BACK, ...target }, MUCH_LATER)).toBeNull();
  });

  it('says when the application does not take it', () => {
    const target = {
      ...BACK,
      ...{ outcome: 'refused', code: 'reload.command', message: 'It said no.' },
      history: [{ outcome: 'refused', code: 'reload.command', message: 'It said no.', count: 1, at: LATER }],
    } as const;
    expect(outcomeOfRequest(rollback, target, SOON)).toEqual({
      exitCode: 6,
      text: 'Rolled back to generation 1 (revision r1), but: refused: It said no.',
    });
  });

  it('does not mistake an earlier outcome for the result', () => {
    const target = {
      ...BACK,
      ...{ outcome: 'rolled-back', message: 'Before.' },
      history: [
        { outcome: 'rolled-back', code: null, message: 'Before.', count: 1, at: SOURCE.lastContactAt ?? '' },
      ],
    } as const;
    expect(outcomeOfRequest(rollback, target, SOON)?.exitCode).toBe(0);
  });

  it('says when another request was quicker', () => {
    expect(outcomeOfRequest({ ...rollback, generation: 2 }, BACK, SOON)).toEqual({
      exitCode: 1,
      text: 'Rolled back to generation 2, but something else was chosen meanwhile. See "config-sidecar history".',
    });
  });
});

describe('resuming', () => {
  it('is done when what the source says is what the application runs', () => {
    expect(outcomeOfRequest(resume, READ, SOON)).toEqual(
      done('Follows the source again: revision r2, applied; the application runs it (answered alive).'),
    );
  });

  it('says when the source cannot be reached', () => {
    const sources = [{ ...SOURCE, up: false }];
    expect(outcomeOfRequest(resume, { ...READ, sources }, MUCH_LATER)).toEqual({
      exitCode: 3,
      text: 'Follows the source again, but "file:///source/app.json" cannot be reached (last reached 2026-01-31T12:00:00.000Z)',
    });
  });
});

describe('when the time is up', () => {
  it('names the current outcome, and whether it is about the application', () => {
    const held = { ...READ, outcome: 'held-back', message: 'No handler yet.', reloadOwed: true };
    expect(timedOut(sync, held, 60_000)).toEqual({
      exitCode: 6,
      text: 'Asked to sync, but there was no result within 60 s: held-back: No handler yet. See "config-sidecar status".',
    });
    expect(timedOut(rollback, { ...READ, underWay: true }, 60_000).exitCode).toBe(1);
  });
});
