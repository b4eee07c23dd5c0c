// What it takes until a configuration counts as known to work: the notified process survives, or the one that replaced it.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { fileJob } from '../../support/e2e/backing.ts';
import { begins, confirmedAs, ordersJob, publications, startLiving } from '../../support/e2e/living.ts';
import { createPlace } from '../../support/e2e/place.ts';
import type { Sidecar } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';

const PERIOD_MS = 1_500;

/** When an event was logged for the first time; Unix milliseconds. */
function timeOf(sidecar: Sidecar, event: string): number {
  return Date.parse(sidecar.logs(event)[0]?.time ?? '');
}

describe.concurrent('a process that was notified', () => {
  test('has to survive the period before anything counts as applied', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config });
    const sidecar = await place.start({ ...job.variables, LOG_LEVEL: 'debug' });
    await until('it is notified', () => sidecar.logs('told').length > 0);
    expect(await sidecar.target()).toMatchObject({ outcome: null, running: null, lastKnownGood: null });
    const applied = await sidecar.outcome('applied');
    expect(timeOf(sidecar, 'applied') - timeOf(sidecar, 'told')).toBeGreaterThanOrEqual(PERIOD_MS - 20);
    expect(applied).toMatchObject({ reloadOwed: false, running: { evidence: 'alive' } });
    expect(applied.lastKnownGood?.rendering).toBe(applied.desired?.rendering);
    expect(app.values()).toEqual(['one']);
  });

  test('and dies within it has died of the change, which is blocked when no process is back in time', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one', dies: 100 });
    place.write('out/app.json', '{"value":"before"}\n');
    const app = await startLiving(place, { config: job.config });
    const sidecar = await place.start({ ...job.variables, CONFIRM_TIMEOUT: '4s' });
    const died = await sidecar.outcome('target-died');
    expect(died).toMatchObject({ code: 'confirm.died', running: null, lastKnownGood: null, blocked: [] });
    expect(died.message).toMatch(
      new RegExp(
        `^Cannot confirm revision "sha256:\\w+": process ${app.pids()[0]} was found dead \\d\\.\\d s after it was notified\\. ` +
          'It stays: there is no earlier confirmed configuration to roll back to\\.$',
      ),
    );
    await until('it is blocked', async () => (await sidecar.target()).blocked.length === 1);
    expect(timeOf(sidecar, 'blocked by its verdict') - timeOf(sidecar, 'target-died')).toBeGreaterThan(3_500);
    expect(job.shown()).toBe('one');
  });

  test('and was restarted by its supervisor has died nevertheless', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, restartMs: 0 });
    const sidecar = await place.start({ ...job.variables, ROLLBACK: 'false' });
    await begins(sidecar, job);
    job.set({ value: 'deadly', dies: 50 });
    const died = await sidecar.outcome('target-died');
    expect(died.message).toMatch(/: process \d+ was found dead .*\. It stays, since ROLLBACK is off\.$/);
    await until('it is blocked', async () => (await sidecar.target()).blocked.length === 1);
    await until('another one has read it', () => app.pids().length > 1);
    expect(job.shown()).toBe('deadly');
    expect(publications(sidecar)).toEqual(['desired', 'desired']);
  });

  test('and died after the period has died of something else', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, restartMs: 100 });
    const sidecar = await place.start(job.variables);
    await begins(sidecar, job);
    const [first = 0] = app.pids();
    process.kill(first, 'SIGKILL');
    await until('another one has its place', () => app.pids().length === 2);
    job.set({ value: 'two' });
    await confirmedAs(sidecar, 'applied', 'two', job);
    expect(sidecar.logs('target-died')).toEqual([]);
  });
});

