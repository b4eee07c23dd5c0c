// `kills --kills N [--dist DIR]`, bundled and run from the project's folder: the campaign of kills-run.ts for as long as one
// likes; prints its report, and exit code 1 when anything was wrong.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { killAtRandom } from './kills-run.ts';

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '1000' }, dist: { type: 'string', default: 'dist' } },
});
// What it started ends with it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
const root = mkdtempSync(join(tmpdir(), 'config-sidecar-kills-'));
const startedAt = Date.now();
const report = await killAtRandom({
  kills: Number(values.kills),
  root,
  main: resolve(values.dist, 'main.js'),
  programs: resolve('test/support/fixtures/processes'),
  onKill: (count) => {
    if (count % 50 === 0) console.log(`${count} kills, ${Math.round((Date.now() - startedAt) / 1000)} s`);
  },
});
console.log(JSON.stringify(report, null, 2));
if (report.wrongs.length === 0) rmSync(root, { recursive: true, force: true });
else console.log(`What is left of it is in ${root}`);
process.exit(report.wrongs.length === 0 ? 0 : 1);
