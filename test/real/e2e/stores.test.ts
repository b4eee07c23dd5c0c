// What changes in a store and what does not: bursts, deletions, neighbours, equal values, empty answers, required keys.
import { readFileSync, statSync, utimesSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fileJob, publishedValue, replaceFile } from '../../support/e2e/backing.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import { until } from '../../support/e2e/until.ts';
import { type ConsulServer, startConsul } from '../../support/servers/consul.ts';
import { type EtcdServer, startEtcd } from '../../support/servers/etcd.ts';
import {
  type HttpSource,
  respond,
  servesDocument,
  startHttpSource,
} from '../../support/servers/http-source.ts';
import { freePorts } from '../../support/servers/ports.ts';

let etcd: EtcdServer;
let consul: ConsulServer;

beforeAll(async () => {
  [etcd, consul] = await Promise.all([startEtcd(), startConsul()]);
});

afterAll(async () => {
  await Promise.all([etcd?.end(), consul?.end()]);
});

interface Store {
  readonly url: (place: Place) => string;
  readonly put: (place: Place, key: string, value: string) => Promise<void>;
  /** Puts below a neighbour of the prefix that is followed. */
  readonly putBeside: (place: Place, key: string, value: string) => Promise<void>;
  readonly remove: (place: Place, key: string) => Promise<void>;
}

const STORES: Readonly<Record<'etcd' | 'Consul', Store>> = {
  etcd: {
    url: ({ name }) => `etcd://127.0.0.1:${etcd.port}/${name}/`,
    put: ({ name }, key, value) => etcd.put(`/${name}/${key}`, value),
    putBeside: ({ name }, key, value) => etcd.put(`/${name}2/${key}`, value),
    remove: ({ name }, key) => etcd.delete(`/${name}/${key}`),
  },
  Consul: {
    url: ({ name }) => `consul://127.0.0.1:${consul.port}/${name}/`,
    put: ({ name }, key, value) => consul.put(`${name}/${key}`, value),
    putBeside: ({ name }, key, value) => consul.put(`${name}2/${key}`, value),
    remove: ({ name }, key) => consul.delete(`${name}/${key}`),
  },
};

/** An application that is notified by HTTP and records what it then reads. */
async function hookFor(path: string): Promise<HttpSource & { readonly told: readonly unknown[] }> {
  const server = await startHttpSource();
  const told: unknown[] = [];
  server.answer((_request, response) => {
    told.push(JSON.parse(readFileSync(path, 'utf8')));
    respond(response, 204, '');
  });
  return Object.assign(server, { told });
}

