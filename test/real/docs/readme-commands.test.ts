// What the README tells people to run is run here, and prints what the README says.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { load as parseYaml } from 'js-yaml';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import packageJson from '../../../package.json' with { type: 'json' };
import { loadSettings } from '../../../src/settings/settings.ts';
import { isName } from '../../../src/settings/table.ts';
import { DIST } from '../../support/e2e/sidecar.ts';
import { type EtcdServer, startEtcd } from '../../support/servers/etcd.ts';
import { serverBinary } from '../../support/servers/install.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
/** Address of etcd in the README's commands; the test's own stands in for it. */
const ETCD = '127.0.0.1:2379';

interface Block {
  readonly language: string;
  readonly text: string;
  /** What the README says it prints: the `text` block that follows directly. */
  readonly prints: string | null;
}

function blocks(): readonly Block[] {
  const found = [...README.matchAll(/^```(\w*)\n([\s\S]*?)^```$(?=(?:\n\n```text\n([\s\S]*?)^```$)?)/gm)];
  return found.map(([, language = '', text = '', prints = null]) => ({ language, text, prints }));
}

const commands = blocks().filter(({ language }) => language === 'sh');
/** Blocks for a checkout: the scripts of package.json, which this very run is one of. */
const scripts = commands.filter(({ text }) => text.startsWith('npm '));
const programs = commands.filter((block) => !scripts.includes(block));

test('every block of the README is of a kind that is tested', () => {
  expect(new Set(blocks().map(({ language }) => language))).toEqual(new Set(['sh', 'text', 'yaml']));
  expect(programs.length).toBeGreaterThanOrEqual(3);
});

test('the commands for a checkout are the scripts there are', () => {
  expect(scripts.map(({ text }) => text)).toEqual(['npm ci && npm run demo\n', 'npm ci && npm test\n']);
  expect(Object.keys(packageJson.scripts)).toEqual(expect.arrayContaining(['demo', 'test', 'build']));
});

describe('a command of the README', () => {
  let etcd: EtcdServer | null = null;

  afterAll(async () => await etcd?.end());

  test.each(programs.map((block) => [block.text.split('\n', 1)[0] ?? '', block] as const))(
    'prints what the README says: %s',
    async (_title, { text, prints }) => {
      if (text.includes(ETCD)) etcd ??= await startEtcd();
      const output = runInEmptyFolder(text.replaceAll(ETCD, `127.0.0.1:${etcd?.port ?? 0}`));
      expect(prints).not.toBeNull();
      expect(output).toBe(prints);
    },
    60_000,
  );
});

/** Standard output of the commands, without log lines; the first that fails is an error. */
function runInEmptyFolder(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'readme-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [bin, empty] = [join(folder, 'bin'), join(folder, 'empty')];
  for (const path of [bin, empty]) mkdirSync(path);
  const program = join(bin, 'config-sidecar');
  writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${join(DIST, 'main.js')}" "$@"\n`);
  chmodSync(program, 0o755);
  const path = [bin, dirname(serverBinary('etcdctl')), process.env['PATH']].join(':');
  const env = { PATH: path, HOME: folder, ETCDCTL_API: '3' };
  const output = execFileSync('sh', ['-e', '-c', text], {
    cwd: empty,
    env,
    encoding: 'utf8',
    timeout: 60_000,
  });
  return output.replace(/^\{"level":.*\n/gm, '');
}

interface Variable {
  readonly name: string;
  readonly value: string;
}

test('every setting in a manifest of the README is one that is taken', async () => {
  const manifests = blocks().filter(({ language }) => language === 'yaml');
  expect(manifests.length).toBe(3);
  for (const { text } of manifests) {
    const { env: variables } = parseYaml(text) as { readonly env: readonly Variable[] };
    const template = join(ROOT, 'examples/nginx-signal');
    const env = Object.fromEntries(
      variables.map(({ name, value }) => [name, value.replace('/templates', template)]),
    );
    expect(Object.keys(env).filter((name) => !isName(name))).toEqual([]);
    const { warnings } = await loadSettings({ flags: [], env, cwd: '/' });
    // The checker is looked for where the sidecar runs.
    expect(warnings.filter((warning) => !warning.includes('checks nothing before publishing'))).toEqual([]);
  }
});

test('every file the README names is there', () => {
  const links = [...README.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path = '']) => path);
  const named = [...README.matchAll(/`((?:src|test|examples)\/[\w./-]+)`/g)].map(([, path = '']) => path);
  expect([...links, ...named].filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  expect(links.length).toBeGreaterThan(1);
  expect(named.length).toBeGreaterThan(1);
});
