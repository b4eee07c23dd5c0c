// @module-tag root
// examples/nginx-two-containers as a pod: two masters that look the same, distinguished by the name of their container as kubelet
// makes it visible; and what is done where a runtime shows no names.
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

const FILES = ['nginx.conf.liquid', 'admin.conf', 'web.yaml'];
const SOURCE = Object.fromEntries(FILES.map((name) => [name, readExample('nginx-two-containers', name)]));
/** Shortened for tests; the defaults are 3s and 30s. */
const TIMES = { CONFIRM_PERIOD: '1s', CONFIRM_TIMEOUT: '5s' };

describe('examples/nginx-two-containers', () => runPods());

function runPods(): void {
  let images: Images;
  let nginx: string;

  beforeAll(async () => {
    images = await openImages();
    nginx = await images.server('nginx');
  });

  afterAll(() => images?.remove());

  const start = async (manifest: Manifest, namesShown: boolean): Promise<Pod> => {
    const as = { nginx, 'config-sidecar': images.sidecar };
    const configMaps = { 'nginx-two-containers': SOURCE };
    const pod = await createPod(withEnv(manifest, 'config-sidecar', TIMES), {
      images,
      as,
      configMaps,
      namesShown,
    });
    await pod.start();
    return pod;
  };
  const offer = (pod: Pod, web: string): void =>
    pod.node.updateConfigMap('source', { ...SOURCE, 'web.yaml': web });

  test('a change is served by the container that is named, and the other one is not signalled', async () => {
    const pod = await start(readManifest('nginx-two-containers'), true);
    const sidecar = sidecarIn(pod);
    const served = async (port: number): Promise<string> => (await pod.ask(`http://127.0.0.1:${port}/`)).body;
    await sidecar.outcome('picked-up');
    expect([await served(8080), await served(8081)]).toEqual(['Hello', 'admin']);

    offer(pod, 'listen: 8080\ntext: Good evening\n');
    await until('it is served', async () => (await served(8080)) === 'Good evening');
    await sidecar.settled('applied');
    expect(await signalled(pod, 'web')).toBe(1);

    // Not checked before, as the image has no nginx: the master keeps what it has, and no new worker comes.
    offer(pod, 'listen: 8080 nonsense\ntext: Bad\n');
    const { history } = await sidecar.outcome('rolled-back');
    expect(history.map(({ code }) => code)).toContain('confirm.no-workers');
    expect([await served(8080), await served(8081)]).toEqual(['Good evening', 'admin']);
    expect(await signalled(pod, 'web')).toBe(3);
    expect(await signalled(pod, 'admin')).toBe(0);
  });

  test('without a name for the container, or in a pod that shows none, no process is signalled and the reason is reported', async () => {
    const pod = await start(withoutEnv(readManifest('nginx-two-containers'), 'APP_CONTAINER'), false);
    const sidecar = sidecarIn(pod);
    const { message } = await sidecar.outcome('ambiguous');
    expect(message).toMatch(/several unrelated processes match: \d+ \(nginx\), \d+ \(nginx\)/);
    offer(pod, 'listen: 8080\ntext: Good evening\n');
    await until('it is published', async () => (await sidecar.logs('published')).length > 0);
    await sidecar.outcome('ambiguous');
    expect([await signalled(pod, 'web'), await signalled(pod, 'admin')]).toEqual([0, 0]);

    const check = async (setting: string): Promise<string> =>
      (await pod.exec('config-sidecar', 'sh', '-c', `${setting} exec ${COMMAND.join(' ')} check`)).stdout;
    expect(await check('APP_CONTAINER=web')).toContain('this pod runtime does not show container names');
    expect(await check(String.raw`APP_PROCESS='/nginx.* -c \/live\//'`)).toMatch(/^ok {3}process:/m);
  });
}

/** How many SIGHUPs the nginx of a container got. */
async function signalled(pod: Pod, container: string): Promise<number> {
  return ((await pod.logs(container)).match(/signal 1 \(SIGHUP\) received/g) ?? []).length;
}

function withoutEnv(manifest: Manifest, variable: string): Manifest {
  return changeContainers(manifest, ({ env, ...one }) => ({
    ...one,
    ...(env && { env: env.filter(({ name }) => name !== variable) }),
  }));
}