describe.concurrent.each(Object.entries(STORES))('%s', (name, store) => {
  test('50 puts in a row notify at most twice, and the last value arrives', async (context) => {
    const place = createPlace(context);
    const config = `${place.directory('out')}/app.json`;
    const hook = await hookFor(config);
    await store.put(place, 'value', '0');
    const sidecar = await place.start({ SOURCE: store.url(place), OUTPUT: config, RELOAD_URL: hook.origin });
    await until('it is notified of the first', () => hook.told.length === 1);
    await until('the first publication is no longer recent', async () => {
      const applied =
        (await sidecar.metric('config_sidecar_last_applied_timestamp_seconds'))['{target="default"}'] ?? 0;
      return Date.now() / 1000 - applied > 1.1;
    });
    const startedAt = Date.now();
    for (let i = 1; i <= 50; i += 1) await store.put(place, 'value', String(i));
    const tookSeconds = (Date.now() - startedAt) / 1000;
    await until('it is notified of the last', () => (hook.told.at(-1) as { value: string }).value === '50');
    await sidecar.outcome('applied');
    expect(hook.told.length - 1).toBeLessThanOrEqual(2 + Math.floor(tookSeconds));
    await hook.stop();
  });

  test('a stream of puts cannot put a change off for longer than DEBOUNCE_MAX', async (context) => {
    const place = createPlace(context);
    const config = `${place.directory('out')}/app.json`;
    const hook = await hookFor(config);
    await store.put(place, 'value', '0');
    const timing = { DEBOUNCE: '300ms', DEBOUNCE_MAX: '800ms', RELOAD_MIN_INTERVAL: '0s' };
    await place.start({ SOURCE: store.url(place), OUTPUT: config, RELOAD_URL: hook.origin, ...timing });
    await until('it is notified of the first', () => hook.told.length === 1);
    for (let i = 1; i <= 25; i += 1) {
      await store.put(place, 'value', String(i));
      await sleep(100);
    }
    const during = hook.told.length - 1;
    await until('it is notified of the last', () => (hook.told.at(-1) as { value: string }).value === '25');
    expect(during).toBeGreaterThanOrEqual(2);
    expect(during).toBeLessThanOrEqual(8);
    await hook.stop();
  });

  test('what is put while the first hook is still running is applied without a further put', async (context) => {
    const place = createPlace(context);
    const config = `${place.directory('out')}/app.json`;
    const script = place.write(
      'hook.sh',
      `echo run >> runs; cat ${config} >> seen; echo >> seen; test "$(wc -l < runs)" -gt 1 || sleep 2\n`,
    );
    await store.put(place, 'value', 'early');
    await place.start({ SOURCE: store.url(place), OUTPUT: config, RELOAD_COMMAND: `sh ${script}` });
    await until('the hook runs', () => place.read('runs') !== '');
    await store.put(place, 'value', 'meanwhile');
    await until('it is notified of the second as well', () => place.read('seen').includes('meanwhile'));
    expect(place.read('runs')).toBe('run\nrun\n');
  });

  test('a neighbour, an equal value: nothing happens; a deleted key disappears', async (context) => {
    const place = createPlace(context);
    const config = `${place.directory('out')}/app.json`;
    const hook = await hookFor(config);
    await store.put(place, 'a', '1');
    await store.put(place, 'b', '2');
    const fast = { RELOAD_MIN_INTERVAL: '0s', DEBOUNCE: '0s' };
    const sidecar = await place.start({
      SOURCE: store.url(place),
      OUTPUT: config,
      RELOAD_URL: hook.origin,
      ...fast,
    });
    await sidecar.outcome('applied');
    const { ino, mtimeMs } = statSync(config);
    await store.putBeside(place, 'c', '3');
    await store.put(place, 'a', '1');
    // Consul itself takes an equal value for no change at all.
    if (name === 'etcd') await sidecar.outcome('unchanged');
    expect(statSync(config)).toMatchObject({ ino, mtimeMs });
    await store.remove(place, 'b');
    await until('it is notified of the deletion', () => hook.told.length > 1);
    expect(hook.told).toEqual([{ a: '1', b: '2' }, { a: '1' }]);
    await hook.stop();
  });

  test('no keys at all are refused, not published, unless that is allowed', async (context) => {
    const place = createPlace(context);
    const config = `${place.directory('out')}/app.json`;
    const variables = { SOURCE: store.url(place), OUTPUT: config };
    const sidecar = await place.start(variables);
    expect(await sidecar.outcome('rejected')).toMatchObject({ code: 'source.empty' });
    expect((await sidecar.get('/readyz')).status).toBe(503);
    await store.put(place, 'a', '1');
    await sidecar.outcome('applied');
    await store.remove(place, 'a');
    await sidecar.outcome('rejected');
    expect(JSON.parse(place.read('out/app.json'))).toEqual({ a: '1' });
    expect((await sidecar.get('/readyz')).status).toBe(200);
    await sidecar.end();
    expect((await place.run(['once'], { ...variables, ALLOW_EMPTY: 'true' })).code).toBe(0);
    expect(JSON.parse(place.read('out/app.json'))).toEqual({});
  });

  test('a required key that is missing keeps the old file and is named; a default stands in for an optional one', async (context) => {
    const place = createPlace(context);
    place.directory('out');
    const template = place.write(
      'app.conf.liquid',
      'host {{ db.host }} port {{ db.port | default: 5432 }}\n',
    );
    const output = { OUTPUT: place.at('out/app.conf'), TEMPLATE: template, REQUIRED_KEYS: 'db/host other' };
    await store.put(place, 'db/host', 'h1');
    const sidecar = await place.start({ SOURCE: store.url(place), ...output });
    const missing = `Cannot accept "${store.url(place)}": a required key is missing: other`;
    expect(await sidecar.outcome('rejected')).toMatchObject({ code: 'guard.required', message: missing });
    expect((await sidecar.get('/readyz')).body).toBe(`not ready\ndefault: ${missing}\n`);
    await store.put(place, 'other', 'x');
    await sidecar.outcome('applied');
    expect(place.read('out/app.conf')).toBe('host h1 port 5432\n');
    await store.remove(place, 'db/host');
    expect((await sidecar.outcome('rejected')).message).toContain('a required key is missing: db/host');
    expect(place.read('out/app.conf')).toBe('host h1 port 5432\n');
  });

  test('once with a required key missing ends in time, not with 0, and names it', async (context) => {
    const place = createPlace(context);
    place.directory('out');
    await store.put(place, 'a', '1');
    const { code, stdout, ms } = await place.run(['once'], {
      SOURCE: store.url(place),
      OUTPUT: place.at('out/app.json'),
      REQUIRED_KEYS: 'db/host b a',
      ONCE_TIMEOUT: '10s',
    });
    expect(code).toBe(4);
    expect(stdout).toContain('required keys are missing: db/host, b');
    expect(ms).toBeLessThan(12_000);
  });
});

describe.concurrent('etcd alone', () => {
  test('dead endpoints before and after a living one do no harm', async (context) => {
    const place = createPlace(context);
    const config = `${place.directory('out')}/app.json`;
    const [one = 0, two = 0] = await freePorts(2);
    await etcd.put(`/${place.name}/a`, '1');
    const endpoints = [one, etcd.port, two].map((port) => `127.0.0.1:${port}`).join(',');
    const sidecar = await place.start({ SOURCE: `etcd://${endpoints}/${place.name}/`, OUTPUT: config });
    await sidecar.outcome('applied');
    await etcd.put(`/${place.name}/a`, '2');
    await until('the watch works', () => JSON.parse(place.read('out/app.json')).a === '2');
  });
});

