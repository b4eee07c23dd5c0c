// What happens when notifying the application does not work at once: refusals, hanging hooks, wrong settings, floods.
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fileJob, publishedValue } from '../../support/e2e/backing.ts';
import { createPlace, isAlive, type Place } from '../../support/e2e/place.ts';
import { until } from '../../support/e2e/until.ts';
import { respond, startHttpSource } from '../../support/servers/http-source.ts';
import { freePorts } from '../../support/servers/ports.ts';

/** The lines a hook of a test has written. */
function linesOf(place: Place, path: string): readonly string[] {
  return existsSync(place.at(path))
    ? place
        .read(path)
        .split('\n')
        .filter((line) => line !== '')
    : [];
}

describe.concurrent('a command hook', () => {
  test('that fails twice and then works is run three times, and only then the application counts as told', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = place.write(
      'hook.sh',
      'echo "$(date +%s%N) $CONFIG_OUTPUT" >> runs; test "$(wc -l < runs)" -ge 3 || { echo "no room at the inn"; exit 9; }\n',
    );
    const sidecar = await place.start({ ...job.variables, RELOAD_COMMAND: `sh ${hook}` });
    const failed = await sidecar.outcome('failed');
    expect(failed).toMatchObject({
      code: 'reload.command',
      reloadOwed: true,
      running: null,
      message: 'Cannot reload by "sh": it exited with 9',
    });
    expect(await sidecar.metric('config_sidecar_reload_owed')).toEqual({ '{target="default"}': 1 });
    expect(await sidecar.outcome('applied')).toMatchObject({
      reloadOwed: false,
      running: { evidence: 'answered' },
    });
    expect(linesOf(place, 'runs')).toHaveLength(3);
    expect(linesOf(place, 'runs')[0]).toContain(` ${job.config}`);
    expect(await sidecar.metric('config_sidecar_reloads_total')).toEqual({
      '{target="default",result="refused"}': 2,
      '{target="default",result="told"}': 1,
    });
    expect(sidecar.logs('failed')).toEqual([
      expect.objectContaining({ level: 'error', printed: 'no room at the inn\n' }),
    ]);
    job.set('two');
    await until('the next change works', () => linesOf(place, 'runs').length === 4);
  });

  test('that hangs is ended with its children after its time, tried again, and does not stop newer changes', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const hook = place.write(
      'hook.sh',
      `if grep -q one ${job.config}; then sleep 300 & echo $! >> hanging; wait; fi; echo told >> told\n`,
    );
    const sidecar = await place.start({
      ...job.variables,
      RELOAD_COMMAND: `sh ${hook}`,
      RELOAD_TIMEOUT: '700ms',
    });
    const failed = await sidecar.outcome('failed');
    expect(failed).toMatchObject({
      code: 'reload.timeout',
      message: 'Cannot reload by "sh": it took longer than 0.7 s (RELOAD_TIMEOUT) and was killed',
    });
    await until('it is tried again', () => linesOf(place, 'hanging').length >= 2);
    job.set('two');
    await until('it is notified of the newer change', () => linesOf(place, 'told').length === 1);
    await sidecar.outcome('applied');
    expect(linesOf(place, 'hanging').filter((pid) => isAlive(Number(pid)))).toEqual([]);
  });

  test('that is slow never runs twice at once, and runs for the last of many changes', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place, 0);
    const hook = place.write(
      'hook.sh',
      `echo start >> runs; cat ${job.config} >> told; sleep 1; echo end >> runs\n`,
    );
    const sidecar = await place.start({ ...job.variables, RELOAD_COMMAND: `sh ${hook}` });
    for (let i = 1; i <= 12; i += 1) {
      job.set(i);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await until('the last one is notified', () => linesOf(place, 'told').map(publishedValue).at(-1) === 12);
    await until('nothing is owed', async () => !(await sidecar.target()).reloadOwed);
    const runs = linesOf(place, 'runs');
    expect(runs.length).toBeGreaterThanOrEqual(4);
    expect(runs).toEqual(runs.map((_, i) => (i % 2 === 0 ? 'start' : 'end')));
    expect(linesOf(place, 'told').length).toBeLessThanOrEqual(8);
  });

  test('sees the revisions of this and of the last notification, and none of the secrets', async (context) => {
    const place = createPlace(context);
    const server = await startHttpSource();
    let etag = '"r1"';
    server.answer((_request, response) =>
      respond(response, 200, JSON.stringify({ etag }), { etag, 'content-type': 'application/json' }),
    );
    place.directory('out');
    const sidecar = await place.start({
      SOURCE: `${server.origin}/app.json`,
      UPDATE_FREQUENCY: '200ms',
      HTTP_TOKEN: 'not-for-commands',
      OUTPUT: place.at('out/app.json'),
      RELOAD_COMMAND: `sh -c 'echo "[$CONFIG_PREVIOUS_REVISION] [$CONFIG_REVISION]" >> told; env >> env'`,
    });
    await until('it is notified', () => linesOf(place, 'told').length === 1);
    etag = '"r2"';
    await until('it is notified again', () => linesOf(place, 'told').length === 2);
    const [first, second] = linesOf(place, 'told');
    expect(first).toMatch(/^\[\] \[.*r1.*\]$/);
    expect(second).toMatch(/^\[.*r1.*\] \[.*r2.*\]$/);
    expect(place.read('env')).toContain(`CONFIG_OUTPUT=${place.at('out/app.json')}\n`);
    expect(place.read('env')).not.toContain('not-for-commands');
    await sidecar.end();
    await server.stop();
  });
});

