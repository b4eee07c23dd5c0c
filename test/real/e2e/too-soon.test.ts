// Verdicts that would come too soon: an application that is busy, one that is not there yet, and a hook whose settings were mended.
import { rmSync } from 'node:fs';
import { describe, expect, onTestFailed, onTestFinished, test } from 'vitest';
import { fileJob } from '../../support/e2e/backing.ts';
import { isOutcome, shown } from '../../support/e2e/picky.ts';
import { createPlace } from '../../support/e2e/place.ts';
import { quietPort } from '../../support/e2e/quiet-port.ts';
import { until } from '../../support/e2e/until.ts';
import { respond, startHttpSource } from '../../support/servers/http-source.ts';

describe.concurrent('a hook', () => {
  test('that says no for some seconds, since a reload is in progress, has not refused', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const server = await startHttpSource();
    let noes = 0;
    const busyUntil = Date.now() + 6_000;
    server.answer((_request, response) => {
      const isBusy = noes < 3 || Date.now() < busyUntil;
      if (isBusy) noes += 1;
      respond(response, isBusy ? 500 : 200, isBusy ? 'reload in progress' : '');
    });
    const sidecar = await place.start({ ...job.variables, RELOAD_URL: `${server.origin}/reload` });
    const { history, blocked } = await isOutcome(sidecar, 'applied', 'one', place);
    expect(noes).toBe(3);
    expect(history.map(({ outcome }) => outcome)).toEqual(['applied', 'failed']);
    expect(blocked).toEqual([]);
    await server.stop();
  });

  test.each(['a sync', 'SIGHUP'])('that answered 404 is asked at once after %s', async (how) => {
    const place = createPlace({ onTestFinished, onTestFailed });
    const job = fileJob(place);
    const server = await startHttpSource();
    let status = 404;
    server.answer((_request, response) => respond(response, status, ''));
    const sidecar = await place.start({ ...job.variables, RELOAD_URL: `${server.origin}/reload` });
    await sidecar.outcome('failed');
    status = 200;
    if (how === 'SIGHUP') sidecar.signal('SIGHUP');
    else expect((await place.run(['sync'], { ...job.variables, LISTEN: 'off' })).code).toBe(0);
    await isOutcome(sidecar, 'applied', 'one', place);
    expect(server.received).toHaveLength(2);
    await server.stop();
  });
});

describe.concurrent('an application that does not answer at CONFIRM_URL yet, with nothing confirmed before', () => {
  test('gets no verdict: `once` ends with 0, and nothing is blocked', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const url = `http://127.0.0.1:${await quietPort()}/ready`;
    const variables = {
      ...{ ...job.variables, CONFIRM_URL: url, CONFIRM_PERIOD: '0', CONFIRM_TIMEOUT: '2s' },
    };
    expect((await place.run(['once'], variables)).code).toBe(0);
    expect(shown(place)).toBe('one');
    expect((await place.run(['once'], variables)).code).toBe(0);
  });

  test('is asked until it answers; a newer configuration takes the place of the one before meanwhile', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const port = await quietPort();
    const url = `http://127.0.0.1:${port}/ready`;
    const sidecar = await place.start({ ...job.variables, CONFIRM_URL: url, CONFIRM_TIMEOUT: '2s' });
    const waiting = await sidecar.outcome('no-target');
    expect(waiting).toMatchObject({ code: 'confirm.no-answer', blocked: [], generations: [] });
    expect(waiting.message).toContain('The application is probably not there yet');
    job.set('two');
    await until('the newer one is published', () => shown(place) === 'two');
    const server = await startHttpSource(undefined, port);
    server.answer((_request, response) => respond(response, 200, 'ready'));
    const { history } = await isOutcome(sidecar, 'applied', 'two', place);
    expect(history.map(({ outcome }) => outcome)).not.toContain('unconfirmed');
    await server.stop();
  });

  test('is a verdict once something was confirmed', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const server = await startHttpSource();
    server.answer((_request, response) => respond(response, 200, 'ready'));
    const url = `${server.origin}/ready`;
    const sidecar = await place.start({
      ...job.variables,
      CONFIRM_URL: url,
      CONFIRM_TIMEOUT: '2s',
      ROLLBACK: 'false',
    });
    await isOutcome(sidecar, 'applied', 'one', place);
    await server.stop();
    job.set('two');
    expect(await sidecar.outcome('unconfirmed')).toMatchObject({ code: 'confirm.no-answer' });
  });
});

describe.concurrent('what was removed from the volume', () => {
  test('is restored by a sync, whose answer is true, and by SIGHUP', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const variables = { ...job.variables, UPDATE_FREQUENCY: '1h', STALE_AFTER: '3h', RELOAD_COMMAND: 'true' };
    const sidecar = await place.start(variables);
    await isOutcome(sidecar, 'applied', 'one', place);
    rmSync(job.config);
    const { code, stdout } = await place.run(['sync'], { ...variables, LISTEN: 'off' });
    expect(code).toBe(0);
    expect(stdout).toContain('the application runs it (answered)');
    expect(shown(place)).toBe('one');
    rmSync(job.config);
    sidecar.signal('SIGHUP');
    await until(
      'it is there again',
      async () => (await sidecar.metric('config_sidecar_generation'))['{target="default"}'] === 3,
    );
    expect(shown(place)).toBe('one');
    expect(sidecar.logs('drift')).toHaveLength(2);
  });
});