describe.concurrent('a process that started after the publication', () => {
  test('is confirmed like any other, and only then has picked it up', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const sidecar = await place.start({ ...job.variables, LOG_LEVEL: 'debug' });
    await sidecar.outcome('no-target');
    const app = await startLiving(place, { config: job.config });
    const seen = await sidecar.outcome('picked-up');
    expect(seen).toMatchObject({ reloadOwed: false, running: { evidence: 'alive started' } });
    expect(timeOf(sidecar, 'picked-up') - timeOf(sidecar, 'told')).toBeGreaterThanOrEqual(PERIOD_MS - 20);
    expect(app.records().map(({ event }) => event)).toEqual(['started']);
  });

  test('and dies of it is a verdict that beats "picked up"', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const first = await startLiving(place, { config: job.config });
    const sidecar = await place.start(job.variables);
    await begins(sidecar, job);
    await first.end();
    job.set({ value: 'deadly', dies: 100 });
    await sidecar.outcome('no-target');
    const second = await startLiving(place, { config: job.config, restartMs: 300 });
    await confirmedAs(sidecar, 'rolled-back', 'one', job);
    expect(sidecar.logs('target-died')).toHaveLength(1);
    expect(sidecar.logs('picked-up')).toEqual([]);
    expect(second.reads()).toBe('one');
  });
});

describe.concurrent('RELOAD_SIGNAL=SIGTERM', () => {
  test('is confirmed by the process that comes, when that lives', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, restartMs: 300 });
    const sidecar = await place.start({ ...job.variables, RELOAD_SIGNAL: 'SIGTERM' });
    await begins(sidecar, job);
    expect((await sidecar.target()).running?.evidence).toBe('alive started');
    job.set({ value: 'two' });
    await confirmedAs(sidecar, 'applied', 'two', job);
    expect(app.records().map(({ event }) => event)).toEqual([
      ...['started', 'SIGTERM', 'started', 'SIGTERM', 'started'],
    ]);
    expect(app.reads()).toBe('two');
  });

  test('that brings a process which dies is rolled back', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, restartMs: 300 });
    const sidecar = await place.start({ ...job.variables, RELOAD_SIGNAL: 'SIGTERM' });
    await begins(sidecar, job);
    job.set({ value: 'deadly', dies: 200 });
    await confirmedAs(sidecar, 'rolled-back', 'one', job);
    expect(sidecar.logs('target-died')).toHaveLength(1);
    expect(app.reads()).toBe('one');
    expect(publications(sidecar)).toEqual(['desired', 'desired', 'rolled-back']);
  });

  test('that leads to no new process is not confirmed', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config });
    const sidecar = await place.start({
      ...job.variables,
      RELOAD_SIGNAL: 'SIGTERM',
      CONFIRM_TIMEOUT: '3s',
    });
    const seen = await sidecar.outcome('unconfirmed');
    expect(seen.code).toBe('confirm.not-restarted');
    expect(seen.message).toMatch(
      new RegExp(
        `within 3s \\(CONFIRM_TIMEOUT\\): process ${app.pids()[0]} ended as it was asked to, and no other process has started; a supervisor has to start it again\\.`,
      ),
    );
  });
});

describe.concurrent('an application that is not notified', () => {
  test('but watches its files is monitored, and what it dies of is rolled back', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, words: ['watches'], restartMs: 300 });
    const sidecar = await place.start({ ...job.variables, RELOAD_SIGNAL: 'none' });
    await begins(sidecar, job);
    expect((await sidecar.target()).running?.evidence).toBe('alive');
    job.set({ value: 'deadly', dies: 100 });
    await confirmedAs(sidecar, 'rolled-back', 'one', job);
    expect(sidecar.logs('target-died')).toHaveLength(1);
    await until('it runs what worked', () => app.reads() === 'one');
    expect(app.values()).toEqual([]);
  });

  test('and is not configured is not waited for: what is published is applied at once', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const sidecar = await place.start({ ...job.variables, CONFIRM_PERIOD: '20s' });
    const seen = await sidecar.outcome('applied');
    expect(seen.running).toBeNull();
    expect(seen.lastKnownGood?.rendering).toBe(seen.desired?.rendering);
    expect(timeOf(sidecar, 'applied') - timeOf(sidecar, 'published')).toBeLessThan(5_000);
  });
});

