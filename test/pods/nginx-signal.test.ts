// @module-tag root
// examples/nginx-signal as a pod, with a real etcd in it, and nginx as the checker in the sidecar's image: from a start
// without the store to the end of the pod, and the next pod that finds what was known to be good.
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/e2e/until.ts';
import { type Images, openImages } from '../support/pods/images.ts';
import {
  changeContainers,
  type Manifest,
  readExample,
  readManifest,
  withEnv,
  withServices,
} from '../support/pods/manifest.ts';
import { memoryOf } from '../support/pods/memory.ts';
import { layOutPod, type Pod, printLogs } from '../support/pods/pod.ts';
import { COMMAND, type PodSidecar, sidecarIn } from '../support/pods/sidecar.ts';
import { etcdContainer, putInEtcd } from '../support/pods/stores.ts';

const WEB = 'http://127.0.0.1:8080';
/** Shortened for tests; the defaults are 60s, 3s and 30s. */
const TIMES = { ONCE_TIMEOUT: '2s', CONFIRM_PERIOD: '1s', CONFIRM_TIMEOUT: '5s' };

const PATIENCE = { timeout: 30_000, interval: 100 };

describe('examples/nginx-signal', () => runPod());

function runPod(): void {
  let images: Images;
  let server: string;
  let pod: Pod;
  let sidecar: PodSidecar;
  const state = mkdtempSync(join(tmpdir(), 'nginx-state-'));
  chmodSync(state, 0o777);

  const layOut = async (): Promise<Pod> =>
    layOutPod(withState(example(server), state), {
      images,
      as: { nginx: server, 'config-sidecar': await images.sidecarWith('nginx') },
      configMaps: {
        'nginx-templates': { 'nginx.conf.liquid': readExample('nginx-signal', 'nginx.conf.liquid') },
      },
    });
  /** The backend that answers through nginx, and the banner it answers with. */
  const served = async (): Promise<string> => {
    const { body, headers } = await pod.ask(`${WEB}/`);
    return `${body.trim()} ${headers['x-banner']}`;
  };
  const signals = async (): Promise<readonly string[]> => signalsIn(await pod.logs('nginx'));
  const put = (values: Readonly<Record<string, string>>): Promise<string> =>
    putInEtcd(
      pod,
      Object.fromEntries(Object.entries(values).map(([key, value]) => [`/app/web/${key}`, value])),
    );

  beforeAll(async () => {
    images = await openImages();
    server = await images.server('nginx', 'etcd');
    pod = await layOut();
    sidecar = sidecarIn(pod);
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') await printLogs(pod);
  });

  afterAll(async () => {
    await pod?.remove();
    await images?.remove();
    rmSync(state, { recursive: true, force: true });
  });

  test('without etcd the init container fails, and nginx is not started before it has a configuration', async () => {
    await pod.startContainer('config-once');
    await until('the init container has failed', async () => (await pod.exits('config-once')).length > 0);
    expect(new Set(await pod.exits('config-once'))).toEqual(new Set([3]));
    await pod.startNext('backends');
    await pod.startNext('etcd');
    await put({ listen: '8080', banner: 'first', 'backends/one': '127.0.0.1:3001' });
    await until('it has done its work', async () => (await pod.exits('config-once')).includes(0));
    expect(await pod.isRunning('nginx')).toBe(false);
    await pod.startNext('nginx');
    await expect.poll(served, PATIENCE).toBe('red first');
  });

  test('the sidecar finds nginx as it should be, and does not signal it', async () => {
    await pod.startNext('config-sidecar');
    await sidecar.outcome('picked-up');
    expect(await pod.passes('config-sidecar', 'readinessProbe')).toBe(true);
    expect(await pod.passes('config-sidecar', 'livenessProbe')).toBe(true);
    expect(await signals()).toEqual([]);
  });

  test('a value put in etcd is served by nginx, and only its master was signalled', async () => {
    const revision = await put({ 'backends/one': '127.0.0.1:3002', banner: 'it\'s "second"; }' });
    expect(await sidecar.outcome('applied', revision)).toMatchObject({
      running: { evidence: 'alive workers' },
    });
    expect(await served()).toBe('blue it\'s "second"; }');
    expect((await pod.ask(`${WEB}/config-revision`)).body).toMatch(/^\d+$/);
    expect(await signals()).toEqual(['reconfiguring']);
  });

  test('what nginx cannot read is rejected by "nginx -t" in the image of the sidecar, and nothing is published', async () => {
    const { history } = await sidecar.outcome('rejected', await put({ workers: 'many' }));
    expect(history[0]).toMatchObject({ code: 'validate.command' });
    const { stdout } = await pod.exec('config-sidecar', ...COMMAND, 'status');
    expect(stdout).toContain('"worker_processes" directive invalid value');
    expect(await served()).toBe('blue it\'s "second"; }');
    expect(await signals()).toEqual(['reconfiguring']);
  });

  test('a port that is in use passes that check, keeps the new workers from starting, and is rolled back', async () => {
    const { history } = await sidecar.outcome('rolled-back', await put({ workers: '2', listen: '2379' }));
    expect(history.map(({ outcome }) => outcome)).toContain('unconfirmed');
    expect(readFileSync(join(pod.node.volume('live'), 'nginx.conf'), 'utf8')).toContain('listen 8080;');
    expect(await served()).toBe('blue it\'s "second"; }');
    await sidecar.outcome('applied', await put({ listen: '8080', banner: 'third' }));
    expect(await served()).toBe('blue third');
    expect(await signals()).toEqual(Array(4).fill('reconfiguring'));
  });

  test('etcd may die: nginx goes on, the sidecar stays ready, and what comes afterwards is served', async () => {
    await pod.kill('etcd');
    await until('etcd is back', () => pod.passes('etcd', 'startupProbe'));
    expect(await served()).toBe('blue third');
    expect(await pod.passes('config-sidecar', 'readinessProbe')).toBe(true);
    expect((await sidecar.logs('source down')).length).toBeGreaterThan(0);
    await sidecar.outcome('applied', await put({ banner: 'fourth' }));
    expect(await served()).toBe('blue fourth');
  });

  test('nginx may die: its successor is found, signalled once for the next change, and not for those it has read', async () => {
    const before = [await pod.pid('nginx'), (await signals()).length] as const;
    await pod.kill('nginx');
    await until('nginx is back', async () => (await pod.pid('nginx')) !== before[0]);
    await expect.poll(served, PATIENCE).toBe('blue fourth');
    await sidecar.outcome('applied', await put({ banner: 'fifth' }));
    expect(await served()).toBe('blue fifth');
    expect((await signals()).length).toBe(before[1] + 1);

    await pod.stopContainers('nginx');
    const revision = await put({ banner: 'sixth' });
    await sidecar.outcome('no-target', revision);
    await pod.startNext('nginx');
    await sidecar.outcome('picked-up', revision);
    expect(await served()).toBe('blue sixth');
    expect((await signals()).length).toBe(before[1] + 1);
  });

  test('the sidecar needs little memory at rest', async () => {
    const { resident, anonymous } = await memoryOf(pod, 'config-sidecar');
    console.log(`the sidecar's container at rest: ${resident} MiB resident, ${anonymous} MiB of it no files`);
    expect(resident).toBeLessThan(100);
  });

  test('the pod stops in time, with a change under way, and no process is signalled after SIGTERM', async () => {
    const before = (await signals()).length;
    await put({ banner: 'too late' });
    // Well before the ten seconds after which it would be killed.
    expect(await pod.stop()).toBeLessThan(8_000);
    const exits = await pod.exits('config-sidecar');
    expect(exits).toEqual([0]);
    const [, afterTerm = ''] = (await pod.logs('nginx')).split(
      /signal 15 \(SIGTERM\)(?![\s\S]*signal 15 \(SIGTERM\))/,
    );
    expect(signalsIn(afterTerm)).toEqual([]);
    expect((await signals()).length - before).toBeLessThanOrEqual(1);
  });

  test('the next pod, without etcd, serves what was known to be good: it lies on a volume of its own', async () => {
    await pod.remove();
    pod = await layOut();
    await pod.startNext('backends');
    await pod.startNext('config-once');
    expect(await pod.exits('config-once')).toEqual([0]);
    await pod.startNext('nginx');
    await expect.poll(served, PATIENCE).toMatch(/^blue (sixth|too late)$/);
  });
}

