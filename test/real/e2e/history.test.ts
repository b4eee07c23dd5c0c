// The order in which outcomes are recorded, and how often each is counted: the history of status, `attempts_total` and the log.
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fileJob } from '../../support/e2e/backing.ts';
import { confirmedAs, ordersJob, startLiving, startsWell } from '../../support/e2e/living.ts';
import { isOutcome, pickyHook } from '../../support/e2e/picky.ts';
import { createPlace } from '../../support/e2e/place.ts';
import type { Sidecar, TargetSeen } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';

/** The outcomes of the history, oldest first, with the number of times in a row. */
function recorded({ history }: TargetSeen): readonly string[] {
  return [...history].reverse().map(({ outcome, count }) => (count === 1 ? outcome : `${outcome} ×${count}`));
}

/** `attempts_total` by outcome. */
async function counted(sidecar: Sidecar): Promise<Readonly<Record<string, number>>> {
  const values = Object.entries(await sidecar.metric('config_sidecar_attempts_total'));
  return Object.fromEntries(
    values.map(([labels, value]) => [/outcome="(.*)"/.exec(labels)?.[1] ?? '', value ?? 0]),
  );
}

/** Waits until the history is this. */
function isRecorded(sidecar: Sidecar, wanted: readonly string[]): Promise<unknown> {
  return until(`the history is ${wanted.join(', ')}`, async () => {
    const seen = recorded(await sidecar.target());
    if (JSON.stringify(seen) !== JSON.stringify(wanted)) throw new Error(`it is ${seen.join(', ')}`);
    return true;
  });
}

const OUTCOMES = [
  'applied',
  'unchanged',
  'picked-up',
  'rejected',
  'blocked',
  'pinned',
  'rolled-back',
  'failed',
];
const MORE = [
  'rollback-failed',
  'refused',
  'target-died',
  'unconfirmed',
  'no-target',
  'held-back',
  'ambiguous',
];

/** The outcomes in the log, oldest first. */
function logged(sidecar: Sidecar): readonly string[] {
  const lines = sidecar.logs().map(({ event }) => event);
  return lines.filter((event) => [...OUTCOMES, ...MORE].includes(event));
}

