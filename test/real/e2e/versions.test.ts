// The built program under every living line of Node, and that it loads no library it does not need.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Backing, consulTree, etcdTree, fileDocument, httpDocument } from '../../support/e2e/backing.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import { DIST } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { type ConsulServer, startConsul } from '../../support/servers/consul.ts';
import { type EtcdServer, startEtcd } from '../../support/servers/etcd.ts';
import { startHttpSource } from '../../support/servers/http-source.ts';
import { NODE_LINES, nodeProgram } from '../../support/servers/prerequisites.ts';

const LINES = NODE_LINES.lines;

let etcd: EtcdServer;
let consul: ConsulServer;
const nodes = new Map<string, string>();

beforeAll(async () => {
  [etcd, consul] = await Promise.all([startEtcd(), startConsul()]);
  for (const line of LINES) nodes.set(line, nodeProgram(line));
}, 300_000);

afterAll(async () => {
  await Promise.all([etcd?.end(), consul?.end()]);
});

const SOURCES: Readonly<Record<string, (place: Place) => Promise<Backing>>> = {
  etcd: async (place) => etcdTree(etcd, place),
  Consul: async (place) => consulTree(consul, place),
  HTTP: async () => httpDocument(await startHttpSource()),
  file: async (place) => fileDocument(place),
};

describe.concurrent.each(LINES)('under Node %s', (line) => {
  test('it is that line', async () => {
    const { stdout } = await promisify(execFile)(nodes.get(line) ?? '', ['--version']);
    expect(stdout).toMatch(new RegExp(`^v${line}\\.`));
  });

  test.for(Object.entries(SOURCES))('a change in %s reaches the application', async ([, open], context) => {
    const place = createPlace(context);
    const config = `${place.directory('out')}/app.conf`;
    const template = place.write('app.conf.liquid', 'is {{ value }}\n');
    const source = await open(place);
    await source.set({ value: 'one' });
    const app = await place.app({ config });
    const variables = { ...source.variables, OUTPUT: config, TEMPLATE: template, APP_PROCESS: place.name };
    const sidecar = await place.start(
      { ...variables, RELOAD_MIN_INTERVAL: '0s' },
      { node: nodes.get(line) ?? '' },
    );
    await until('it is notified', () => app.told().length === 1);
    await source.set({ value: 'two' });
    await until('it is notified of the change', () => app.told().length === 2);
    expect(app.told()).toEqual(['is one\n', 'is two\n']);
    await sidecar.outcome('applied');
    expect((await sidecar.get('/metrics')).status).toBe(200);
    const { code, ms } = await sidecar.end();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(5_000);
    // A warning about something deprecated would stand beside the log lines.
    expect(
      sidecar
        .output()
        .split('\n')
        .filter((text) => text !== '' && !text.startsWith('{')),
    ).toEqual([]);
  });
});

/** Which libraries are part of a chunk, by a text that each of them has. */
const LIBRARIES = {
  etcd3: 'etcdserverpb',
  axios: 'AxiosError',
  consul: 'x-consul-token',
  liquidjs: 'LiquidError',
  'prom-client': 'nodejs_eventloop_lag_seconds',
  ajv: 'strictTypes',
  'js-yaml': 'bad indentation of a mapping entry',
  'smol-toml': 'TomlError',
} as const;

type Library = keyof typeof LIBRARIES;

/** The libraries in the modules that Node loaded, read off what it opened. */
async function loadedLibraries(
  place: Place,
  source: Backing,
  more: Readonly<Record<string, string>> = {},
): Promise<readonly string[]> {
  const list = place.at('loaded');
  const hook = `const { registerHooks } = require('node:module'); const { appendFileSync } = require('node:fs');
registerHooks({ load(url, context, next) { appendFileSync(${JSON.stringify(list)}, url + '\\n'); return next(url, context); } });`;
  const preload = place.write('preload.cjs', hook);
  const start = { node: nodes.get('24') ?? '', nodeWords: ['--require', preload] };
  await source.set({ value: 'one' });
  const output = { OUTPUT: `${place.directory('out')}/app.json` };
  const sidecar = await place.start({ ...source.variables, ...output, ...more }, start);
  await sidecar.outcome('applied');
  const files = readFileSync(list, 'utf8')
    .split('\n')
    .filter((url) => url.startsWith('file:'));
  const texts = files.map((url) => readFileSync(new URL(url), 'utf8'));
  expect(texts.length).toBeGreaterThan(1);
  await sidecar.end();
  const names = Object.keys(LIBRARIES) as Library[];
  return names.filter((name) => texts.some((text) => text.includes(LIBRARIES[name])));
}

