// examples/README.md is right: it lists every example, its commands print what it says, its settings are the program's own.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { isName } from '../../../src/settings/table.ts';
import { DIST } from '../../support/e2e/sidecar.ts';
import { EXAMPLES } from '../../support/examples/manifest.ts';
import { must } from '../../support/examples/together.ts';
import { loadSettings } from '../../support/settings/only-target.ts';

const README = readFileSync(join(EXAMPLES, 'README.md'), 'utf8');
const folders = readdirSync(EXAMPLES, { withFileTypes: true })
  .filter((one) => one.isDirectory())
  .map(({ name }) => name);

test('it lists every example, and is short', () => {
  const listed = [...README.matchAll(/^\| \[([\w-]+)\]\(\1\) \|/gm)].map(([, name]) => name);
  expect(new Set(listed)).toEqual(new Set(folders));
  expect(listed.length).toBe(folders.length);
  expect(README.split('\n').length).toBeLessThanOrEqual(160);
});

test.each(['.', ...folders])('the links in the README of %s lead somewhere', (name) => {
  const text = readFileSync(join(EXAMPLES, name, 'README.md'), 'utf8');
  const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path = '']) => path);
  expect(links.filter((path) => !existsSync(join(EXAMPLES, name, path)))).toEqual([]);
});

const blocks = [...README.matchAll(/^```sh\n([\s\S]*?)^```\n\n```text\n([\s\S]*?)^```$/gm)];

test('every block of commands says what it prints', () => {
  expect(blocks.length).toBe([...README.matchAll(/^```sh$/gm)].length);
  expect(blocks.length).toBeGreaterThanOrEqual(3);
});

test('one after the other they print the documented output', () => {
  const folder = mkdtempSync(join(tmpdir(), 'examples-readme-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, 'bin/config-sidecar');
  for (const name of ['bin', 'empty']) mkdirSync(join(folder, name));
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${join(DIST, 'main.js')}' "$@"\n`);
  chmodSync(program, 0o755);
  const env = { PATH: `${join(folder, 'bin')}:${process.env['PATH']}` };
  for (const [, commands = '', prints] of blocks) {
    const output = must('sh', ['-e', '-c', `cd '${folder}/empty'\n${commands}`], env);
    expect(output.replace(/^\{"level":.*\n/gm, '')).toBe(prints);
  }
});

test('every choice of a hook is one that the program takes', async () => {
  const [, table = ''] = /^\| The application \| Settings \|\n([\s\S]*?)\n\n/m.exec(README) ?? [];
  const choices = table.split('\n').slice(1);
  expect(choices.length).toBe(5);
  for (const choice of choices) {
    const given = [...choice.matchAll(/`([A-Z_]+)=([^`]+)`/g)];
    const env = Object.fromEntries(
      given.map(([, name = '', value = '']) => [name, value.replaceAll('"', '')]),
    );
    expect(Object.keys(env).filter((name) => !isName(name))).toEqual([]);
    const other = { CONFIG_FILE: join(EXAMPLES, 'local-dev/config.yaml'), OUTPUT: '/live/app.json' };
    expect(await loadSettings({ flags: [], env: { ...env, ...other }, cwd: '/' })).toMatchObject({
      warnings: [],
    });
  }
});

test('the program explains the commands and presets it speaks of', () => {
  const explain = (word: string): string => must(process.execPath, [join(DIST, 'main.js'), 'help', word]);
  for (const command of ['check', 'once']) {
    expect(README).toMatch(new RegExp(`\\b${command}\\b`));
    expect(explain(command)).toMatch(new RegExp(`^Usage: config-sidecar ${command}\\b`));
  }
  expect(explain('presets')).toMatch(/^Presets, for PRESET/);
});

test('every setting it names is one', () => {
  const names = [...README.matchAll(/`([A-Z]+(?:_[A-Z]+)*)(?:=[^`]*)?`/g)].map(([, name = '']) => name);
  expect(names.length).toBeGreaterThan(5);
  expect(names.filter((name) => !isName(name))).toEqual([]);
});
