// @module-tag root
// examples/haproxy-native-sidecar as a pod, played step by step as kubelet does: the sidecar first, HAProxy when the
// sidecar's start-up probe passes, and the sidecar last to end.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/e2e/until.ts';
import { type Images, openImages } from '../support/pods/images.ts';
import { type Manifest, readExample, readManifest, withEnv, withServices } from '../support/pods/manifest.ts';
import { layOutPod, type Pod, printLogs } from '../support/pods/pod.ts';
import { type PodSidecar, sidecarIn } from '../support/pods/sidecar.ts';

describe('examples/haproxy-native-sidecar', () => runPod());

function runPod(): void {
  let images: Images;
  let pod: Pod;
  let sidecar: PodSidecar;

  const served = async (): Promise<string> => (await pod.ask('http://127.0.0.1:8080/')).body.trim();
  const offer = (document: object): void =>
    writeFileSync(join(pod.node.volume('site'), 'proxy.yaml'), JSON.stringify(document));

  beforeAll(async () => {
    images = await openImages();
    const server = await images.server('haproxy');
    pod = await layOutPod(example(server), {
      images,
      as: { haproxy: server, 'config-sidecar': images.sidecar },
      configMaps: {
        'haproxy-templates': {
          'haproxy.cfg.liquid': readExample('haproxy-native-sidecar', 'haproxy.cfg.liquid'),
        },
      },
    });
    sidecar = sidecarIn(pod);
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') await printLogs(pod);
  });

  afterAll(async () => {
    await pod?.remove();
    await images?.remove();
  });

  test('without the source the sidecar lives and its start-up probe fails, so kubelet holds HAProxy back', async () => {
    const started = pod.startNext('config-sidecar');
    await until('the sidecar runs', () => pod.passes('config-sidecar', 'livenessProbe'));
    await until('it has asked', async () => (await sidecar.logs('source down')).length > 0);
    expect(await pod.passes('config-sidecar', 'startupProbe')).toBe(false);
    expect((await pod.ask('http://127.0.0.1:9533/readyz')).status).toBe(503);
    await pod.startNext('config');
    offer({ port: 8080, servers: [{ name: 'one', address: '127.0.0.1:3001' }] });
    await started;
    expect(await pod.exits('config-sidecar')).toEqual([]);
  });

  test('then HAProxy starts with its configuration, and no signal is needed', async () => {
    await pod.startNext('haproxy');
    await sidecar.outcome('picked-up');
    await until('it serves', async () => (await served()) === 'red');
    expect(await workersLost()).toBe(0);
  });

  test('a change reaches HAProxy by SIGUSR2: the same master, a new worker', async () => {
    const master = await pod.pid('haproxy');
    offer({ port: 8080, servers: [{ name: 'one', address: '127.0.0.1:3002' }] });
    await until('it serves the other', async () => (await served()) === 'blue');
    expect(await sidecar.settled('applied')).toMatchObject({ running: { evidence: 'alive workers' } });
    expect(await pod.pid('haproxy')).toBe(master);
    expect(await workersLost()).toBe(1);
  });

  test('a port that is in use keeps the new worker from starting, and is rolled back', async () => {
    offer({ port: 9533, servers: [{ name: 'one', address: '127.0.0.1:3001' }] });
    await sidecar.outcome('rolled-back');
    expect(await served()).toBe('blue');
    offer({ port: 8080, servers: [{ name: 'one', address: '127.0.0.1:3001' }] });
    await until('it serves what came next', async () => (await served()) === 'red');
    await sidecar.settled('applied');
  });

  test('at the end HAProxy goes first, a change meanwhile does no harm, and the sidecar ends with 0', async () => {
    await pod.stopContainers('haproxy');
    offer({ port: 8080, servers: [{ name: 'two', address: '127.0.0.1:3002' }] });
    await sidecar.outcome('no-target');
    expect(await pod.passes('config-sidecar', 'startupProbe')).toBe(true);
    expect(await pod.stop()).toBeLessThan(5_000);
    expect(await pod.exits('config-sidecar')).toEqual([0]);
    expect((await sidecar.logs()).at(-1)?.event).toBe('stopping');
  });

  /** How many workers have ended for a new one. */
  async function workersLost(): Promise<number> {
    return ((await pod.logs('haproxy')).match(/Former worker/g) ?? []).length;
  }
}

/** The example with a source that is a file behind a small web server, and with two applications. */
function example(server: string): Manifest {
  const settings = { UPDATE_FREQUENCY: '1s', CONFIRM_PERIOD: '1s', CONFIRM_TIMEOUT: '5s' };
  const site = (name: string, port: number): string =>
    `mkdir -p /tmp/${name} && echo ${name} > /tmp/${name}/index.html && busybox httpd -p 127.0.0.1:${port} -h /tmp/${name}`;
  const script = `${site('red', 3001)} && ${site('blue', 3002)} && exec busybox httpd -f -p 127.0.0.1:8000 -h /site`;
  const source = {
    name: 'config',
    image: server,
    command: ['sh', '-c', script],
    volumeMounts: [{ name: 'site', mountPath: '/site', readOnly: true }],
  };
  const manifest = withServices(
    withEnv(readManifest('haproxy-native-sidecar'), 'config-sidecar', settings),
    source,
  );
  const { spec } = manifest;
  return {
    ...manifest,
    spec: { ...spec, volumes: [...(spec.volumes ?? []), { name: 'site', emptyDir: {} }] },
  };
}
