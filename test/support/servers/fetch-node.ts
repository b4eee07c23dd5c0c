// Other lines of Node.js, out of the npm registry, into the cache: the built program has to run under them.
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { nodeFolder, nodeProgram, rootOf } from './prerequisites.ts';

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
    const script = join(unfinished, basename(nodeProgram(line)));
    writeFileSync(script, startScript(folder));
    chmodSync(script, 0o755);
    renameSync(unfinished, folder);
  } catch (thrown) {
    const { stderr = '', message } = thrown as Error & { readonly stderr?: string };
    throw new Error(stderr.trim().split('\n')[0] || message, { cause: thrown });
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

/** A minimal machine lacks a library that newer lines are linked against. */
function startScript(folder: string): string {
  const program = join(folder, 'node_modules', `node-linux-${process.arch}`, 'bin/node');
  const libraries = join(rootOf('libatomic'), 'usr/lib', MULTIARCH[process.arch] ?? '');
  return `#!/bin/sh\nexport LD_LIBRARY_PATH='${libraries}'\nexec '${program}' "$@"\n`;
}

const MULTIARCH: Readonly<Record<string, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };
