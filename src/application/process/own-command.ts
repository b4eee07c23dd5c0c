// Recognises other commands of this program (a `status`, a `once` beside a running sidecar), which are never notified.
import { readlinkSync, realpathSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { type ProcessRow, processFolder, readArguments, readRootMount } from './proc.ts';

/**
 * A test for "is it a command of this program": Node runs the same script in the same container. The same path in
 * another container proves nothing: `/app/dist/main.js` is what many programs are called.
 */
export function createOwnCommandTest(): (row: ProcessRow) => boolean {
  const own = scriptOf('/proc/self');
  const container = readRootMount('/proc/self');
  const known = new Map<string, Answer>();
  return ({ pid, startTicks, comm }) => {
    if (own === null) return false;
    const key = `${pid} ${startTicks} ${comm}`;
    const nowMs = performance.now();
    const before = known.get(key);
    if (before !== undefined && nowMs - before.atMs <= KNOWN_MS) return before.isOwnCommand;
    if (known.size >= MOST_KNOWN) known.clear();
    const folder = processFolder(pid);
    const isOwnCommand = readRootMount(folder) === container && scriptOf(folder) === own;
    known.set(key, { isOwnCommand, atMs: nowMs });
    return isOwnCommand;
  };
}

interface Answer {
  readonly isOwnCommand: boolean;
  readonly atMs: number;
}

/** For so long an answer counts: one that becomes a command of ours (`exec`) is too young to be notified until then. */
const KNOWN_MS = 1000;
const MOST_KNOWN = 256;

/** The file of the script a Node.js process runs, links resolved, or null when it runs none or that cannot be seen. */
function scriptOf(folder: string): string | null {
  const [program = '', ...words] = readArguments(folder);
  if (!/^node(js)?$/.test(basename(program))) return null;
  for (const word of words) {
    // What follows an option may be its value: a script is a file.
    const path = word.startsWith('-') ? null : realPath(folder, word);
    if (path !== null) return path;
  }
  return null;
}

function realPath(folder: string, script: string): string | null {
  try {
    return realpathSync(resolve(readlinkSync(`${folder}/cwd`), script));
  } catch {
    return null;
  }
}
