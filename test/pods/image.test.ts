// @module-tag root
// The image, really built and run: from a base image made of this machine's Node.js, since none can be pulled here.
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { until } from '../support/e2e/until.ts';
import {
  type BuiltImage,
  buildImage,
  createVolumes,
  LOCKED_DOWN,
  MAIN,
  startContainer,
  UID,
  variables,
} from '../support/pods/image/built.ts';
import { testMemory } from '../support/pods/image/memory.ts';
import { testOrphans } from '../support/pods/image/orphans.ts';
import { testProcess } from '../support/pods/image/process.ts';
import { openPodman } from '../support/servers/podman.ts';

describe.concurrent('the image', () => testImage());

function testImage(): void {
  const podman = openPodman();
  let made: BuiltImage;
  const built = (): BuiltImage => made;

  beforeAll(async () => {
    made = await buildImage(podman);
  });

  afterAll(async () => {
    await made.remove();
    podman.close();
  });

  test('says what it is, and how it is started and asked for its health', async () => {
    const [found] = JSON.parse(await podman.must('image', 'inspect', made.image));
    const node = ['node', '--max-semi-space-size=1', '--v8-pool-size=1', MAIN];
    expect(found.Config).toMatchObject({
      User: '65532:65532',
      ExposedPorts: { '9533/tcp': {} },
      Entrypoint: ['tini', '-s', '--', ...node],
      Cmd: ['run'],
    });
    expect(found.Healthcheck).toMatchObject({ Test: ['CMD', 'config-sidecar', 'status'] });
    const label = (name: string): unknown => found.Labels[`org.opencontainers.image.${name}`];
    expect(label('title')).toBe(packageJson.name);
    expect(label('description')).toBe(packageJson.description);
    expect(label('version')).toBe(packageJson.version);
    expect(label('licenses')).toBe(packageJson.license);
  });

  test('its program starts', async () => {
    const version = await podman.must('run', '--rm', ...LOCKED_DOWN, made.image, '--version');
    expect(version).toBe(`${packageJson.version}\n`);
    const settings = await podman.must(
      'run',
      '--rm',
      ...LOCKED_DOWN,
      '-e',
      'SPLAY=3s',
      made.image,
      'settings',
    );
    expect(settings).toMatch(/^SPLAY +3s +environment$/m);
  });

  test('has the command on its PATH, and no package manager in any layer', async () => {
    const inside = async (command: string): Promise<string> =>
      await podman.must('run', '--rm', ...LOCKED_DOWN, '--entrypoint', 'sh', made.image, '-c', command);
    expect(await inside('config-sidecar --version')).toBe(`${packageJson.version}\n`);
    expect(await inside('for one in npm npx corepack yarn; do command -v $one; done; true')).toBe('');
    const [found] = JSON.parse(await podman.must('image', 'inspect', made.image));
    expect(found.RootFS.Layers).toHaveLength(1);
  });

  test('one pass works for any user, on a read-only file system and without any capability', async (context) => {
    const { flags, live } = createVolumes(context, { 'app.yaml': 'greeting: Hello\n' });
    // A checker that logs to /dev/stderr, as servers in containers do; /tmp cannot be written to here.
    const checker = ['-e', 'VALIDATE_COMMAND=sh -c "echo checked > /dev/stderr"'];
    const words = ['run', '--rm', ...LOCKED_DOWN, ...flags, ...checker, made.image, 'once'];
    const { code, stdout } = await podman.run(...words);
    expect(stdout).toContain('"event":"applied"');
    expect(code).toBe(0);
    const output = join(live, 'app.json');
    expect(JSON.parse(readFileSync(output, 'utf8'))).toEqual({ greeting: 'Hello' });
    expect(statSync(output)).toMatchObject({ uid: UID });
  });

  test('is unhealthy until there is a configuration and healthy then, wherever LISTEN is', async (context) => {
    const { flags, input } = createVolumes(context, {});
    const elsewhere = variables({ LISTEN: '127.0.0.1:9777' });
    const id = await startContainer(context, podman, ...LOCKED_DOWN, ...flags, ...elsewhere, made.image);
    const logs = async (): Promise<string> => (await podman.run('logs', id)).stdout;
    const health = async (): Promise<number> => (await podman.run('healthcheck', 'run', id)).code;
    await until('it says that the source is down', async () =>
      (await logs()).includes('"event":"source down"'),
    );
    expect(await health()).not.toBe(0);
    writeFileSync(join(input, '.next'), 'greeting: Hello\n');
    renameSync(join(input, '.next'), join(input, 'app.yaml'));
    await until('it is healthy', async () => (await health()) === 0);
    const status = await podman.must('exec', id, 'config-sidecar', 'status', '--json');
    expect(JSON.parse(status)).toMatchObject({ ready: true, version: packageJson.version });
  });

  testProcess(built);
  testMemory(built);
  testOrphans(built);
}
