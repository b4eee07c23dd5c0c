// What kills the application, or is not confirmed, is rolled back; what is newer waits for the verdict.
import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { confirmedAs, ordersJob, publications, startLiving, startsWell } from '../../support/e2e/living.ts';
import { createPlace } from '../../support/e2e/place.ts';
import { quietPort } from '../../support/e2e/quiet-port.ts';
import { until } from '../../support/e2e/until.ts';

describe.concurrent('a deadly configuration', () => {
  test('is rolled back before the application comes back, which finds what worked', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, restartMs: 5_000 });
    const sidecar = await startsWell(place, job);
    job.set({ value: 'deadly', dies: 100 });
    const back = await confirmedAs(sidecar, 'rolled-back', 'one', job);
    expect(back).toMatchObject({
      code: 'confirm.died',
      running: { evidence: 'alive started' },
      blocked: [{ outcome: 'target-died' }],
    });
    expect(publications(sidecar)).toEqual(['desired', 'desired', 'rolled-back']);
    expect(app.values()).toEqual(['one', 'deadly']);
    expect(app.reads()).toBe('one');
    expect((await sidecar.get('/readyz')).status).toBe(200);
  });

  test('that kills it at every start, too, ends with the one that worked', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, restartMs: 0 });
    const sidecar = await startsWell(place, job);
    for (const [i, value] of ['deadly', 'deadly too'].entries()) {
      job.set({ value, dies: 20 });
      await until(`"${value}" is blocked`, async () => (await sidecar.target()).blocked.length > i);
      await confirmedAs(sidecar, 'rolled-back', 'one', job);
    }
    expect(publications(sidecar)).toEqual(['desired', 'desired', 'rolled-back', 'desired', 'rolled-back']);
    job.set({ value: 'two' });
    await confirmedAs(sidecar, 'applied', 'two', job);
    expect(app.reads()).toBe('two');
  });

  test('is no verdict when the sidecar ends before the application is back: the pod may have ended', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    await startLiving(place, { config: job.config });
    const first = await startsWell(place, job);
    job.set({ value: 'deadly', diesWhenTold: 100 });
    await until('its death was seen', () => first.logs('target-died').length > 0);
    await until('it was rolled back', () => job.shown() === 'one');
    await first.end();
    await startLiving(place, { config: job.config });
    const second = await place.start(job.variables);
    await until('it is tried again', () => publications(second).includes('desired'));
    expect((await second.target()).blocked).toEqual([]);
  });

  test('stays where there is nothing to roll back to, until a process survives with it', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const doom = place.write('doom', '');
    place.write('out/app.json', '{"value":"before"}\n');
    rmSync(doom);
    await startLiving(place, { config: job.config, restartMs: 200, words: [`doom=${doom}`] });
    place.write('doom', '');
    const sidecar = await place.start(job.variables);
    const died = await sidecar.outcome('target-died');
    expect(died.message).toMatch(/ It stays: there is no earlier confirmed configuration to roll back to\.$/);
    await until('it is blocked', async () => (await sidecar.target()).blocked.length === 1);
    expect(job.shown()).toBe('one');
    expect((await sidecar.get('/readyz')).status).toBe(200);
    rmSync(doom);
    const lives = await confirmedAs(sidecar, 'picked-up', 'one', job);
    expect(lives).toMatchObject({ blocked: [], running: { evidence: 'alive started' } });
    expect(publications(sidecar)).toEqual(['desired']);
  });
});

describe.concurrent('an unconfirmed configuration', () => {
  test('is rolled back, and the application is notified of that once', async (context) => {
    const place = createPlace(context);
    const port = await quietPort();
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, words: [`port=${port}`] });
    const sidecar = await startsWell(place, job, {
      CONFIRM_PERIOD: '200ms',
      CONFIRM_TIMEOUT: '15s',
      CONFIRM_URL: `http://127.0.0.1:${port}/`,
      CONFIRM_MATCH: '^value [^w]',
    });
    job.set({ value: 'wrong' });
    const back = await confirmedAs(sidecar, 'rolled-back', 'one', job);
    expect(back).toMatchObject({ code: 'confirm.no-match', running: { evidence: 'alive probed' } });
    expect(app.values()).toEqual(['one', 'wrong', 'one']);
    expect(app.pids()).toHaveLength(1);
  });

  test('lets a newer change wait, which takes its place without the way back', async (context) => {
    const place = createPlace(context);
    const port = await quietPort();
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, words: [`port=${port}`] });
    const sidecar = await startsWell(place, job, {
      CONFIRM_PERIOD: '200ms',
      CONFIRM_TIMEOUT: '15s',
      CONFIRM_URL: `http://127.0.0.1:${port}/`,
      CONFIRM_MATCH: '^value [^w]',
      VALIDATE_COMMAND: 'true',
    });
    job.set({ value: 'wrong' });
    await until('it is notified of that', () => app.values().includes('wrong'));
    job.set({ value: 'two' });
    await confirmedAs(sidecar, 'applied', 'two', job);
    expect(app.values()).toEqual(['one', 'wrong', 'two']);
    expect(sidecar.logs('unconfirmed')).toHaveLength(1);
    expect(publications(sidecar)).toEqual(['desired', 'desired', 'desired']);
    expect((await sidecar.target()).blocked).toHaveLength(1);
  });

  test('is rolled back when the newer change does not pass its checks', async (context) => {
    const place = createPlace(context);
    const port = await quietPort();
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, words: [`port=${port}`] });
    const sidecar = await startsWell(place, job, {
      CONFIRM_PERIOD: '200ms',
      CONFIRM_TIMEOUT: '15s',
      CONFIRM_URL: `http://127.0.0.1:${port}/`,
      CONFIRM_MATCH: '^value [^w]',
      VALIDATE_COMMAND: `sh -c '! grep -q invalid "$1"' check {path}`,
    });
    job.set({ value: 'wrong' });
    await until('it is notified of that', () => app.values().includes('wrong'));
    job.set({ value: 'invalid' });
    await until('it was rolled back', () => publications(sidecar).includes('rolled-back'));
    await until('it is notified of that', () => app.values().length === 3);
    expect(app.values()).toEqual(['one', 'wrong', 'one']);
    expect(job.shown()).toBe('one');
    await sidecar.outcome('rejected');
    job.set({ value: 'two' });
    await confirmedAs(sidecar, 'applied', 'two', job);
  });
});

test('a newer change waits for a good verdict, too', async (context) => {
  const place = createPlace(context);
  const job = ordersJob(place, { value: 'one' });
  const app = await startLiving(place, { config: job.config });
  const sidecar = await place.start({ ...job.variables, CONFIRM_PERIOD: '3s' });
  await until('it is notified', () => app.values().length === 1);
  job.set({ value: 'two' });
  await confirmedAs(sidecar, 'applied', 'two', job);
  await until('the log says so', () => sidecar.logs('applied').length === 2);
  const order = sidecar.logs().filter(({ event }) => ['published', 'applied'].includes(event));
  expect(order.map(({ event }) => event)).toEqual(['published', 'applied', 'published', 'applied']);
  const [one, , two] = order.map(({ revision }) => revision);
  expect(order.map(({ revision }) => revision)).toEqual([one, one, two, two]);
  expect(app.values()).toEqual(['one', 'two']);
});
