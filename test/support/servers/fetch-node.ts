// Other lines of Node.js, out of the npm registry, into the cache: the built program has to run under them.
import { execFile } from 'node:child_process';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { nodeFolder } from './prerequisites.ts';

/** The registry's `node` is a script that installs this package, which carries the program: no script has to run. */
export async function fetchNode(line: string): Promise<void> {
  const folder = nodeFolder(line);
  const unfinished = `${folder}.${process.pid}.tmp`;
  mkdirSync(unfinished, { recursive: true });
  const flags = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const name = `node-linux-${process.arch}@${line}`;
  try {
    await promisify(execFile)('npm', ['install', '--prefix', unfinished, ...flags, name], {
      cwd: unfinished,
    });
    renameSync(unfinished, folder);
  } catch (thrown) {
    const { stderr = '', message } = thrown as Error & { readonly stderr?: string };
    throw new Error(stderr.trim().split('\n')[0] || message, { cause: thrown });
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}
