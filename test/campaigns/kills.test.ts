// The campaign of random kills in its short form; `test/campaigns/kills.ts` is the long one.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { DIST } from '../support/e2e/sidecar.ts';
import { killAtRandom } from './kills-run.ts';

const PROGRAMS = new URL('../support/fixtures/processes', import.meta.url).pathname;

test('random kills under a stream of good and bad changes tear nothing, lose nothing and leave nothing', async () => {
  const root = mkdtempSync(join(tmpdir(), 'config-sidecar-kills-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true, maxRetries: 5 }));
  const report = await killAtRandom({ kills: 50, root, main: join(DIST, 'main.js'), programs: PROGRAMS });
  expect(report.wrongs).toEqual([]);
  expect(report).toMatchObject({ kills: 52 });
  expect(report.tellings).toBeGreaterThan(3);
  expect(report.reads).toBeGreaterThan(1_000);
}, 240_000);
