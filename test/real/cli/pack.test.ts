// The package as npm makes and installs it: one tarball, nothing else fetched, and every part that is loaded late works.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');

interface Installed {
  readonly prefix: string;
  readonly files: readonly string[];
}

let installed: Installed;

beforeAll(() => {
  const folder = mkdtempSync(join(tmpdir(), 'config-sidecar-pack-'));
  const npm = (...words: readonly string[]): string =>
    execFileSync('npm', [...words, '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: ROOT,
      encoding: 'utf8',
      // Whatever npm would have to fetch fails here.
      env: {
        ...process.env,
        npm_config_registry: 'http://127.0.0.1:9/',
        npm_config_cache: join(folder, 'cache'),
      },
    });
  const [packed] = JSON.parse(npm('pack', '--json', '--ignore-scripts', '--pack-destination', folder)) as [
    { readonly filename: string; readonly files: readonly { readonly path: string }[] },
  ];
  const prefix = join(folder, 'prefix');
  npm('install', '--global', '--prefix', prefix, join(folder, packed.filename));
  installed = { prefix, files: packed.files.map(({ path }) => path) };
  return () => rmSync(folder, { recursive: true, force: true });
}, 120_000);

/** Runs the installed command as a shell would find it. */
function run(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'config-sidecar-packed-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const PATH = `${join(installed.prefix, 'bin')}:${process.env['PATH']}`;
  const { status, stdout, stderr } = spawnSync('config-sidecar', [...words], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH, LISTEN: 'off', ...env },
  });
  return { status, stdout, stderr, read: (name: string) => readFileSync(join(folder, name), 'utf8') };
}

describe('the tarball', () => {
  test('needs no other package and runs nothing when it is installed', () => {
    const home = join(installed.prefix, 'lib/node_modules');
    expect(readdirSync(home)).toEqual(['config-sidecar']);
    expect(existsSync(join(home, 'config-sidecar/node_modules'))).toBe(false);
    const manifest = JSON.parse(readFileSync(join(home, 'config-sidecar/package.json'), 'utf8'));
    expect(manifest.dependencies).toBeUndefined();
    expect(manifest.optionalDependencies).toBeUndefined();
    expect(Object.keys(manifest.scripts).filter((name) => /install|^prepare$/.test(name))).toEqual([]);
  });

  test('holds the program, its man page, README, license and nothing of the tests', () => {
    const tops = new Set(installed.files.map((path) => path.split('/')[0]));
    expect([...tops].sort()).toEqual(['LICENSE', 'README.md', 'dist', 'man', 'package.json']);
  });
});

describe('installed with "npm install -g"', () => {
  test('config-sidecar is a command, with its man page', () => {
    expect(run(['--version'])).toMatchObject({ status: 0, stdout: '0.1.0\n', stderr: '' });
    const program = join(installed.prefix, 'bin/config-sidecar');
    expect(statSync(realpathSync(program)).mode & 0o111).toBe(0o111);
    expect(existsSync(join(installed.prefix, 'share/man/man1/config-sidecar.1'))).toBe(true);
  });

  test.each([
    ['yaml', 'json', 'a: 1\n', '{\n  "a": 1\n}\n'],
    ['toml', 'yaml', 'a = 1\n', 'a: 1\n'],
    ['json', 'toml', '{"a":1}', 'a = 1\n'],
    ['ini', 'json', 'a=1\n', '{\n  "a": "1"\n}\n'],
  ])('it reads %s and writes %s', (from, to, text, written) => {
    const command = `printf %s "$TEXT" > in.${from} && exec config-sidecar once --source ./in.${from} --output out.${to}`;
    const folder = mkdtempSync(join(tmpdir(), 'config-sidecar-packed-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const PATH = `${join(installed.prefix, 'bin')}:${process.env['PATH']}`;
    const { status, stdout } = spawnSync('sh', ['-c', command], {
      cwd: folder,
      encoding: 'utf8',
      env: { PATH, TEXT: text, LISTEN: 'off' },
    });
    expect([status, stdout]).toEqual([0, expect.stringContaining('applied')]);
    expect(readFileSync(join(folder, `out.${to}`), 'utf8')).toBe(written);
  });

  test.each(['etcd://127.0.0.1:9/app/', 'consul://127.0.0.1:9/app/', 'http://127.0.0.1:9/app.json'])(
    'the client of %s is in it: the store is only not reachable',
    (source) => {
      const { status, stdout } = run(['once', '--source', source, '--output', 'out.json'], {
        ONCE_TIMEOUT: '2s',
      });
      expect(stdout).toContain('source.unreachable');
      expect(status).toBe(3);
    },
  );
});
