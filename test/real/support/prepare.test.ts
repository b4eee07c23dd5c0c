// What the tests need and cannot be had is named in a sentence, and no test starts.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { PROJECT } from '../../support/servers/cache.ts';
import { findOnPath } from '../../support/servers/find-program.ts';
import { SYSTEM } from '../../support/servers/prerequisites.ts';

interface Ended {
  readonly code: number;
  readonly output: string;
  readonly ms: number;
}

const VITEST = join(PROJECT, 'node_modules/vitest/vitest.mjs');

/** Runs the tests of one file where PATH has the programs that are named and no others. */
function runWith(programs: readonly string[], file: string): Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), 'prepare-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const program of programs) symlinkSync(findOnPath(program) ?? '', join(folder, program));
  const words = [VITEST, 'run', '--config', 'test/vitest.config.ts', '--project', 'real', file];
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const options = { cwd: PROJECT, env: { PATH: folder, HOME: folder, NO_COLOR: '1' } };
    execFile(process.execPath, words, options, (error, stdout, stderr) => {
      const code = typeof error?.code === 'number' ? error.code : 0;
      resolve({ code, output: stdout + stderr, ms: performance.now() - startedAt });
    });
  });
}

test('a program of the system that is missing is named with its package, at once', async () => {
  const [missing = '', ...others] = Object.keys(SYSTEM);
  const { code, output, ms } = await runWith(others, 'test/real/support/proxy.test.ts');
  expect(output).toContain(
    `Cannot find "${missing}" on PATH: install the Debian package ${SYSTEM[missing]}.\n`,
  );
  expect(output).toContain('No test was started.\n');
  expect(output).not.toMatch(/passed|✓/);
  expect([code, ms < 20_000]).toEqual([1, true]);
});

test('tests that need nothing start without any of it', async () => {
  const words = [
    VITEST,
    'run',
    '--config',
    'test/vitest.config.ts',
    '--project',
    'unit',
    'test/unit/layers.test.ts',
  ];
  const ended = await new Promise<number>((resolve) => {
    const options = { cwd: PROJECT, env: { PATH: '/nonexistent', NO_COLOR: '1' } };
    execFile(process.execPath, words, options, (error) => resolve(error === null ? 0 : 1));
  });
  expect(ended).toBe(0);
});
