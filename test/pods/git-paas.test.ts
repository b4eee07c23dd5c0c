// @module-tag root
// examples/git-paas as a pod with a real repository: a push is served, a broken commit is rolled back, and every request is answered.
import { chmodSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/e2e/until.ts';
import { type Images, openImages } from '../support/pods/images.ts';
import { type Manifest, readExample, readManifest, withEnv } from '../support/pods/manifest.ts';
import { createPod } from '../support/pods/pod.ts';
import { sidecarIn } from '../support/pods/sidecar.ts';
import { createRepository } from '../support/servers/git.ts';

const IMAGE = 'config-sidecar-git';

/** The example with a repository on the node in place of a git server. */
function example(root: string): Manifest {
  const SOURCE = 'git+file:///repository/app.git?ref=main&path=app/';
  const manifest = withEnv(readManifest('git-paas'), IMAGE, { SOURCE, UPDATE_FREQUENCY: '500ms' });
  const mounted = <C extends Manifest['spec']['containers'][number]>(one: C): C => ({
    ...one,
    ...(one.image === IMAGE && {
      volumeMounts: [
        ...(one.volumeMounts ?? []),
        { name: 'repository', mountPath: '/repository', readOnly: true },
      ],
    }),
  });
  const { spec } = manifest;
  return {
    ...manifest,
    spec: {
      ...spec,
      initContainers: (spec.initContainers ?? []).map(mounted),
      containers: spec.containers.map(mounted),
      volumes: [...(spec.volumes ?? []), { name: 'repository', hostPath: { path: root, type: 'Directory' } }],
    },
  };
}

const app = (text: string): string =>
  `export default (_request, response) => response.end(${JSON.stringify(text)});\n`;

describe('examples/git-paas', () => runPod());

function runPod(): void {
  let images: Images;
  beforeAll(async () => {
    images = await openImages();
  });
  afterAll(() => images.remove());

  test('a push is served, a broken commit is rolled back, and no request stays without an answer', async (context) => {
    const repository = createRepository();
    context.onTestFinished(() => repository.remove());
    chmodSync(repository.root, 0o755);
    repository.commit({ 'app/app.mjs': app('first'), 'README.md': 'not published' });
    const pod = await createPod(example(repository.root), {
      images,
      as: { 'node:24-slim': images.node, [IMAGE]: await images.sidecarWithGit() },
      configMaps: { 'git-paas-server': { 'server.mjs': readExample('git-paas', 'server.mjs') } },
    });
    await pod.start();
    const ask = () => pod.ask('http://127.0.0.1:8080/');
    await until('the first release is served', async () => (await ask()).body === 'first');
    const sidecar = sidecarIn(pod);
    await sidecar.outcome('picked-up');

    const answers = new Set<string>();
    let isAsking: boolean = true;
    const asking = (async () => {
      while (isAsking) {
        const { status, body } = await ask();
        answers.add(`${status} ${body}`);
      }
    })();
    repository.commit({ 'app/app.mjs': app('second') });
    const pushedMs = performance.now();
    await until('the push is served', async () => (await ask()).body === 'second');
    // The look at the repository comes within half a second.
    expect(performance.now() - pushedMs).toBeLessThan(10_000);
    await sidecar.settled('applied');

    const broken = repository.commit({ 'app/app.mjs': 'export default (' });
    const { lastKnownGood, blocked } = await sidecar.outcome('rolled-back');
    expect(blocked).toHaveLength(1);
    expect(lastKnownGood?.revision).not.toBe(broken);
    repository.commit({ 'app/app.mjs': app('third') });
    await until('the next push is served', async () => (await ask()).body === 'third');
    isAsking = false;
    await asking;
    expect(answers).toEqual(new Set(['200 first', '200 second', '200 third']));
    expect(await pod.exits('web')).toEqual([]);
  });
}