test('what is on trial is shown, with its end and what it waits for, also after an earlier trial', async (context) => {
  const place = createPlace(context);
  const job = ordersJob(place, { value: 'one' });
  await startLiving(place, { config: job.config });
  const sidecar = await place.start({ ...job.variables, CONFIRM_PERIOD: '6s', CONFIRM_TIMEOUT: '20s' });
  await confirmedAs(sidecar, 'applied', 'one', job);
  job.set({ value: 'two' });
  await until(
    'it was notified',
    () => sidecar.logs('told').length === 2 || sidecar.logs('published').length === 2,
  );
  const tried = await until('it is on trial', async () => {
    const seen = await sidecar.target();
    return seen.trial === null ? null : seen;
  });
  expect(tried.trial).toMatchObject({ waitsFor: ['CONFIRM_PERIOD'] });
  expect(tried.attempted).toMatchObject({ rendering: tried.desired?.rendering });
  const { since, until: end } = tried.trial ?? { since: '', until: '' };
  expect(Date.parse(end) - Date.parse(since)).toBe(20_000);
  const { stdout } = await place.run(['status'], { ...job.variables, LISTEN: 'off' });
  expect(stdout).toMatch(
    /^default: on trial since .*Z, until .*Z at the latest, for CONFIRM_PERIOD; before that:\ndefault: applied/m,
  );
  expect((await sidecar.get('/')).body).toContain('<h2>default: on trial</h2>');
  await confirmedAs(sidecar, 'applied', 'two', job);
  expect((await sidecar.target()).trial).toBeNull();
});

test('what was seen of an application is no evidence once the process is gone', async (context) => {
  const place = createPlace(context);
  const job = ordersJob(place, { value: 'one' });
  const app = await startLiving(place, { config: job.config });
  const sidecar = await place.start({ ...job.variables, CONFIRM_PERIOD: '500ms' });
  await confirmedAs(sidecar, 'applied', 'one', job);
  await app.end();
  job.set({ value: 'two' });
  const seen = await sidecar.outcome('no-target');
  expect(seen.running).toBeNull();
});

describe.concurrent('a confirmation that was interrupted', () => {
  test.for(['SIGTERM', 'SIGKILL'] as const)('goes on at the next start (%s)', async (signal, context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config });
    const variables = { ...job.variables, CONFIRM_PERIOD: '4s', LOG_LEVEL: 'debug' };
    const first = await place.start(variables);
    await until('it was notified', () => first.logs('told').length > 0);
    await first.end(signal);
    expect(first.logs('applied')).toEqual([]);
    const second = await place.start(variables);
    // On a slow machine the period is over before the source has answered, which says "unchanged" then.
    await until('it is applied', () => second.logs('applied').length > 0);
    expect(await second.target()).toMatchObject({
      running: { evidence: 'alive' },
      desired: { revision: expect.any(String) },
    });
    expect(app.values()).toEqual(['one']);
    expect(timeOf(second, 'applied') - timeOf(first, 'told')).toBeGreaterThanOrEqual(3_900);
    expect(second.logs('published')).toEqual([]);
  });

  test('finds its process replaced within the period, which is a death', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, restartMs: 1_000 });
    const variables = { ...job.variables, CONFIRM_PERIOD: '4s', LOG_LEVEL: 'debug' };
    const first = await place.start(variables);
    await confirmedAs(first, 'applied', 'one', job);
    job.set({ value: 'deadly', diesWhenTold: 300 });
    await until('it was notified', () => first.logs('told').length > 1);
    await first.end('SIGKILL');
    await until('it was replaced', () => app.pids().length > 1);
    const second = await place.start(variables);
    await confirmedAs(second, 'rolled-back', 'one', job);
    const deaths = second
      .logs('target-died')
      .filter(({ message }) => `${message}`.startsWith('Cannot confirm'));
    expect(deaths).toHaveLength(1);
    expect(publications(second)).toEqual(['rolled-back']);
  });

  test('finds its process replaced long after the period, which proves nothing, and tries the new one', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config });
    const variables = { ...job.variables, CONFIRM_PERIOD: '1s', LOG_LEVEL: 'debug' };
    const first = await place.start(variables);
    await until('it was notified', () => first.logs('told').length > 0);
    await first.end('SIGKILL');
    expect(first.logs('applied')).toEqual([]);
    await app.end();
    await sleep(2_000);
    const next = await startLiving(place, { config: job.config });
    const second = await place.start(variables);
    const seen = await until('there is a verdict', async () => {
      const target = await second.target();
      return target.outcome !== null && target.lastKnownGood !== null && target;
    });
    expect(['applied', 'picked-up']).toContain(seen.outcome);
    expect(second.logs('target-died')).toEqual([]);
    expect(next.records().map(({ event }) => event)).toEqual(['started']);
  });
});
