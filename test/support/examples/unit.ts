// A systemd unit of an example: read, and judged by systemd's own tools, which need no systemd that runs.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Replaced } from './manifest.ts';
import type { Environment } from './together.ts';

/** What `systemd-analyze` says of a unit, whose programs are replaced by this machine's Node. */
export function analyze(unit: string, words: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'unit-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'example.service');
  writeFileSync(path, unit.replace('/usr/bin/node', process.execPath).replace('/bin/kill', process.execPath));
  const { status, stdout, stderr } = spawnSync('systemd-analyze', [...words, path], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], SYSTEMD_PAGER: '', SYSTEMD_COLORS: '0' },
    timeout: 30_000,
  });
  return { status, output: stdout + stderr };
}

/** What the unit starts its program with: the words between `node` and the program's path, and the environment. */
export function startOfUnit(unit: string, replaced: Replaced) {
  const put = (text: string): string =>
    Object.entries(replaced).reduce((value, [from, to]) => value.replaceAll(from, to), text);
  const [command = ''] = valuesOf(unit, 'ExecStart');
  const entries = valuesOf(unit, 'Environment').map((one) => {
    const [name = '', value = ''] = one.split(/=(.*)/s);
    return [name, put(value)] as const;
  });
  const env: Environment = Object.fromEntries(entries);
  return { nodeWords: command.split(' ').slice(1, -1), env };
}

/** Every value of a directive, in order. */
export function valuesOf(unit: string, directive: string): readonly string[] {
  return [...unit.matchAll(new RegExp(`^${directive}=(.*)$`, 'gm'))].map(([, value = '']) => value);
}
