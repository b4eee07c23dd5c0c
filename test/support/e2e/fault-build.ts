// Builds the program with `fault-main.ts` as its entry, as `npm run build` builds it otherwise.
import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const PROJECT = new URL('../../..', import.meta.url).pathname;

export interface FaultBuild {
  /** For the caller to remove. */
  readonly directory: string;
  /** The program in it. */
  readonly main: string;
}

/** Takes a second or two. */
export async function buildWithFaults(): Promise<FaultBuild> {
  const directory = mkdtempSync(join(tmpdir(), 'config-sidecar-faults-'));
  const words = ['build.mjs', 'into', directory, 'test/support/e2e/fault-main.ts'];
  await promisify(execFile)(process.execPath, words, { cwd: PROJECT });
  return { directory, main: join(directory, 'fault-main.js') };
}