describe.concurrent('an HTTP hook', () => {
  test('whose server is not up yet is tried again, and notified once', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const [port = 0] = await freePorts(1);
    const sidecar = await place.start({ ...job.variables, RELOAD_URL: `http://127.0.0.1:${port}/reload` });
    const failed = await sidecar.outcome('failed');
    expect(failed.reloadOwed).toBe(true);
    expect(failed.message).toContain(`http://127.0.0.1:${port}/reload`);
    await until('it was asked three times', async () => {
      const tries = await sidecar.metric('config_sidecar_reloads_total');
      return (tries['{target="default",result="unavailable"}'] ?? 0) >= 3;
    });
    place.spawn(process.execPath, [
      '-e',
      `require('http').createServer((q, r) => { require('fs').appendFileSync('told', q.method + '\\n'); r.end(); }).listen(${port}, '127.0.0.1')`,
    ]);
    await sidecar.outcome('applied');
    job.set('two');
    await until('it is notified of the next change', () => linesOf(place, 'told').length >= 2);
    await sidecar.outcome('applied');
    expect(linesOf(place, 'told')).toEqual(['POST', 'POST']);
    expect(sidecar.logs('failed')).toHaveLength(1);
  });

  test('that says no for 10 s has refused; the next change is tried at once', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const server = await startHttpSource();
    let status = 500;
    server.answer((_request, response) => respond(response, status, 'line 7: no such upstream'));
    const sidecar = await place.start({ ...job.variables, RELOAD_URL: `${server.origin}/reload` });
    expect(await sidecar.outcome('refused')).toMatchObject({
      code: 'reload.status',
      reloadOwed: true,
      message: `Cannot POST "${server.origin}/reload": it answered 500. It stays: there is no earlier confirmed configuration to roll back to.`,
    });
    expect(server.received).toHaveLength(4);
    expect(sidecar.logs('refused')).toEqual([
      expect.objectContaining({ printed: 'line 7: no such upstream' }),
    ]);
    status = 200;
    job.set('two');
    await sidecar.outcome('applied');
    expect(server.received).toHaveLength(5);
    await server.stop();
  });

  test('that answers 404 counts as failed and is not asked in a hurry', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const server = await startHttpSource();
    server.answer((_request, response) => respond(response, 404, 'nothing here'));
    const sidecar = await place.start({ ...job.variables, RELOAD_URL: `${server.origin}/reload` });
    const failed = await sidecar.outcome('failed');
    expect(failed).toMatchObject({
      reloadOwed: true,
      message: `Cannot POST "${server.origin}/reload": it answered 404; check RELOAD_URL, RELOAD_METHOD and RELOAD_HEADERS`,
    });
    expect(Date.parse(failed.nextAttemptAt ?? '') - Date.now()).toBeGreaterThan(30_000);
    expect(await sidecar.metric('config_sidecar_reloads_total')).toEqual({
      '{target="default",result="misconfigured"}': 1,
    });
    job.set('two');
    await until('the next change is tried', () => server.received.length === 2);
    await server.stop();
  });

  test('that asks for time gets it', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const server = await startHttpSource();
    const askedAt: number[] = [];
    server.answer((_request, response) => {
      askedAt.push(Date.now());
      respond(response, askedAt.length > 1 ? 204 : 503, '', { 'retry-after': '3' });
    });
    const sidecar = await place.start({ ...job.variables, RELOAD_URL: `${server.origin}/reload` });
    await sidecar.outcome('applied');
    const [first = 0, second = 0] = askedAt;
    expect(second - first).toBeGreaterThanOrEqual(2_900);
    await server.stop();
  });

  test('is not asked while a named process is absent', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const server = await startHttpSource();
    server.answer((_request, response) => respond(response, 204, ''));
    const hook = { RELOAD_URL: `${server.origin}/reload`, APP_PROCESS: place.name };
    const sidecar = await place.start({ ...job.variables, ...hook });
    await sidecar.outcome('no-target');
    expect(server.received).toEqual([]);
    await place.app({ config: job.config });
    expect(await sidecar.outcome('picked-up')).toMatchObject({ running: { evidence: 'started' } });
    job.set('two');
    await until('it is asked now that the process is there', () => server.received.length === 1);
    await sidecar.outcome('applied');
    await server.stop();
  });
});
