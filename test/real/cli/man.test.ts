// The man page as `man` shows it.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { serverBinary } from '../../support/servers/prerequisites.ts';

const PAGE = join(import.meta.dirname, '../../../man/config-sidecar.1');
const mandoc = (...words: readonly string[]): string =>
  execFileSync(serverBinary('mandoc'), [...words, PAGE], { encoding: 'utf8' });

test('reads without an error', () => {
  expect(mandoc('-T', 'lint', '-W', 'error')).toBe('');
});

test('shows what can be copied: dashes are dashes, quotes are quotes', () => {
  const text = mandoc('-T', 'utf8').replaceAll(/.\x08/g, '');
  expect(text).toContain('config-sidecar check --source ./app.yaml --output /tmp/app.json');
  expect(text).toContain('rollback [GENERATION] [--reason TEXT] [--no-wait] [--target NAME]');
  expect(text).toMatch(/^ {3}Exit status|^EXIT STATUS/m);
});
