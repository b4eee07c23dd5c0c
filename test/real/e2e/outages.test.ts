// A source that cannot be asked never looks like one that is empty: nothing is written, no notification is sent, little is logged.
import { readFileSync, statSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import { until } from '../../support/e2e/until.ts';
import { startConsul } from '../../support/servers/consul.ts';
import { startEtcd } from '../../support/servers/etcd.ts';
import { respond, servesDocument, startHttpSource } from '../../support/servers/http-source.ts';

interface Outage {
  readonly url: string;
  readonly put: (value: string) => Promise<void>;
  readonly goDown: () => Promise<void>;
  readonly comeBack: () => Promise<void>;
  readonly end: () => Promise<void>;
}

type Opens = Readonly<Record<string, (place: Place) => Promise<Outage>>>;

const SOURCES: Opens = {
  etcd: async ({ name }) => {
    const server = await startEtcd();
    return {
      url: `etcd://127.0.0.1:${server.port}/${name}/`,
      put: (value) => server.put(`/${name}/value`, value),
      goDown: () => server.stop('SIGKILL'),
      comeBack: () => server.start(),
      end: () => server.end(),
    };
  },
  // It forgets everything when it is stopped: before the key is there again, it answers that there is nothing.
  Consul: async ({ name }) => {
    const server = await startConsul();
    let last = '';
    const put = (value: string): Promise<void> => {
      last = value;
      return server.put(`${name}/value`, value);
    };
    return {
      url: `consul://127.0.0.1:${server.port}/${name}/`,
      put,
      goDown: () => server.stop('SIGKILL'),
      comeBack: async () => {
        await server.start();
        await put(last);
      },
      end: () => server.end(),
    };
  },
  'an HTTP API that answers 500': async () => {
    const server = await startHttpSource();
    let document = { etag: '"0"', body: '{}' };
    let isDown = false;
    const serve = servesDocument(() => document);
    server.answer((request, response) => {
      if (isDown) respond(response, 500, 'no leader');
      else serve(request, response);
    });
    return {
      url: `${server.origin}/app.json`,
      put: async (value) => {
        document = { etag: `"${value}"`, body: JSON.stringify({ value }) };
      },
      goDown: async () => {
        isDown = true;
      },
      comeBack: async () => {
        isDown = false;
      },
      end: () => server.stop(),
    };
  },
};

describe.concurrent.each(Object.entries(SOURCES))('%s', (_name, open) => {
  test('that goes away for a while leaves file and application alone, and is fresh again afterwards', async (context) => {
    const place = createPlace(context);
    const config = `${place.directory('out')}/app.json`;
    const source = await open(place);
    const hook = await startHttpSource();
    const told: unknown[] = [];
    hook.answer((_request, response) => {
      told.push(JSON.parse(readFileSync(config, 'utf8')).value);
      respond(response, 204, '');
    });
    await source.put('one');
    const sidecar = await place.start({
      SOURCE: source.url,
      OUTPUT: config,
      RELOAD_URL: hook.origin,
      UPDATE_FREQUENCY: '1s',
      STALE_AFTER: '3s',
      FETCH_TIMEOUT: '2s',
    });
    await sidecar.outcome('applied');
    expect(await sidecar.metric('config_sidecar_fresh')).toEqual({ '{target="default"}': 1 });
    const { ino, mtimeMs } = statSync(config);
    await source.goDown();
    await until('it is no longer fresh', async () => !(await sidecar.status()).fresh);
    const { ready, targets } = await sidecar.status();
    expect(ready).toBe(true);
    expect(targets['default']?.sources[0]).toMatchObject({ up: false, error: { code: expect.any(String) } });
    expect(await sidecar.metric('config_sidecar_fresh')).toEqual({ '{target="default"}': 0 });
    expect(Object.values(await sidecar.metric('config_sidecar_source_up'))).toEqual([0]);
    await until('some tries have failed', async () => {
      const errors = await sidecar.metric('config_sidecar_source_errors_total');
      return Object.values(errors).reduce((sum: number, count = 0) => sum + count, 0) >= 4;
    });
    expect((await sidecar.get('/readyz')).status).toBe(200);
    expect(sidecar.logs('source down').length).toBeLessThanOrEqual(3);
    await source.comeBack();
    await until('it is fresh again', async () => (await sidecar.status()).fresh);
    expect(statSync(config)).toMatchObject({ ino, mtimeMs });
    await source.put('two');
    await until('it is notified of the change', () => told.length > 1);
    expect(told).toEqual(['one', 'two']);
    await Promise.all([source.end(), hook.stop()]);
  });

  test('that is down at the start is waited for: alive, not ready, nothing on the volume', async (context) => {
    const place = createPlace(context);
    const config = `${place.directory('out')}/app.json`;
    const source = await open(place);
    await source.put('one');
    await source.goDown();
    const variables = { SOURCE: source.url, OUTPUT: config, UPDATE_FREQUENCY: '1s', FETCH_TIMEOUT: '2s' };
    const sidecar = await place.start(variables);
    const line = await until('it says so', () => sidecar.logs('source down')[0]);
    expect(line).toMatchObject({ level: 'warn', source: source.url });
    const notReady = await sidecar.get('/readyz');
    expect(notReady.status).toBe(503);
    expect(notReady.body).toContain('not ready\ndefault: Cannot ');
    expect((await sidecar.get('/healthz')).status).toBe(200);
    const { code, ms, stdout } = await place.run(['once'], {
      ...variables,
      OUTPUT: `${place.directory('out2')}/app.json`,
      ONCE_TIMEOUT: '2500ms',
    });
    expect(code).toBe(3);
    expect(ms).toBeLessThan(10_000);
    const last = stdout.split('\n').find((text) => text.includes('"event":"out of time"')) ?? '{}';
    expect(JSON.parse(last)).toMatchObject({
      level: 'error',
      source: source.url,
      message: expect.stringContaining('127.0.0.1'),
    });
    expect(sidecar.isRunning()).toBe(true);
    await source.comeBack();
    await sidecar.outcome('applied');
    expect(JSON.parse(place.read('out/app.json'))).toEqual({ value: 'one' });
    await source.end();
  });
});

test('with the source away, status and page say since when it has been silent, at the top', async (context) => {
  const place = createPlace(context);
  const server = await startHttpSource();
  server.answer(servesDocument(() => ({ etag: '"one"', body: '{"value":"one"}\n' })));
  place.directory('out');
  const sidecar = await place.start({
    SOURCE: `${server.origin}/app.json`,
    UPDATE_FREQUENCY: '200ms',
    OUTPUT: place.at('out/app.json'),
  });
  expect((await sidecar.outcome('applied')).message).toBe(
    'The configuration of the source is published, and the application has been notified where that is configured.',
  );
  await server.stop();
  await until('the source is down', async () => (await sidecar.target()).sources[0]?.up === false);
  const { message, outcome, sources } = await sidecar.target();
  expect(outcome).toBe('applied');
  const { lastContactAt } = sources[0] ?? {};
  expect(message).toMatch(
    new RegExp(
      `^The source "${server.origin}/app.json" has been silent since ${lastContactAt} \\(source\\.\\w+\\)\\. As of then: The configuration`,
    ),
  );
  expect((await sidecar.get('/')).body).toContain('has been silent since');
});
