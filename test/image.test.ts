// The image, really built and run: from a base image made of this machine's Node.js, since none can be pulled here.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import packageJson from '../package.json' with { type: 'json' };
import { NAMES, rowOf, SECTIONS } from '../src/settings/table.ts';
import { isPodmanThere, openPodman } from './servers/podman.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DOCKERFILE = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
const BASE = `localhost/config-sidecar-test-node-${process.pid}`;
const IMAGE = `localhost/config-sidecar-test-${process.pid}`;
/** Neither root nor a user the image knows. */
const UID = 34_567;
/** As strict as a cluster's policy can be. */
const LOCKED_DOWN = [
  '--read-only',
  '--cap-drop',
  'ALL',
  '--security-opt',
  'no-new-privileges',
  '--network',
  'none',
];
const PATIENCE = { timeout: 60_000, interval: 100 };

/** The settings as the Dockerfile's comment has to list them. */
function settingsComment(): string {
  return SECTIONS.flatMap((section) => [
    `# ${section}`,
    ...NAMES.filter((name) => rowOf(name).section === section).map((name) => {
      const { fallback, fallbackShown, secret } = rowOf(name);
      const notes = [
        ...(fallbackShown === undefined ? [] : [fallbackShown.replaceAll('`', '')]),
        ...(secret === undefined ? [] : [`or ${name}_FILE`]),
      ];
      const value = fallback === undefined ? '' : `=${fallback}`;
      return `#   ${name}${value}${notes.length === 0 ? '' : ` (${notes.join('; ')})`}`;
    }),
  ]).join('\n');
}

test('the Dockerfile lists every setting with its default, as a comment', () => {
  const [, listed] = /settings file\.\n#\n([\s\S]*)$/.exec(DOCKERFILE) ?? [];
  expect(listed?.trim()).toBe(settingsComment());
  expect(DOCKERFILE).not.toMatch(/^\s*ENV\s/m);
});

test('the version on the image is that of the program', () => {
  expect(DOCKERFILE).toContain(`org.opencontainers.image.version="${packageJson.version}"`);
});

if (isPodmanThere()) describe('the image', () => inspectImage());
else {
  test('podman is missing, so the image is neither built nor run; that is a failure where CI is set', () => {
    expect(process.env['CI'] ?? '').toBe('');
  });
}

function inspectImage(): void {
  const podman = openPodman();

  beforeAll(async () => {
    await podman.makeNodeImage(BASE);
    const format = ['--format', 'docker', '--network', 'none'];
    await podman.must('build', ...format, '--build-arg', `NODE_IMAGE=${BASE}`, '-t', IMAGE, ROOT);
  });

  afterAll(async () => {
    await podman.run('rmi', '-f', IMAGE, BASE);
    podman.close();
  });

  test('is not run as root, names its port, and is asked for its health by "status"', async () => {
    const [found] = JSON.parse(await podman.must('image', 'inspect', IMAGE));
    expect(found.Config).toMatchObject({
      User: '65532:65532',
      ExposedPorts: { '9533/tcp': {} },
      Cmd: ['run'],
    });
    expect(found.Healthcheck).toMatchObject({
      Test: ['CMD', 'node', '/opt/config-sidecar/dist/main.js', 'status'],
    });
    expect(found.Labels).toMatchObject({ 'org.opencontainers.image.title': 'config-sidecar' });
  });

  test('adds less than 10 MB to its base', async () => {
    const size = async (tag: string) =>
      Number(await podman.must('image', 'inspect', '--format', '{{.Size}}', tag));
    expect((await size(IMAGE)) - (await size(BASE))).toBeLessThan(10_000_000);
  });

  test('its program starts', async () => {
    const version = await podman.must('run', '--rm', ...LOCKED_DOWN, IMAGE, '--version');
    expect(version).toBe(`${packageJson.version}\n`);
    const settings = await podman.must('run', '--rm', ...LOCKED_DOWN, '-e', 'SPLAY=3s', IMAGE, 'settings');
    expect(settings).toMatch(/^SPLAY +3s +environment$/m);
  });

  test('one pass works for any user, on a read-only file system and without any capability', async () => {
    const { flags, output } = volumes({ 'app.yaml': 'greeting: Hello\n' });
    const { code, stdout } = await podman.run('run', '--rm', ...LOCKED_DOWN, ...flags, IMAGE, 'once');
    expect(stdout).toContain('"event":"applied"');
    expect(code).toBe(0);
    expect(JSON.parse(readFileSync(output, 'utf8'))).toEqual({ greeting: 'Hello' });
    expect(statSync(output)).toMatchObject({ uid: UID });
  });

  test('run is unhealthy until there is a configuration, healthy then, and ends with 0 when it is stopped', async () => {
    const { flags, input } = volumes({});
    const name = `config-sidecar-test-${process.pid}`;
    onTestFinished(async () => void (await podman.run('rm', '-f', '-t', '0', name)));
    await podman.must('run', '-d', '--name', name, ...LOCKED_DOWN, ...flags, IMAGE);
    const logs = async () => (await podman.run('logs', name)).stdout;
    const health = async () => (await podman.run('healthcheck', 'run', name)).code;
    await expect.poll(logs, PATIENCE).toContain('"event":"source down"');
    expect(await health()).not.toBe(0);
    writeFileSync(join(input, 'app.yaml'), 'greeting: Hello\n');
    await expect.poll(health, PATIENCE).toBe(0);
    const status = await podman.must(
      'exec',
      name,
      'node',
      '/opt/config-sidecar/dist/main.js',
      'status',
      '--json',
    );
    expect(JSON.parse(status)).toMatchObject({ ready: true, version: packageJson.version });
    await podman.must('stop', '-t', '10', name);
    expect((await podman.must('inspect', name, '--format', '{{.State.ExitCode}}')).trim()).toBe('0');
  });
}

interface Volumes {
  readonly flags: readonly string[];
  /** The folder that is read. */
  readonly input: string;
  /** The file that is written. */
  readonly output: string;
}

/** Two volumes, one to read and one to write, for a sidecar that runs as nobody in particular. */
function volumes(files: Readonly<Record<string, string>>): Volumes {
  const folder = mkdtempSync(join(tmpdir(), 'image-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [input, live] = [join(folder, 'in'), join(folder, 'live')];
  chmodSync(folder, 0o755);
  for (const path of [input, live]) mkdirSync(path);
  chmodSync(live, 0o777);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(input, name), text);
  const mounts = ['-v', `${input}:/in:ro`, '-v', `${live}:/live`];
  const env = ['-e', 'SOURCE=/in/app.yaml', '-e', 'OUTPUT=/live/app.json'];
  const flags = ['--user', `${UID}:${UID}`, ...mounts, ...env];
  return { flags, input, output: join(live, 'app.json') };
}
