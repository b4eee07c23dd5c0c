// SIGHUP to the sidecar: the settings file is read again; what changed restarts, what is wrong changes nothing.
import { existsSync, statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import {
  type Backing,
  consulTree,
  etcdTree,
  fileDocument,
  fileJob,
  httpDocument,
  replaceFile,
} from '../../support/e2e/backing.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import { httpGet } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { type ConsulServer, startConsul } from '../../support/servers/consul.ts';
import { type EtcdServer, startEtcd } from '../../support/servers/etcd.ts';
import { startHttpSource } from '../../support/servers/http-source.ts';
import { freePorts } from '../../support/servers/ports.ts';

let etcd: EtcdServer;
let consul: ConsulServer;

beforeAll(async () => {
  [etcd, consul] = await Promise.all([startEtcd(), startConsul()]);
});

afterAll(async () => {
  await Promise.all([etcd?.end(), consul?.end()]);
});

const SOURCES: Readonly<Record<string, (place: Place) => Promise<Backing>>> = {
  etcd: async (place) => etcdTree(etcd, place),
  Consul: async (place) => consulTree(consul, place),
  HTTP: async () => httpDocument(await startHttpSource()),
  file: async (place) => fileDocument(place),
};

function yamlOf(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name.toLowerCase()}: ${JSON.stringify(value)}\n`)
    .join('');
}

describe.concurrent.each(Object.entries(SOURCES))('with %s', (_name, open) => {
  test('the same settings only read again, bad ones change nothing, another output moves there', async (context) => {
    const place = createPlace(context);
    const source = await open(place);
    await source.set({ value: 'one' });
    place.directory('out');
    const base = {
      ...source.variables,
      output: place.at('out/a.json'),
      app_process: place.name,
      reload_min_interval: '0s',
    };
    const file = place.write('settings.yaml', yamlOf(base));
    const app = await place.app({ config: place.at('out/a.json') });
    const sidecar = await place.start({ SETTINGS_FILE: file });
    await until('it is notified', () => app.told().length === 1);
    await sidecar.outcome('applied');
    const { ino } = statSync(place.at('out/a.json'));

    replaceFile(file, `${yamlOf(base)}debounce: never\nno_such_key: 1\n`);
    sidecar.signal('SIGHUP');
    const refused = await until('the bad file is refused', () => sidecar.logs('settings refused')[0]);
    expect(refused).toMatchObject({ level: 'error', code: 'settings' });
    expect(String(refused['message'])).toContain(`debounce in "${file}"`);
    expect(String(refused['message'])).toContain(`no_such_key in "${file}"`);

    replaceFile(file, yamlOf(base));
    sidecar.signal('SIGHUP');
    await source.set({ value: 'two' });
    await until('it is notified of a change', () => app.told().length === 2);
    expect(app.told().map((text) => JSON.parse(String(text)).value)).toEqual(['one', 'two']);
    expect(statSync(place.at('out/a.json')).ino).not.toBe(ino);
    expect(sidecar.logs('settings changed')).toEqual([]);

    replaceFile(file, yamlOf({ ...base, output: place.at('out/b.json') }));
    sidecar.signal('SIGHUP');
    await until('the new output is there', () => existsSync(place.at('out/b.json')));
    await until('it says so', () => sidecar.logs('settings changed').length === 1);
    const before = statSync(place.at('out/a.json')).ino;
    await source.set({ value: 'three' });
    await until('the new output follows', () => JSON.parse(place.read('out/b.json')).value === 'three');
    expect(statSync(place.at('out/a.json')).ino).toBe(before);
    expect(await sidecar.end()).toMatchObject({ code: 0 });
  });
});

describe.concurrent('SIGHUP', () => {
  test('reads a polled source at once', async (context) => {
    const place = createPlace(context);
    const server = await startHttpSource();
    const source = httpDocument(server);
    await source.set({ value: 'one' });
    const config = `${place.directory('out')}/app.json`;
    const sidecar = await place.start({ ...source.variables, UPDATE_FREQUENCY: '5m', OUTPUT: config });
    await sidecar.outcome('applied');
    await source.set({ value: 'two' });
    sidecar.signal('SIGHUP');
    await until('the change is there', () => JSON.parse(place.read('out/app.json')).value === 'two');
    await server.stop();
  });

  test('with another LISTEN moves the endpoints, and notifies the application of nothing', async (context) => {
    const { file, sidecar, place, ports, settings } = await startListening(context, 'echo told >> told');
    const [first, second] = ports;
    await until('nothing is owed', async () => !(await targetAt(first)).reloadOwed);
    replaceFile(file, yamlOf({ ...settings, listen: `127.0.0.1:${second}` }));
    sidecar.signal('SIGHUP');
    await until('it is ready elsewhere', async () => (await httpGet(second, '/readyz')).status === 200);
    await until('it is found unchanged', async () => {
      const { outcome, reloadOwed } = await targetAt(second);
      return outcome === 'unchanged' && !reloadOwed;
    });
    await expect(httpGet(first, '/readyz')).rejects.toThrow('ECONNREFUSED');
    expect(place.read('told')).toBe('told\n');
  });

  test('amid a reload leaves it owed, and it is delivered under the new settings', async (context) => {
    const command = 'echo told >> told; while [ ! -e go ]; do sleep 0.05; done; echo done >> told';
    const { file, sidecar, place, ports, settings } = await startListening(context, command);
    const [first, second] = ports;
    expect((await targetAt(first)).reloadOwed).toBe(true);
    replaceFile(file, yamlOf({ ...settings, listen: `127.0.0.1:${second}` }));
    sidecar.signal('SIGHUP');
    await until('it is tried again or still runs', async () => (await targetAt(second)).reloadOwed);
    place.write('go', '');
    await until('nothing is owed', async () => {
      const { outcome, reloadOwed } = await targetAt(second);
      return outcome === 'applied' && !reloadOwed;
    });
    expect(place.read('told')).toMatch(/^(told\n){1,2}done\n$/);
  });

  test('with an address that is taken keeps everything as it was', async (context) => {
    const place = createPlace(context);
    const blocker = await startHttpSource();
    const [first = 0] = await freePorts(1);
    place.write('source.json', '{"value":1}');
    place.directory('out');
    const base = { source: place.at('source.json'), output: place.at('out/app.json') };
    const file = place.write('settings.yaml', yamlOf({ ...base, listen: `127.0.0.1:${first}` }));
    const sidecar = await place.start({ SETTINGS_FILE: file, LISTEN: '' });
    await until('it is ready', async () => (await httpGet(first, '/readyz')).status === 200);
    replaceFile(file, yamlOf({ ...base, listen: `127.0.0.1:${blocker.port}` }));
    sidecar.signal('SIGHUP');
    await until('it is refused', () => sidecar.logs().some(({ level }) => level === 'error'));
    expect((await httpGet(first, '/readyz')).status).toBe(200);
    replaceFile(place.at('source.json'), '{"value":2}');
    await until('it still follows', () => place.read('out/app.json') === '{"value":2}');
    await blocker.stop();
  });
});

test('a warning is logged once, not at every SIGHUP; a new one is logged', async (context) => {
  const place = createPlace(context);
  const job = fileJob(place);
  const file = place.write('settings.yaml', 'preset: envoy\n');
  const sidecar = await place.start({ ...job.variables, SETTINGS_FILE: file });
  await sidecar.outcome('applied');
  const warned = (): readonly unknown[] => sidecar.logs('setting suspicious').map(({ message }) => message);
  const contact = async () => (await sidecar.target()).sources[0]?.lastContactAt ?? '';
  for (let i = 0; i < 2; i += 1) {
    const before = await contact();
    sidecar.signal('SIGHUP');
    await until('it has read the source again', async () => (await contact()) > before);
  }
  expect(warned()).toEqual([expect.stringContaining('PRESET "envoy" is unverified')]);
  replaceFile(file, 'preset: traefik\n');
  sidecar.signal('SIGHUP');
  await until('the new one is there', () => warned().length === 2);
  expect(warned()[1]).toContain('PRESET "traefik" is unverified');
});

/** A sidecar whose reload command has begun, and an address for it to move to. */
async function startListening(context: TestContext, command: string) {
  const place = createPlace(context);
  const [first = 0, second = 0] = await freePorts(2);
  place.write('source.json', '{"value":1}');
  place.directory('out');
  const settings = {
    source: place.at('source.json'),
    output: place.at('out/app.json'),
    reload_command: `sh -c '${command}'`,
  };
  const file = place.write('settings.yaml', yamlOf({ ...settings, listen: `127.0.0.1:${first}` }));
  const sidecar = await place.start({ SETTINGS_FILE: file, LISTEN: '' });
  await until('it is ready', async () => (await httpGet(first, '/readyz')).status === 200);
  await until('its command has begun', () => existsSync(place.at('told')));
  return { file, sidecar, place, settings, ports: [first, second] as const };
}

async function targetAt(
  port: number,
): Promise<{ readonly outcome: string | null; readonly reloadOwed: boolean }> {
  return JSON.parse((await httpGet(port, '/status')).body).targets.default;
}