/** The example with etcd and two backends in the pod, and with a volume for STATE_DIR that outlives it. */
function example(server: string): Manifest {
  const site = (name: string, port: number): string =>
    `mkdir -p /tmp/${name} && echo ${name} > /tmp/${name}/index.html && busybox httpd -p 127.0.0.1:${port} -h /tmp/${name}`;
  const script = `${site('red', 3001)} && ${site('blue', 3002)} && exec sleep 1000000`;
  const backends = { name: 'backends', image: server, command: ['sh', '-c', script] };
  return withEnv(
    withServices(readManifest('nginx-signal'), etcdContainer(server), backends),
    'config-sidecar',
    TIMES,
  );
}

function withState(manifest: Manifest, path: string): Manifest {
  const { spec } = withEnv(manifest, 'config-sidecar', { STATE_DIR: '/state' });
  const state = { name: 'state', hostPath: { path, type: 'Directory' } };
  const all = { ...manifest, spec: { ...spec, volumes: [...(spec.volumes ?? []), state] } };
  return changeContainers(all, (one) =>
    one.image === 'config-sidecar'
      ? { ...one, volumeMounts: [...(one.volumeMounts ?? []), { name: 'state', mountPath: '/state' }] }
      : one,
  );
}

/** What was done with each SIGHUP that arrived: the master says "reconfiguring", a worker "ignoring". */
function signalsIn(log: string): readonly string[] {
  return [...log.matchAll(/signal 1 \(SIGHUP\) received from \d+, (\w+)/g)].map(([, done = '']) => done);
}
