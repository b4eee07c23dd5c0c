// The examples are right: their files fit together, and what they say happens with the real programs.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { load as parseYaml } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { isName } from '../src/settings/table.ts';
import { loadSettings } from '../src/settings.ts';
import { DIST } from './e2e/sidecar.ts';
import { type EtcdServer, startEtcd } from './servers/etcd.ts';
import { fetchDebian } from './servers/fetch-debian.ts';
import { freePorts, portOf } from './servers/ports.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const EXAMPLES = join(ROOT, 'examples');
const NGINX_SIGNAL = join(EXAMPLES, 'nginx-signal');
const PATIENCE = { timeout: 60_000, interval: 50 };

test('every example has a README of at most 40 lines', () => {
  const names = readdirSync(EXAMPLES);
  expect(names).toEqual(['local-dev', 'nginx-signal']);
  for (const name of names) {
    expect(readFileSync(join(EXAMPLES, name, 'README.md'), 'utf8').split('\n').length).toBeLessThanOrEqual(
      41,
    );
  }
});

interface Container {
  readonly name: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: ReadonlyArray<{ readonly name: string; readonly value: string }>;
  readonly volumeMounts: ReadonlyArray<{
    name: string;
    mountPath: string;
    readOnly?: boolean;
    subPath?: string;
  }>;
}

interface Pod {
  readonly apiVersion: string;
  readonly kind: string;
  readonly spec: {
    readonly shareProcessNamespace: boolean;
    readonly securityContext: { readonly runAsUser: number };
    readonly initContainers: readonly Container[];
    readonly containers: readonly Container[];
    readonly volumes: ReadonlyArray<{
      readonly name: string;
      readonly emptyDir?: object;
      readonly configMap?: object;
    }>;
  };
}

const POD = parseYaml(readFileSync(join(NGINX_SIGNAL, 'pod.yaml'), 'utf8')) as Pod;

function container(name: string): Container {
  const found = [...POD.spec.initContainers, ...POD.spec.containers].find((one) => one.name === name);
  if (found === undefined) throw new Error(`pod.yaml has no container "${name}"`);
  return found;
}

/** The environment of a container, with the pod's paths and addresses replaced by those given. */
function envOf(name: string, replaced: Readonly<Record<string, string>> = {}): Record<string, string> {
  const place = (text: string): string =>
    Object.entries(replaced).reduce((value, [from, to]) => value.replace(from, to), text);
  return Object.fromEntries((container(name).env ?? []).map((one) => [one.name, place(one.value)]));
}

describe('examples/nginx-signal/pod.yaml', () => {
  test('is a pod whose containers see and may signal each other, with the volume mounted as a directory', () => {
    expect(POD).toMatchObject({
      apiVersion: 'v1',
      kind: 'Pod',
      spec: { shareProcessNamespace: true, securityContext: { runAsNonRoot: true, runAsUser: 10001 } },
    });
    for (const one of [...POD.spec.initContainers, ...POD.spec.containers]) {
      expect(one).not.toHaveProperty('securityContext.runAsUser');
      for (const mount of one.volumeMounts) {
        expect(mount.subPath).toBeUndefined();
        expect(POD.spec.volumes.map((volume) => volume.name)).toContain(mount.name);
      }
    }
    const live = (name: string) => container(name).volumeMounts.find((mount) => mount.name === 'live');
    expect(POD.spec.volumes).toContainEqual({ name: 'live', emptyDir: {} });
    expect(live('nginx')).toEqual({ name: 'live', mountPath: '/live', readOnly: true });
    expect(live('config-sidecar')).toEqual({ name: 'live', mountPath: '/live' });
    expect(container('config-once').args).toEqual(['once']);
  });

  test.each(['config-once', 'config-sidecar'])('gives %s settings that it takes', async (name) => {
    const env = envOf(name, { '/templates': NGINX_SIGNAL });
    expect(Object.keys(env).filter((variable) => !isName(variable))).toEqual([]);
    const { warnings, settings } = await loadSettings({ flags: [], env, cwd: '/' });
    expect(warnings).toEqual([]);
    expect(settings).toMatchObject({
      OUTPUT: { kind: 'file', path: '/live/nginx.conf' },
      APP_PROCESS: { kind: 'name', name: 'nginx' },
      RELOAD_SIGNAL: 'SIGHUP',
    });
  });
});

