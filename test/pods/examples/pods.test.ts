// @module-tag root
// The manifests of examples/nginx-tls and examples/syslog-ng-logs as pods: with their users, volumes and read-only file
// systems everything finds what it needs. What the two do in the long run is in tests of their own.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../support/e2e/until.ts';
import { EXAMPLES } from '../../support/examples/manifest.ts';
import { createTlsPod, HOST, secretOf, serialIn } from '../../support/examples/nginx-tls-pod.ts';
import { openOpenSsl } from '../../support/examples/openssl.ts';
import {
  COLLECTOR_PORT,
  collectIn,
  createShippingPod,
  tagFor,
} from '../../support/examples/syslog-ng-pod.ts';
import { type Images, openImages } from '../../support/pods/images.ts';
import { sidecarIn } from '../../support/pods/sidecar.ts';
import { putInConsul } from '../../support/pods/stores.ts';

/** The command for a pod, as examples/README.md has it. */
function checkCommand(): readonly string[] {
  const readme = readFileSync(join(EXAMPLES, 'README.md'), 'utf8');
  const [, words = ''] = /`kubectl exec POD -c config-sidecar -- ([^`]+)`/.exec(readme) ?? [];
  return words.split(' ');
}

describe('as a pod', () => runPods());

function runPods(): void {
  const folder = mkdtempSync(join(tmpdir(), 'example-pods-'));
  let images: Images;

  beforeAll(async () => {
    images = await openImages();
  });
  afterAll(async () => {
    await images.podman.run('rmi', '-f', tagFor(images));
    await images.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  test('nginx-tls serves a renewed certificate, keeps a bad one out, and the key to one user', async () => {
    const openssl = openOpenSsl(folder);
    const first = openssl.issue(HOST);
    const pod = await createTlsPod(images, first);
    await pod.start();
    await until('the first certificate is served', async () => (await serialIn(pod)) === first.serial);
    const sidecar = sidecarIn(pod);
    await sidecar.outcome('picked-up');
    const key = join(pod.node.volume('tls'), 'tls.key');
    expect(statSync(key)).toMatchObject({ mode: 0o100600, uid: 10_001 });

    const renewed = openssl.issue(HOST);
    pod.node.updateConfigMap('secret', secretOf(renewed));
    await until('the renewed one is served', async () => (await serialIn(pod)) === renewed.serial);
    await sidecar.outcome('applied');
    const { stdout: checked } = await pod.exec('config-sidecar', ...checkCommand());
    expect(checked).toMatch(/^ok {3}process: The application is process \d+ \(nginx\); it catches SIGHUP/m);
    expect(checked).toMatch(/^(All \d+ checks passed|No check failed)/m);
    pod.node.updateConfigMap('secret', secretOf({ cert: openssl.issue(HOST).cert, key: renewed.key }));
    await sidecar.outcome('rejected');
    expect(await serialIn(pod)).toBe(renewed.serial);
  });

  test('syslog-ng-logs ships lines, in another format when Consul says so, and refuses a broken one', async () => {
    const pod = await createShippingPod(images);
    await pod.startNext('consul');
    await putInConsul(pod, {
      'app/shipping/destination/host': '127.0.0.1',
      'app/shipping/destination/port': String(COLLECTOR_PORT),
    });
    const collected = collectIn(pod, 'line: ');
    for (const name of ['config-once', 'nginx', 'syslog-ng', 'config-sidecar']) await pod.startNext(name);
    const ask = () => pod.ask('http://127.0.0.1:8080/item');
    await until('nginx answers', async () => (await ask()).status === 200);
    const sidecar = sidecarIn(pod);
    await sidecar.outcome('picked-up');
    await putInConsul(pod, { 'app/shipping/format': 'line: $MSG' });
    await sidecar.outcome('applied');
    await ask();
    expect((await collected).join('\n')).toMatch(/^line: 127\.0\.0\.1 - - \[.*"GET \/item /m);
    await putInConsul(pod, { 'app/shipping/format': '$(nosuch $MSG)' });
    expect(await sidecar.outcome('rejected')).toMatchObject({ code: 'validate.command' });
  });
}
