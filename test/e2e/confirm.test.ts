// What it takes until a configuration counts as known to work: the process that lives, its workers, what it reports.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { respond, startHttpSource } from '../servers/http-source.ts';
import { freePorts } from '../servers/ports.ts';
import { fileJob } from './backing.ts';
import { confirmedAs, type OrdersJob, ordersJob, publications, startLiving } from './living.ts';
import { createPlace } from './place.ts';
import type { Sidecar } from './sidecar.ts';
import { until } from './until.ts';

const PERIOD_MS = 1_500;

/** When an event was logged for the first time; Unix milliseconds. */
function timeOf(sidecar: Sidecar, event: string): number {
  return Date.parse(sidecar.logs(event)[0]?.time ?? '');
}

/** Waits until the first configuration is known to work. */
function begins(sidecar: Sidecar, job: OrdersJob): Promise<unknown> {
  return confirmedAs(sidecar, 'applied', 'one', job);
}

describe.concurrent('a process that was told', () => {
  test('has to live through the period before anything counts as applied', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config });
    const sidecar = await place.start({ ...job.variables, LOG_LEVEL: 'debug' });
    await until('it is told', () => sidecar.logs('told').length > 0);
    expect(await sidecar.target()).toMatchObject({ outcome: null, running: null, lastKnownGood: null });
    const applied = await sidecar.outcome('applied');
    expect(timeOf(sidecar, 'applied') - timeOf(sidecar, 'told')).toBeGreaterThanOrEqual(PERIOD_MS - 20);
    expect(applied).toMatchObject({ reloadOwed: false, running: { evidence: 'alive' } });
    expect(applied.lastKnownGood?.rendering).toBe(applied.desired?.rendering);
    expect(app.values()).toEqual(['one']);
  });

  test('and died within it has died of that, which is blocked when nobody comes back in time', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one', dies: 100 });
    place.write('out/app.json', '{"value":"before"}\n');
    const app = await startLiving(place, { config: job.config });
    const sidecar = await place.start({ ...job.variables, CONFIRM_TIMEOUT: '4s' });
    const died = await sidecar.outcome('target-died');
    expect(died).toMatchObject({ code: 'confirm.died', running: null, lastKnownGood: null, blocked: [] });
    expect(died.message).toMatch(
      new RegExp(
        `^Cannot confirm revision "sha256:\\w+": process ${app.pids()[0]} was found dead \\d\\.\\d s after it was told\\. ` +
          'It stays: nothing was confirmed before that one could go back to\\.$',
      ),
    );
    await until('it is blocked', async () => (await sidecar.target()).blocked.length === 1);
    expect(timeOf(sidecar, 'blocked by its verdict') - timeOf(sidecar, 'target-died')).toBeGreaterThan(3_500);
    expect(job.shown()).toBe('one');
  });

  test('and was started again by its supervisor has died all the same', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, restartMs: 0 });
    const sidecar = await place.start({ ...job.variables, ROLLBACK: 'false' });
    await begins(sidecar, job);
    job.set({ value: 'deadly', dies: 50 });
    const died = await sidecar.outcome('target-died');
    expect(died.message).toMatch(/: process \d+ was found dead .*\. It stays, since ROLLBACK is off\.$/);
    await until('it is blocked', async () => (await sidecar.target()).blocked.length === 1);
    expect(app.pids().length).toBeGreaterThan(1);
    expect(job.shown()).toBe('deadly');
    expect((await sidecar.target()).outcome).toBe('target-died');
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

