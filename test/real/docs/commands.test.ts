// Runs the commands of the documentation, page by page; they print what the page says.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { load as parseYaml } from 'js-yaml';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import packageJson from '../../../package.json' with { type: 'json' };
import { loadTargets } from '../../../src/settings/settings.ts';
import { isName } from '../../../src/settings/table.ts';
import { type Block, blocksOf, PAGES, page, ROOT } from '../../support/docs/pages.ts';
import { DIST } from '../../support/e2e/sidecar.ts';
import { type EtcdServer, startEtcd } from '../../support/servers/etcd.ts';
import { serverBinary } from '../../support/servers/prerequisites.ts';

/** Address of etcd in the pages' commands; the test's own stands in for it. */
const ETCD = '127.0.0.1:2379';

/** Blocks for a checkout: the scripts of package.json, which this very run is one of. */
const isScript = ({ text }: Block): boolean => text.startsWith('npm ');
const commandsOf = (one: (typeof PAGES)[number]): readonly Block[] =>
  blocksOf(one).filter(({ language }) => language === 'sh');

test('the commands for a checkout are scripts of package.json', () => {
  const scripts = commandsOf(page('README.md')).filter(isScript);
  expect(scripts.map(({ text }) => text)).toEqual(['npm ci && npm run demo\n', 'npm ci && npm test\n']);
  expect(Object.keys(packageJson.scripts)).toEqual(expect.arrayContaining(['demo', 'test', 'build']));
});

describe('the commands of', () => {
  let etcd: EtcdServer | null = null;

  afterAll(async () => await etcd?.end());

  const pages = PAGES.filter((one) => commandsOf(one).some((block) => !isScript(block)));
  test.each(pages.map((one) => [one.path, one] as const))(
    '%s print what the page says, one block after the other',
    async (_path, one) => {
      const run = openFolder();
      for (const block of commandsOf(one).filter((each) => !isScript(each))) {
        if (block.text.includes(ETCD)) etcd ??= await startEtcd();
        const output = run(block.text.replaceAll(ETCD, `127.0.0.1:${etcd?.port ?? 0}`));
        expect({ text: block.text, output }).toEqual({ text: block.text, output: block.prints });
      }
    },
    120_000,
  );

  test('at least five pages are run', () => expect(pages.length).toBeGreaterThanOrEqual(5));
});

/** Runs commands in one empty folder; gives their standard output without log lines. A command that fails is an error. */
function openFolder(): (text: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'docs-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [bin, empty] = [join(folder, 'bin'), join(folder, 'empty')];
  for (const path of [bin, empty]) mkdirSync(path);
  const program = join(bin, 'config-sidecar');
  writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${join(DIST, 'main.js')}" "$@"\n`);
  chmodSync(program, 0o755);
  const path = [bin, dirname(serverBinary('etcdctl')), process.env['PATH']].join(':');
  const env = { PATH: path, HOME: folder, ETCDCTL_API: '3' };
  return (text) =>
    execFileSync('sh', ['-e', '-c', text], { cwd: empty, env, encoding: 'utf8', timeout: 60_000 }).replace(
      /^\{"level":.*\n/gm,
      '',
    );
}

interface Variable {
  readonly name: string;
  readonly value: string;
}

const manifests = PAGES.flatMap((one) =>
  blocksOf(one)
    // Rights are no settings; `npm run test:kubernetes` gives them to a service account of a real API server.
    .filter(({ language, text }) => language === 'yaml' && !/^kind: Role$/m.test(text))
    .map(({ text }, index) => [`${one.path}, ${index + 1}`, text] as const),
);

test.each(manifests)('every setting in the YAML of %s is accepted', async (_where, text) => {
  const template = join(ROOT, 'examples/nginx-signal');
  const { env: variables } = parseYaml(text) as { readonly env?: readonly Variable[] };
  const env =
    variables === undefined
      ? settingsFile(text)
      : Object.fromEntries(variables.map(({ name, value }) => [name, value.replace('/templates', template)]));
  expect(Object.keys(env).filter((name) => !isName(name))).toEqual([]);
  const targets = await loadTargets({ flags: [], env, cwd: '/' });
  const warnings = [...targets.values()].flatMap((one) => one.warnings);
  // The checker is looked for where the sidecar runs.
  expect(warnings.filter((warning) => !warning.includes('checks nothing before publishing'))).toEqual([]);
});

/** A block without `env` is a settings file, or the part of one about the source. */
function settingsFile(text: string): Record<string, string> {
  const folder = mkdtempSync(join(tmpdir(), 'docs-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'settings.yaml');
  // A secret's file is there where the sidecar runs.
  const secret = join(folder, 'secret');
  writeFileSync(secret, 'token');
  const templates = join(folder, 'templates');
  for (const [, name = ''] of text.matchAll(/\/templates\/(\S+)/g)) {
    mkdirSync(name.endsWith('/') ? join(templates, name) : templates, { recursive: true });
    if (!name.endsWith('/')) writeFileSync(join(templates, name), '');
  }
  const placed = text.replaceAll('/templates/', `${templates}/`);
  writeFileSync(path, placed.replaceAll(/\/run\/secrets\/\S+/g, secret));
  return { SETTINGS_FILE: path, ...(!/^(?:outputs?|targets):/m.test(text) && { OUTPUT: '/live/app.json' }) };
}