describe.concurrent('of the heavy libraries are loaded', () => {
  test('all of them from somewhere: the marks this test goes by are in the built program', () => {
    const chunks = readdirSync(join(DIST, 'chunks')).map((name) =>
      readFileSync(join(DIST, 'chunks', name), 'utf8'),
    );
    const found = Object.entries(LIBRARIES).filter(([, mark]) => chunks.some((text) => text.includes(mark)));
    expect(found.map(([name]) => name)).toEqual(Object.keys(LIBRARIES));
    const main = readFileSync(join(DIST, 'main.js'), 'utf8');
    expect(Object.values(LIBRARIES).filter((mark) => main.includes(mark))).toEqual([]);
  });

  test('none for a file', async (context) => {
    const place = createPlace(context);
    expect(await loadedLibraries(place, fileDocument(place))).toEqual([]);
  });

  test('only etcd3 for etcd', async (context) => {
    const place = createPlace(context);
    expect(await loadedLibraries(place, etcdTree(etcd, place))).toEqual(['etcd3']);
  });

  test('only consul for Consul', async (context) => {
    const place = createPlace(context);
    expect(await loadedLibraries(place, consulTree(consul, place))).toEqual(['consul']);
  });

  test('only axios for HTTP, and those that a template and a schema need', async (context) => {
    const place = createPlace(context);
    const source = httpDocument(await startHttpSource());
    const template = place.write('app.liquid', '{{ sidecar.data | json }}');
    const schema = place.write('schema.json', '{"type":"object"}');
    const found = await loadedLibraries(place, source, { TEMPLATE: template, SCHEMA: schema });
    expect(found).toEqual(['axios', 'liquidjs', 'ajv']);
  });
});

/** Those of Node's own modules that weigh most, and what has been loaded of them once a file is published. */
const HEAVY = [
  'http',
  'http2',
  'https',
  'tls',
  'vm',
  'worker_threads',
  'zlib',
  'internal/deps/undici/undici',
];

async function loadedBuiltIns(place: Place, source: Backing): Promise<unknown> {
  const list = place.at('built-ins.json');
  const hook = `process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(list)},
  JSON.stringify(${JSON.stringify(HEAVY)}.filter((name) => process.moduleLoadList.includes('NativeModule ' + name)))))`;
  const preload = place.write('preload.cjs', hook);
  await source.set({ value: 'one' });
  await promisify(execFile)(process.execPath, ['--require', preload, join(DIST, 'main.js'), 'once'], {
    env: { ...source.variables, OUTPUT: `${place.directory('out')}/app.json`, LISTEN: 'off' },
  });
  return JSON.parse(readFileSync(list, 'utf8'));
}

test('none of the heavy built-in modules is loaded for a file, and only two are for HTTP', async (context) => {
  const place = createPlace(context);
  expect(await loadedBuiltIns(place, fileDocument(place))).toEqual([]);
  const source = httpDocument(await startHttpSource());
  expect(await loadedBuiltIns(place, source)).toEqual(['http', 'zlib']);
});

test('no file of the program takes two bytes for each letter in memory', () => {
  const files = readdirSync(DIST, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.js'),
  );
  expect(files.length).toBeGreaterThan(10);
  const isAscii = (name: string): boolean => /^[\0-\x7f]*$/.test(readFileSync(join(DIST, name), 'utf8'));
  expect(files.filter((name) => !isAscii(name))).toEqual([]);
});
