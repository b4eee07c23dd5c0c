// @module-tag root
// examples/unbound-configmap as a pod: a ConfigMap that is swapped as kubelet does, a name server that is asked over DNS; and
// the same pod with a sidecar of another user, which may not signal, and says so.
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/e2e/until.ts';
import { type Images, openImages } from '../support/pods/images.ts';
import {
  changeContainers,
  type Manifest,
  readExample,
  readManifest,
  withEnv,
} from '../support/pods/manifest.ts';
import { createPod, type Pod } from '../support/pods/pod.ts';
import { COMMAND, sidecarIn } from '../support/pods/sidecar.ts';

const FILES = ['unbound.conf.liquid', 'names.yaml'];
const SOURCE = Object.fromEntries(FILES.map((name) => [name, readExample('unbound-configmap', name)]));
const ASK_DNS = fileURLToPath(new URL('../support/pods/ask-dns.mjs', import.meta.url));

describe('examples/unbound-configmap', () => runPods());

function runPods(): void {
  let images: Images;
  let as: Readonly<Record<string, string>>;

  beforeAll(async () => {
    images = await openImages();
    const checking = await images.sidecarWith('unbound-checkconf');
    as = { unbound: await images.server('unbound'), 'config-sidecar-unbound': checking };
  });

  afterAll(() => images?.remove());

  const start = async (manifest: Manifest): Promise<Pod> => {
    const quick = withEnv(manifest, 'config-sidecar-unbound', { CONFIRM_PERIOD: '1s' });
    const pod = await createPod(quick, { images, as, configMaps: { 'unbound-names': SOURCE } });
    await pod.start();
    return pod;
  };
  const offer = (pod: Pod, names: string): void =>
    pod.node.updateConfigMap('source', { ...SOURCE, 'names.yaml': names });
  const address = async (pod: Pod, name: string): Promise<string> =>
    (await pod.runInNetwork(process.execPath, ASK_DNS, '127.0.0.1:5353', name)).trim();

  test('unbound answers with what the swapped ConfigMap says, and a bad address does not reach it', async () => {
    const pod = await start(readManifest('unbound-configmap'));
    const sidecar = sidecarIn(pod);
    const server = await pod.pid('unbound');
    await until('it answers', async () => (await address(pod, 'router.home.arpa')) === '192.0.2.1');
    await sidecar.outcome('picked-up');

    offer(pod, 'names:\n  router: 192.0.2.254\n  scanner: 192.0.2.17\n');
    await until('it answers again', async () => (await address(pod, 'router.home.arpa')) === '192.0.2.254');
    expect(await address(pod, 'scanner.home.arpa')).toBe('192.0.2.17');
    expect(await address(pod, 'printer.home.arpa')).toBe('ENOTFOUND');
    await sidecar.settled('applied');

    offer(pod, 'names:\n  router: 192.0.2.999\n');
    await sidecar.outcome('rejected');
    expect((await sidecar.logs('rejected'))[0]).toMatchObject({
      code: 'validate.command',
      printed: /192\.0\.2\.999/,
    });
    expect(await address(pod, 'router.home.arpa')).toBe('192.0.2.254');
    expect([await pod.pid('unbound'), await pod.exits('unbound')]).toEqual([server, []]);
  });

  test('a sidecar of another user says that it may not signal, and whose user it would have to be', async () => {
    const pod = await start(asUser(readManifest('unbound-configmap'), 10_002));
    const sidecar = sidecarIn(pod);
    await until('it answers', async () => (await address(pod, 'router.home.arpa')) === '192.0.2.1');
    offer(pod, 'names:\n  router: 192.0.2.254\n');
    const { code, message, reloadOwed } = await sidecar.outcome('not-permitted');
    expect({ code, reloadOwed }).toEqual({ code: 'reload.not-permitted', reloadOwed: true });
    expect(message).toContain('10001');
    const { code: exit, stdout } = await pod.exec('config-sidecar', ...COMMAND, 'check');
    expect({ exit, stdout }).toEqual({ exit: 6, stdout: expect.stringContaining('runAsUser') });
    expect(await address(pod, 'router.home.arpa')).toBe('192.0.2.1');
    expect(await pod.exits('unbound')).toEqual([]);
  });
}

/** A copy in which the sidecar's containers run as another user; the example itself is the manifest that mends it. */
function asUser(manifest: Manifest, runAsUser: number): Manifest {
  return changeContainers(manifest, (one) =>
    one.image === 'config-sidecar-unbound'
      ? { ...one, securityContext: { ...one.securityContext, runAsUser } }
      : one,
  );
}
