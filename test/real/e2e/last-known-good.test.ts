// A start without the source: what was known to work serves.
import { chmodSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createPlace } from '../../support/e2e/place.ts';
import { quietPort } from '../../support/e2e/quiet-port.ts';
import { applyAll, applyAndEnd, copiesIn, createJob, emptyVolume } from '../../support/e2e/source-job.ts';
import { until } from '../../support/e2e/until.ts';
import { LEDGER_OF_0_1_0 } from '../../support/fixtures/ledger-of-0.1.0.ts';
import { respond, startHttpSource } from '../../support/servers/http-source.ts';

describe.concurrent('a start without the source', () => {
  test('leaves an intact volume as it is: ready, not fresh, and no notification is sent', async (context) => {
    const place = createPlace(context);
    const job = await createJob(place);
    await applyAndEnd(place, job, ['one']);
    await job.sourceEnds();
    const sidecar = await place.start(job.variables);
    await until('it is ready', async () => (await sidecar.get('/readyz')).status === 200);
    await until('the source had its chance', () => sidecar.logs('source down').length > 0);
    expect((await sidecar.status()).fresh).toBe(false);
    expect(await sidecar.target()).toMatchObject({
      reloadOwed: false,
      running: { evidence: 'answered' },
      generations: [{ onVolume: true, lastKnownGood: true }],
    });
    expect(job.told()).toEqual(['one']);
    expect(sidecar.logs('published')).toEqual([]);
  });

  test('fills an empty volume with the last known good, says how old that is, and notifies the application', async (context) => {
    const place = createPlace(context);
    const job = await createJob(place);
    await applyAndEnd(place, job, ['one', 'two']);
    emptyVolume(place);
    await job.sourceEnds();
    const sidecar = await place.start(job.variables);
    const seen = await sidecar.outcome('applied');
    expect(job.shown()).toBe('two');
    expect(seen).toMatchObject({ code: 'source.fallback', desired: null, reloadOwed: false });
    expect(seen.message).toMatch(
      /^The last known good configuration \(revision "two", confirmed \d+ s ago\) serves while nothing newer can be had\.$/,
    );
    expect(sidecar.logs('published')).toMatchObject([{ as: 'fallback' }]);
    expect(sidecar.logs('serving the last known good')).toMatchObject([
      { level: 'warn', ageSeconds: expect.any(Number) },
    ]);
    expect((await sidecar.get('/readyz')).status).toBe(200);
    expect((await sidecar.status()).fresh).toBe(false);
    expect(job.told()).toEqual(['one', 'two', 'two']);
  });

  test('goes on with the source as soon as that is back', async (context) => {
    const place = createPlace(context);
    const port = await quietPort();
    const job = await createJob(place);
    await applyAndEnd(place, job, ['one']);
    emptyVolume(place);
    const variables = { ...job.variables, SOURCE: `http://127.0.0.1:${port}/app.json` };
    const sidecar = await place.start(variables);
    await sidecar.outcome('applied');
    expect(job.shown()).toBe('one');
    const source = await startHttpSource(undefined, port);
    source.answer((_request, response) => respond(response, 200, '{"value":"one"}\n', { etag: '"three"' }));
    await until('it is fresh', async () => (await sidecar.status()).fresh);
    await until('what serves is what is wanted', async () => {
      const { desired, lastKnownGood, code, reloadOwed } = await sidecar.target();
      return desired?.rendering === lastKnownGood?.rendering && code === null && !reloadOwed;
    });
    source.answer((_request, response) => respond(response, 200, '{"value":"four"}\n', { etag: '"four"' }));
    await until('the next change is applied', () => job.told().at(-1) === 'four');
    expect(job.told()).toEqual(['one', 'one', 'four']);
    await job.sourceEnds();
    await source.stop();
  });

  test('that hangs waits no longer than FETCH_TIMEOUT', async (context) => {
    const place = createPlace(context);
    const job = await createJob(place);
    await applyAndEnd(place, job, ['one']);
    emptyVolume(place);
    const silent = await startHttpSource();
    silent.answer(() => {});
    const sidecar = await place.start({ ...job.variables, SOURCE: `${silent.origin}/app.json` });
    await sidecar.outcome('applied');
    expect(job.shown()).toBe('one');
    await silent.stop();
    await job.sourceEnds();
  });

  test('also serves when what the source brings is rejected', async (context) => {
    const place = createPlace(context);
    const job = await createJob(place);
    await applyAndEnd(place, job, ['one']);
    emptyVolume(place);
    const variables = { ...job.variables, REQUIRED_KEYS: 'value other' };
    const sidecar = await place.start(variables);
    await until('the last known good is back', () => job.shown() === 'one');
    await until('it is ready', async () => (await sidecar.get('/readyz')).status === 200);
    expect(sidecar.logs('rejected')).toHaveLength(1);
    expect(sidecar.logs('published')).toMatchObject([{ as: 'fallback' }]);
    expect((await sidecar.target()).outcome).toBe('rejected');
    await job.sourceEnds();
  });

  test('is not ready without a last known good, and waits', async (context) => {
    const place = createPlace(context);
    const job = await createJob(place);
    await job.sourceEnds();
    const sidecar = await place.start(job.variables);
    await until('the source had its chance', () => sidecar.logs('source down').length > 0);
    expect((await sidecar.get('/readyz')).status).toBe(503);
    expect(existsSync(job.variables['OUTPUT'] ?? '')).toBe(false);
    expect(sidecar.isRunning()).toBe(true);
  });
});

