// Builds the program with `fault-main.ts` as its entry, as `npm run build` builds it otherwise.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const PROJECT = new URL('../../..', import.meta.url).pathname;

/** What of the project's build script makes the bundle. */
const BUNDLING = /esbuild src\/main\.ts .*?--log-level=\w+/;

export interface FaultBuild {
  /** For the caller to remove. */
  readonly directory: string;
  /** The program in it. */
  readonly main: string;
}

/** Takes a second or two. */
export async function buildWithFaults(): Promise<FaultBuild> {
  const { scripts } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8'));
  const [command] = BUNDLING.exec(scripts.build) ?? [];
  if (command === undefined) throw new Error(`Cannot find esbuild in the build script "${scripts.build}"`);
  const directory = mkdtempSync(join(tmpdir(), 'config-sidecar-faults-'));
  const words = command
    .replace('src/main.ts', 'test/support/e2e/fault-main.ts')
    .replace('--outdir=dist', `--outdir="${directory}"`);
  const PATH = `${join(PROJECT, 'node_modules/.bin')}:${process.env['PATH']}`;
  await promisify(execFile)('sh', ['-c', words], { cwd: PROJECT, env: { ...process.env, PATH } });
  return { directory, main: join(directory, 'fault-main.js') };
}