describe.concurrent('CONFIRM_URL', () => {
  // C-R13
  test('has to tell the revision and the digest of the data; without them the way is back', async (context) => {
    const place = createPlace(context);
    const [port = 0] = await freePorts(1);
    const job = ordersJob(place, { value: 'one' }, { reports: true });
    const app = await startLiving(place, { config: job.config, words: [`port=${port}`] });
    const sidecar = await place.start({
      ...job.variables,
      CONFIRM_PERIOD: '200ms',
      CONFIRM_TIMEOUT: '6s',
      CONFIRM_URL: `http://127.0.0.1:${port}/`,
      CONFIRM_SUCCESSES: '3',
      CONFIRM_MATCH: '^revision {revision}\\ndigest {digest}$',
    });
    await begins(sidecar, job);
    expect((await sidecar.target()).running?.evidence).toBe('alive probed');
    job.set({ value: 'late', late: 1_000 });
    await confirmedAs(sidecar, 'applied', 'late', job);
    const applied = sidecar.logs('applied').at(-1);
    const published = sidecar.logs('published').at(-1);
    expect(Date.parse(applied?.time ?? '') - Date.parse(published?.time ?? '')).toBeGreaterThan(1_400);
    job.set({ value: 'kept', keeps: true });
    await confirmedAs(sidecar, 'rolled-back', 'late', job);
    const [unconfirmed] = sidecar.logs('unconfirmed');
    expect(unconfirmed).toMatchObject({
      code: 'confirm.no-match',
      output: expect.stringContaining('value late'),
    });
    expect(unconfirmed?.['message']).toMatch(
      new RegExp(
        `^Cannot confirm revision "sha256:\\w+" within 4s: "http://127.0.0.1:${port}/" answered 200, but the answer does not match ` +
          'CONFIRM_MATCH ".*"\\. The last known good configuration \\(generation 2, revision sha256:\\w+\\) takes its place\\.$',
      ),
    );
    expect(app.values()).toEqual(['one', 'late', 'kept', 'late']);
    expect(publications(sidecar)).toEqual(['desired', 'desired', 'desired', 'rolled-back']);
  });

  // C-R13 D-29
  test('that tells of a reload before the publication is no success, however successful that was', async (context) => {
    const place = createPlace(context);
    const [port = 0] = await freePorts(1);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, words: [`port=${port}`] });
    const sidecar = await place.start({
      ...job.variables,
      CONFIRM_PERIOD: '200ms',
      CONFIRM_TIMEOUT: '6s',
      CONFIRM_URL: `http://127.0.0.1:${port}/metrics`,
      CONFIRM_MATCH: 'reload successful 1\\nreloaded (?<time>[0-9.]+)',
      ROLLBACK: 'false',
    });
    await begins(sidecar, job);
    job.set({ value: 'slow', late: 1_500 });
    await confirmedAs(sidecar, 'applied', 'slow', job);
    const waited = Date.parse(sidecar.logs('applied').at(-1)?.time ?? '');
    expect(waited - Date.parse(sidecar.logs('published').at(-1)?.time ?? '')).toBeGreaterThan(1_500);
    job.set({ value: 'kept', keeps: true });
    const unconfirmed = await sidecar.outcome('unconfirmed');
    expect(unconfirmed.code).toBe('confirm.too-old');
    expect(unconfirmed.message).toMatch(
      /but the reload time it reports lies \d+\.\d s before the telling\. It stays, since ROLLBACK is off\.$/,
    );
    expect(app.values()).toEqual(['one', 'slow', 'kept']);
  });

  test('that does not answer at first, or with 503, is asked until it does', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const server = await startHttpSource();
    server.answer((_request, response) => respond(response, server.received.length < 4 ? 503 : 200, 'ready'));
    const sidecar = await place.start({
      ...job.variables,
      RELOAD_COMMAND: 'true',
      CONFIRM_URL: `${server.origin}/ready`,
    });
    expect(await sidecar.outcome('applied')).toMatchObject({ running: { evidence: 'answered probed' } });
    expect(server.received).toHaveLength(5);
    await server.stop();
  });
});