describe.concurrent('UPDATE_FREQUENCY=1', () => {
  test('asks an HTTP source once a second, and a "304" is no change', async (context) => {
    const place = createPlace(context);
    const config = `${place.directory('out')}/app.json`;
    const server = await startHttpSource();
    server.answer(servesDocument(() => ({ etag: '"1"', body: '{}' })));
    const startedAt = Date.now();
    const sidecar = await place.start({
      SOURCE: `${server.origin}/app.json`,
      OUTPUT: config,
      UPDATE_FREQUENCY: '1',
    });
    await until('it was asked five times', () => server.received.length === 5);
    const ms = Date.now() - startedAt;
    expect(ms).toBeGreaterThanOrEqual(4 * 880);
    expect(ms).toBeLessThan(12_000);
    expect(server.received.slice(1).every(({ headers }) => headers['if-none-match'] === '"1"')).toBe(true);
    expect(await sidecar.metric('config_sidecar_generation')).toEqual({ '{target="default"}': 1 });
    await server.stop();
  });

  test('finds a file that was changed without a trace in its times', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const sidecar = await place.start({ ...job.variables, UPDATE_FREQUENCY: '1' });
    await sidecar.outcome('applied');
    const { atime, mtime } = statSync(place.at('source.json'));
    place.write('source.json', '{"value":"uno"}\n');
    utimesSync(place.at('source.json'), atime, mtime);
    await until('it is published', () => publishedValue(place.read('out/app.json')) === 'uno');
  });

  test.for(Object.entries(STORES))('sees changes of %s at once nevertheless', async ([, store], context) => {
    const place = createPlace(context);
    const config = `${place.directory('out')}/app.json`;
    await store.put(place, 'a', '0');
    const fast = { UPDATE_FREQUENCY: '1', RELOAD_MIN_INTERVAL: '0s' };
    const sidecar = await place.start({ SOURCE: store.url(place), OUTPUT: config, ...fast });
    await sidecar.outcome('applied');
    const contact = async (): Promise<string> => (await sidecar.target()).sources[0]?.lastContactAt ?? '';
    const first = await contact();
    await until('the source is read again without a change', async () => (await contact()) > first, 12_000);
    await store.put(place, 'a', '1');
    await until('the change is there', () => JSON.parse(place.read('out/app.json')).a === '1', 5_000);
    expect(await sidecar.metric('config_sidecar_generation')).toEqual({ '{target="default"}': 2 });
  });
});

describe.concurrent('a document', () => {
  test('that moved to another host is fetched there without our credentials', async (context) => {
    const place = createPlace(context);
    const config = `${place.directory('out')}/app.json`;
    const [home, elsewhere] = await Promise.all([startHttpSource(), startHttpSource()]);
    elsewhere.answer((_request, response) =>
      respond(response, 200, '{"a":1}', { 'content-type': 'application/json' }),
    );
    home.answer((_request, response) =>
      respond(response, 302, '', { location: `${elsewhere.origin}/moved.json` }),
    );
    const secrets = { HTTP_TOKEN: 'top-secret', HTTP_HEADERS: 'X-Key: also-secret' };
    const sidecar = await place.start({ SOURCE: `${home.origin}/app.json`, OUTPUT: config, ...secrets });
    await until('something was decided', async () => {
      const { outcome, sources } = await sidecar.target();
      return outcome !== null || (sources[0]?.error ?? null) !== null;
    });
    expect(home.received[0]?.headers).toMatchObject({
      authorization: 'Bearer top-secret',
      'x-key': 'also-secret',
    });
    expect(JSON.stringify(elsewhere.received)).not.toContain('secret');
    await Promise.all([home.stop(), elsewhere.stop()]);
  });

  test('in a file that is not there yet is waited for; then two edits in a second both count', async (context) => {
    const place = createPlace(context);
    const config = `${place.directory('out')}/app.json`;
    const hook = await hookFor(config);
    const source = place.at('later/app.json');
    const fast = { RELOAD_MIN_INTERVAL: '0s' };
    const sidecar = await place.start({ SOURCE: source, OUTPUT: config, RELOAD_URL: hook.origin, ...fast });
    await until('it is said to be missing', () => sidecar.logs('source down').length === 1);
    replaceFile(source, '{"edit":0}');
    await until('it is notified', () => hook.told.length === 1);
    replaceFile(source, '{"edit":1}');
    await until('it is notified of the first edit', () => hook.told.length === 2);
    replaceFile(source, '{"edit":2}');
    await until('it is notified of the second edit', () => hook.told.length === 3);
    expect(hook.told).toEqual([{ edit: 0 }, { edit: 1 }, { edit: 2 }]);
    await hook.stop();
  });
});