describe.concurrent('the history', () => {
  test('of content that is rejected and mended: each attempt counts, the same again is one line', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const sidecar = await place.start({ ...job.variables, RELOAD_COMMAND: 'true' });
    await isOutcome(sidecar, 'applied', 'one', place);
    writeFileSync(place.at('source.json'), '{"value": ');
    await sidecar.outcome('rejected');
    sidecar.signal('SIGHUP');
    await isRecorded(sidecar, ['applied', 'rejected ×2']);
    job.set('one');
    await isRecorded(sidecar, ['applied', 'rejected ×2', 'unchanged']);
    job.set('two');
    await isRecorded(sidecar, ['applied', 'rejected ×2', 'unchanged', 'applied']);
    expect(await counted(sidecar)).toEqual({ applied: 2, rejected: 2, unchanged: 1 });
    expect(logged(sidecar)).toEqual(['applied', 'rejected', 'applied']);
  });

  test('of a rejection during a trial: it is recorded at once, and once more after the verdict', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    await startLiving(place, { config: job.config });
    const sidecar = await startsWell(place, job);
    job.set({ value: 'two' });
    await until('it is on trial', async () => (await sidecar.target()).trial);
    writeFileSync(place.at('source.json'), '{"value": ');
    await isRecorded(sidecar, ['applied', 'rejected', 'applied', 'rejected']);
    expect(await counted(sidecar)).toEqual({ applied: 2, rejected: 2 });
    expect((await sidecar.target()).outcome).toBe('rejected');
    expect(logged(sidecar)).toEqual(['applied', 'rejected', 'applied', 'rejected']);
  });

  test('of a death with a rejection behind it: the way back is not covered up', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    await startLiving(place, { config: job.config, restartMs: 100 });
    const sidecar = await startsWell(place, job);
    job.set({ value: 'two', diesWhenTold: 700 });
    await until('it is on trial', async () => (await sidecar.target()).trial);
    writeFileSync(place.at('source.json'), '{"value": ');
    const all = ['applied', 'rejected', 'target-died', 'rejected', 'rolled-back'];
    await isRecorded(sidecar, all);
    expect(await counted(sidecar)).toEqual({ applied: 1, rejected: 2, 'target-died': 1, 'rolled-back': 1 });
    expect((await sidecar.target()).outcome).toBe('rolled-back');
    expect(logged(sidecar)).toEqual(all);
  });

  test('of what is blocked: once after the rollback was superseded, and after a restart', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = await pickyHook(place);
    const variables = { ...job.variables, ...hook.variables };
    const sidecar = await place.start(variables);
    await isOutcome(sidecar, 'applied', 'one', place);
    job.set('bad');
    const back = ['applied', 'failed ×3', 'refused', 'rolled-back'];
    await isRecorded(sidecar, back);
    sidecar.signal('SIGHUP');
    job.set('one');
    await isRecorded(sidecar, [...back, 'applied']);
    job.set('bad');
    await isRecorded(sidecar, [...back, 'applied', 'blocked']);
    expect(await counted(sidecar)).toEqual({
      applied: 2,
      failed: 3,
      refused: 1,
      'rolled-back': 1,
      blocked: 1,
    });
    await sidecar.end();
    const again = await place.start(variables);
    await isRecorded(again, ['blocked']);
    expect((await again.target()).code).toBe('reload.status');
    job.set('two');
    await isRecorded(again, ['blocked', 'applied']);
    await hook.server.stop();
  });

  test('of an application that is not there: once, again when that is overdue, and then the result', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const sidecar = await place.start({ ...job.variables, RELOAD_WAIT: '3s' });
    await isRecorded(sidecar, ['no-target']);
    await isRecorded(sidecar, ['no-target ×2']);
    expect(sidecar.logs('reload overdue')).toHaveLength(1);
    job.set({ value: 'two' });
    await isRecorded(sidecar, ['no-target ×2', 'no-target']);
    await startLiving(place, { config: job.config });
    // On a busy machine it can be overdue once more until then.
    await until('it is picked up', async () => (await sidecar.target()).outcome === 'picked-up');
    expect((await sidecar.target()).history.map(({ outcome }) => outcome)).toEqual([
      ...['picked-up', 'no-target', 'no-target'],
    ]);
    expect(logged(sidecar)).toEqual(['no-target', 'no-target', 'picked-up']);
  });

  test('of a disk that cannot be written: each try counts', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const sidecar = await place.start({ ...job.variables, STATE_DIR: place.directory('state') });
    await isOutcome(sidecar, 'applied', 'one', place);
    rmSync(place.at('out'), { recursive: true });
    writeFileSync(place.at('out'), 'in the way');
    job.set('two');
    await until('it failed three times', async () => ((await counted(sidecar))['failed'] ?? 0) >= 3);
    const { history } = await sidecar.target();
    expect(history.map(({ outcome }) => outcome)).toEqual(['failed', 'applied']);
    rmSync(place.at('out'));
    place.directory('out');
    await until('it is applied', async () => (await sidecar.target()).outcome === 'applied');
    const { history: after } = await sidecar.target();
    expect(after.map(({ outcome }) => outcome)).toEqual(['applied', 'failed', 'applied']);
  });

  test('of a refusal by VALIDATE_COMMAND: each run counts, and the mended checker lets it through', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const checker = place.write('checker', '#!/bin/sh\nexit 0\n');
    chmodSync(checker, 0o755);
    const sidecar = await place.start({ ...job.variables, VALIDATE_COMMAND: `${checker} {path}` });
    await isOutcome(sidecar, 'applied', 'one', place);
    place.write('checker', '#!/bin/sh\nexit 3\n');
    job.set('two');
    await until('it was refused twice', async () => ((await counted(sidecar))['rejected'] ?? 0) >= 2);
    expect((await sidecar.target()).history.map(({ outcome }) => outcome)).toEqual(['rejected', 'applied']);
    place.write('checker', '#!/bin/sh\nexit 0\n');
    sidecar.signal('SIGHUP');
    await isOutcome(sidecar, 'applied', 'two', place);
    expect((await sidecar.target()).history.map(({ outcome }) => outcome)).toEqual([
      'applied',
      'rejected',
      'applied',
    ]);
  });

  test('of a pin: while it holds, each change ends in it; afterwards the newest is applied', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const sidecar = await place.start({ ...job.variables, RELOAD_COMMAND: 'true' });
    await isOutcome(sidecar, 'applied', 'one', place);
    job.set('two');
    await isOutcome(sidecar, 'applied', 'two', place);
    await place.run(['rollback', '--no-wait'], job.variables);
    await isRecorded(sidecar, ['applied', 'applied', 'pinned']);
    job.set('three');
    await isRecorded(sidecar, ['applied', 'applied', 'pinned ×2']);
    await place.run(['resume', '--no-wait'], job.variables);
    await isRecorded(sidecar, ['applied', 'applied', 'pinned ×2', 'applied']);
    expect(await counted(sidecar)).toEqual({ applied: 3, pinned: 2 });
  });

  test('of a restart: what is already published is unchanged, and so is the same data under a new revision', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const first = await place.start({ ...job.variables, RELOAD_COMMAND: 'true' });
    await isOutcome(first, 'applied', 'one', place);
    await first.end();
    const sidecar = await place.start({ ...job.variables, RELOAD_COMMAND: 'true' });
    await isRecorded(sidecar, ['unchanged']);
    job.set('two');
    await isRecorded(sidecar, ['unchanged', 'applied']);
    expect(await counted(sidecar)).toEqual({ unchanged: 1, applied: 1 });
  });

  test('of nothing to roll back to: the verdict stays, and a confirmed one follows', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one', diesWhenTold: 10 });
    await startLiving(place, { config: job.config, restartMs: 100 });
    const sidecar = await place.start(job.variables);
    await until('the verdict is bad', async () => (await sidecar.target()).history.length > 0);
    job.set({ value: 'two' });
    await confirmedAs(sidecar, 'applied', 'two', job);
    const all = recorded(await sidecar.target());
    expect(all[0]).toBe('target-died');
    expect(all.at(-1)).toBe('applied');
  });
});

describe.concurrent('a new cause of the same outcome', () => {
  test('is a line of the log and of the history; the same cause again adds none', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const set = (text: string): void => void place.write('app.json.liquid', text);
    set('{"value": {{ value | json }}}\n');
    const sidecar = await place.start({ ...job.variables, TEMPLATE: place.at('app.json.liquid') });
    await isOutcome(sidecar, 'applied', 'one', place);
    set('{"value": {{ missing | json }}}\n');
    await until('the first is said', () => sidecar.logs('rejected').length === 1);
    set('{"value": {{ absent | json }}}\n');
    await until('the second is said', () => sidecar.logs('rejected').length === 2);
    sidecar.signal('SIGHUP');
    await until('it was tried again', async () => ((await counted(sidecar))['rejected'] ?? 0) === 3);
    expect(sidecar.logs('rejected').map(({ message }) => message)).toEqual([
      expect.stringContaining('missing'),
      expect.stringContaining('absent'),
    ]);
    const { history } = await sidecar.target();
    expect(history.map(({ message }) => message.includes('absent'))).toEqual([true, false, false]);
  });
});