describe.concurrent('CONFIRM_WORKERS', () => {
  test('is satisfied by new workers, and a master that keeps its old ones is taken back', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, words: ['workers'] });
    const sidecar = await place.start({
      ...job.variables,
      CONFIRM_PERIOD: '500ms',
      CONFIRM_TIMEOUT: '3s',
      CONFIRM_WORKERS: 'true',
    });
    await begins(sidecar, job);
    expect((await sidecar.target()).running?.evidence).toBe('alive workers');
    job.set({ value: 'kept', keeps: true });
    const back = await confirmedAs(sidecar, 'rolled-back', 'one', job);
    expect(back.blocked).toMatchObject([{ outcome: 'unconfirmed', code: 'confirm.no-workers' }]);
    const [pid] = app.pids();
    expect(back.blocked[0]?.message).toMatch(
      new RegExp(
        `within 3s: process ${pid} has no new children, so its workers still run the configuration of before`,
      ),
    );
    expect(app.pids()).toHaveLength(1);
    expect(app.values()).toEqual(['one', 'kept', 'one']);
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

  test('that brings a process which dies is taken back', async (context) => {
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

  test('that nobody answers with a new process is not confirmed', async (context) => {
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
        `within 3s: process ${app.pids()[0]} ended as it was asked to, and no other one has come; something has to start it again\\.`,
      ),
    );
  });
});

describe.concurrent('an application that is not told', () => {
  test('but watches its files is watched over, and what it dies of is taken back', async (context) => {
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

  test('and that nobody names is not waited for: what is published is applied at once', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const sidecar = await place.start({ ...job.variables, CONFIRM_PERIOD: '20s' });
    const seen = await sidecar.outcome('applied');
    expect(seen.running).toBeNull();
    expect(seen.lastKnownGood?.rendering).toBe(seen.desired?.rendering);
    expect(timeOf(sidecar, 'applied') - timeOf(sidecar, 'published')).toBeLessThan(5_000);
  });
});

describe.concurrent('an HTTP hook without an answer', () => {
  test('has told it all the same, when the application proves that', async (context) => {
    const place = createPlace(context);
    const [port = 0] = await freePorts(1);
    const job = ordersJob(place, { value: 'one', hangs: true }, { reports: true });
    const app = await startLiving(place, { config: job.config, words: [`port=${port}`] });
    const sidecar = await place.start({
      ...job.variables,
      RELOAD_URL: `http://127.0.0.1:${port}/reload`,
      RELOAD_TIMEOUT: '700ms',
      CONFIRM_PERIOD: '200ms',
      CONFIRM_URL: `http://127.0.0.1:${port}/`,
      CONFIRM_MATCH: 'revision {revision}',
    });
    await begins(sidecar, job);
    expect((await sidecar.target()).running?.evidence).toBe('alive probed');
    expect(app.values('POST')).toEqual(['one']);
    expect(await sidecar.metric('config_sidecar_reloads_total')).toEqual({
      '{target="default",result="unknown"}': 1,
    });
  });

  test('is asked again, when nothing can prove that', async (context) => {
    const place = createPlace(context);
    const [port = 0] = await freePorts(1);
    const job = ordersJob(place, { value: 'one', hangs: true });
    const app = await startLiving(place, { config: job.config, words: [`port=${port}`] });
    const sidecar = await place.start({
      ...job.variables,
      RELOAD_URL: `http://127.0.0.1:${port}/reload`,
      RELOAD_TIMEOUT: '700ms',
    });
    expect(await sidecar.outcome('failed')).toMatchObject({ reloadOwed: true, lastKnownGood: null });
    await until('it is asked again', () => app.values('POST').length > 1);
  });
});

describe.concurrent('a confirmation that was interrupted', () => {
  test.for(['SIGTERM', 'SIGKILL'] as const)('goes on at the next start (%s)', async (signal, context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config });
    const variables = { ...job.variables, CONFIRM_PERIOD: '4s', LOG_LEVEL: 'debug' };
    const first = await place.start(variables);
    await until('it was told', () => first.logs('told').length > 0);
    await first.end(signal);
    expect(first.logs('applied')).toEqual([]);
    const second = await place.start(variables);
    const seen = await confirmedAs(second, 'applied', 'one', job).catch(() => second.target());
    expect(seen).toMatchObject({ outcome: 'applied', running: { evidence: 'alive' } });
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
    await until('it was told', () => first.logs('told').length > 1);
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
    await until('it was told', () => first.logs('told').length > 0);
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