describe.concurrent('"once" without the source', () => {
  test('serves the last known good and ends with 0; without one it ends with 3', async (context) => {
    const place = createPlace(context);
    const job = await createJob(place);
    await applyAndEnd(place, job, ['one', 'two']);
    emptyVolume(place);
    await job.sourceEnds();
    const variables = { ...job.variables, CONFIRM_PERIOD: '0', ONCE_TIMEOUT: '3s' };
    const served = await place.run(['once'], variables);
    expect([served.code, job.shown()]).toEqual([0, 'two']);
    expect(served.stdout).toContain('"event":"serving the last known good"');
    expect(job.told()).toEqual(['one', 'two', 'two']);
    const again = await place.run(['once'], variables);
    expect(again.stdout).toMatch(/"event":"out of time"/);
    expect(again.stdout).toContain('The last known good configuration is used.');
    expect(again.code).toBe(0);
    expect(job.told()).toHaveLength(3);
    emptyVolume(place);
    rmSync(place.at('state'), { recursive: true });
    place.directory('state');
    const nothing = await place.run(['once'], variables);
    expect(nothing.code).toBe(3);
    expect(nothing.stdout).toContain(`"source":"${job.variables['SOURCE']}"`);
    expect(existsSync(job.variables['OUTPUT'] ?? '')).toBe(false);
  });
});

describe.concurrent('KEEP_GENERATIONS', () => {
  test('is how many copies are kept; nothing else is left over', async (context) => {
    const place = createPlace(context);
    const job = await createJob(place);
    const sidecar = await place.start({ ...job.variables, KEEP_GENERATIONS: '2' });
    await applyAll(job, sidecar, ['one', 'two', 'three', 'four', 'five']);
    expect((await sidecar.target()).generations.map(({ generation }) => generation)).toEqual([5, 4]);
    await until('the others are gone', () => copiesIn(place, job).length === 2);
    expect(copiesIn(place, job)).toEqual(['4.json', '5.json']);
    await sidecar.end();
    expect(readdirSync(place.at('out'))).toEqual(['app.json']);
    expect(readdirSync(place.at(job.state)).sort()).toEqual([
      ...['generations', 'ledger.0.json', 'ledger.1.json'],
    ]);
    const fewer = await place.start({ ...job.variables, KEEP_GENERATIONS: '1' });
    await applyAll(job, fewer, ['six']);
    await until('only one is left', () => copiesIn(place, job).length === 1);
    await job.sourceEnds();
  });
});

describe.concurrent('an upgrade', () => {
  test('from the first release goes on with its state, and reloads nothing that did not change', async (context) => {
    const place = createPlace(context);
    const job = await createJob(place);
    for (const [name, text] of Object.entries(LEDGER_OF_0_1_0))
      place.write(`${job.state}/${name}`, `${text}\n`);
    chmodSync(place.write('out/app.json', '{"value":"one"}\n'), 0o644);
    const sidecar = await place.start(job.variables);
    await until('it follows', async () => (await sidecar.status()).fresh);
    await until('it knows what works', async () => (await sidecar.target()).generations[0]?.onVolume);
    expect(await sidecar.target()).toMatchObject({ reloadOwed: false });
    expect(job.told()).toEqual([]);
    expect(sidecar.logs('published')).toEqual([]);
    expect(sidecar.logs('ledger damaged')).toEqual([]);
    job.set('two');
    await until('it is notified of the next change', () => job.told().length > 0);
    expect(job.told()).toEqual(['two']);
    await job.sourceEnds();
  });
});