describe('examples/nginx-signal with a real nginx and a real etcd', () => {
  let nginx: string;
  let etcd: EtcdServer;

  beforeAll(async () => {
    nginx = join(await fetchDebian(['nginx']), 'usr/sbin/nginx');
    etcd = await startEtcd();
  });

  afterAll(() => etcd.end());

  test('a change is served after the reload, and only the master is signalled', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nginx-signal-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const live = join(folder, 'live');
    const run = join(folder, 'run');
    for (const path of [live, run]) mkdirSync(path);
    const [port = 0] = await freePorts(1);
    const [red, blue] = [await backend('red'), await backend('blue')];
    await etcd.putAll({
      '/app/web/listen': `127.0.0.1:${port}`,
      '/app/web/banner': 'first',
      '/app/web/backends/one': red,
    });
    const replaced = { '/templates': NGINX_SIGNAL, '/live': live, 'etcd:2379': `127.0.0.1:${etcd.port}` };
    const env = { PATH: process.env['PATH'], ...envOf('config-sidecar', replaced), LISTEN: 'off' };
    const words = (container('nginx').command ?? []).map((word) =>
      word.replace('/run/nginx', run).replace('/live', live),
    );
    const sidecar = [process.execPath, join(DIST, 'main.js')];
    const log = (name: string) => readFileSync(join(folder, name), 'utf8');

    const init = startTogether(folder, env, { once: [...sidecar, 'once'] });
    expect(await init.ended, log('once.log')).toBe(0);
    startTogether(folder, env, { nginx: [nginx, ...words.slice(1)], sidecar });
    await expect.poll(() => served(port), PATIENCE).toBe('red first');
    const master = readFileSync(join(run, 'nginx.pid'), 'utf8');
    await expect.poll(() => log('sidecar.log'), PATIENCE).toMatch(/"event":"(picked-up|applied)"/);
    const before = signalsIn(log('nginx.log')).length;

    await etcd.putAll({ '/app/web/backends/one': blue, '/app/web/banner': 'it\'s "second"; }' });
    await expect.poll(() => served(port), PATIENCE).toBe('blue it\'s "second"; }');

    // nginx knows no way to write this text, so it must not come near it.
    await etcd.put('/app/web/banner', '$uid');
    await expect.poll(() => log('sidecar.log'), PATIENCE).toContain('"event":"rejected"');
    expect(await served(port)).toBe('blue it\'s "second"; }');

    await etcd.putAll({ '/app/web/banner': 'third' });
    await expect.poll(() => served(port), PATIENCE).toBe('blue third');
    expect(await (await fetch(`http://127.0.0.1:${port}/config-revision`)).text()).toMatch(/^\d+$/);
    expect(readFileSync(join(run, 'nginx.pid'), 'utf8')).toBe(master);
    const signals = signalsIn(log('nginx.log'));
    expect(signals.length - before).toBe(2);
    expect(new Set(signals)).toEqual(new Set(['reconfiguring']));
  }, 120_000);
});

/** What was done with each SIGHUP that arrived: the master says "reconfiguring", a worker "ignoring". */
function signalsIn(log: string): readonly string[] {
  return [...log.matchAll(/signal 1 \(SIGHUP\) received from \d+, (\w+)/g)].map(([, done = '']) => done);
}

interface Together {
  /** How the first of them to end has ended. */
  readonly ended: Promise<number | null>;
}

/**
 * Starts programs that see each other and no other process of this machine, as in a pod: nothing that is named nginx
 * here is taken for theirs. Each one's output goes to `<name>.log` in the folder.
 */
function startTogether(
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
  programs: Readonly<Record<string, readonly string[]>>,
): Together {
  const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
  const lines = Object.entries(programs).map(([name, words]) => {
    return `${words.map(quote).join(' ')} > ${quote(join(folder, `${name}.log`))} 2>&1 &`;
  });
  const isRoot = process.getuid?.() === 0;
  const flags = [
    ...(isRoot ? [] : ['--user', '--map-root-user']),
    '--pid',
    '--fork',
    '--mount-proc',
    '--kill-child',
  ];
  expect(spawnSync('unshare', [...flags, 'true']).status, 'this test needs "unshare --pid"').toBe(0);
  const child: ChildProcess = spawn('unshare', [...flags, 'sh', '-c', `${lines.join('\n')}\nwait $!`], {
    env,
    stdio: 'ignore',
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { ended };
}

/** A web server that answers with its name; gives its address. */
async function backend(name: string): Promise<string> {
  const server = createServer((_request, response) => response.end(name));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `127.0.0.1:${portOf(server)}`;
}

/** The backend and the banner that answer through nginx, or why none does. */
async function served(port: number): Promise<string> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { Connection: 'close' } });
    return `${await response.text()} ${response.headers.get('x-banner')}`;
  } catch (thrown) {
    return String(thrown);
  }
}
