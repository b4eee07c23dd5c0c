// @module-tag root
// examples/haproxy-compose with a real podman-compose and a real HAProxy: what its README promises happens.
import { chownSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { httpGet } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { type Compose, openCompose } from '../../support/examples/compose.ts';
import { EXAMPLES } from '../../support/examples/manifest.ts';
import { stateOf } from '../../support/examples/state.ts';
import { type Images, openImages } from '../../support/pods/images.ts';
import { freePorts } from '../../support/servers/ports.ts';

describe('examples/haproxy-compose', () => runCompose());

const USER = 34_569;
/** As the image of HAProxy has it. */
const SLEEP = { set: 'coreutils', paths: ['bin/sleep'] } as const;

function runCompose(): void {
  const project = `compose${process.pid}`;
  const folder = mkdtempSync(join(tmpdir(), 'haproxy-compose-'));
  const containerOf = (service: string): string => `${project}_${service}_1`;
  const document = join(folder, 'config/proxy.yaml');
  let images: Images;
  let compose: Compose;
  let [port, sidecarPort] = [0, 0];

  const edit = (from: string, to: string): void =>
    writeFileSync(document, readFileSync(document, 'utf8').replace(from, to));
  const greets = (wanted: string): Promise<unknown> =>
    until(`it says ${wanted}`, async () => {
      const { status, body } = await httpGet(port, '/greeting');
      return status === 200 && body === wanted;
    });
  const files = ['-p', project, '-f', 'docker-compose.yaml', '-f', 'test.yaml'];
  const inspect = async (service: string, what: string): Promise<string> =>
    (await images.podman.must('inspect', containerOf(service), '--format', `{{.${what}}}`)).trim();
  const kill = async (service: string): Promise<void> => {
    const pid = Number(await inspect(service, 'State.Pid'));
    expect(pid).toBeGreaterThan(1);
    process.kill(pid, 'SIGKILL');
    await until(`${service} is back`, async () => {
      const now = Number(await inspect(service, 'State.Pid'));
      return now > 1 && now !== pid;
    });
  };

  beforeAll(async () => {
    [port = 0, sidecarPort = 0] = await freePorts(2);
    images = await openImages();
    cpSync(join(EXAMPLES, 'haproxy-compose'), folder, { recursive: true });
    mkdirSync(join(folder, 'live'));
    chownSync(join(folder, 'live'), USER, USER);
    edit('port: 8080', `port: ${port}`);
    writeFileSync(join(folder, 'test.yaml'), testOverrides(sidecarPort));
    compose = openCompose({
      cwd: folder,
      env: {
        SIDECAR_IMAGE: images.sidecar,
        HAPROXY_IMAGE: await images.server('haproxy', SLEEP),
        USER_ID: String(USER),
        GROUP_ID: String(USER),
        PROCESSES: `container:${containerOf('processes')}`,
      },
    });
  });

  afterAll(async () => {
    await compose.run(...files, 'down', '-t', '1');
    for (const service of ['haproxy', 'config-sidecar', 'processes']) {
      await images.podman.run('rm', '-f', '-t', '0', containerOf(service));
    }
    await images.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  test('a saved line is served, what does not load is rolled back, and each of the two comes back alone', async () => {
    const { code, output } = await compose.run(...files, 'up', '-d');
    expect(code, output).toBe(0);
    const { target, ends } = stateOf(sidecarPort);
    await greets('Hello');
    await until('the first one is confirmed', async () => (await target()).lastKnownGood);

    edit('Hello', 'Good evening');
    await greets('Good evening');
    expect((await ends('applied')).running?.evidence).toContain('workers');
    edit('greeting: Good evening', 'greeting: 7');
    await ends('rejected', 'guard.schema');
    // HAProxy finds only when it loads a configuration that a port is not its own.
    edit('greeting: 7', 'greeting: Good night');
    edit(`port: ${port}`, `port: ${sidecarPort}`);
    await ends('rolled-back');
    await greets('Good evening');
    edit(`port: ${sidecarPort}`, `port: ${port}`);
    await greets('Good night');
    await ends('applied');

    const sidecar = await inspect('config-sidecar', 'State.Pid');
    await kill('haproxy');
    await greets('Good night');
    expect(await inspect('config-sidecar', 'State.Pid')).toBe(sidecar);
    edit('Good night', 'Good morning');
    await greets('Good morning');
    await ends('applied');

    const haproxy = await inspect('haproxy', 'State.Pid');
    await kill('config-sidecar');
    await until('the sidecar is ready', async () => (await httpGet(sidecarPort, '/readyz')).status === 200);
    edit('Good morning', 'Hello again');
    await greets('Hello again');
    expect(await inspect('haproxy', 'State.Pid')).toBe(haproxy);
  });
}

/** What differs here: no network of its own, a port of the test's, and less patience. */
function testOverrides(sidecarPort: number): string {
  return JSON.stringify({
    services: {
      processes: { network_mode: 'host' },
      haproxy: { network_mode: 'host' },
      'config-sidecar': {
        network_mode: 'host',
        environment: { LISTEN: `127.0.0.1:${sidecarPort}`, CONFIRM_PERIOD: '1s', CONFIRM_TIMEOUT: '4s' },
      },
    },
  });
}
