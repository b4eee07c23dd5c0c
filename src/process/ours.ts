// Recognises other commands of this program (a `status`, a `once` beside a running sidecar), which are never told anything.
import { readlinkSync } from 'node:fs';
import { basename, isAbsolute, join } from 'node:path';
import { type ProcessRow, processFolder, readArguments, readRootMount } from './proc.ts';

/** The name a running sidecar gives itself where `ps` and `/proc/PID/comm` show it. */
export const OWN_TITLE = 'config-sidecar';

/**
 * A test for "is it a command of this program": it shows our name, or Node runs the same script in the same container.
 * The same path in another container proves nothing: `/app/dist/main.js` is what many programs are called.
 */
export function createOwnCommandTest(): (row: ProcessRow) => boolean {
  const own = scriptOf('/proc/self');
  const container = readRootMount('/proc/self');
  return (row) => {
    if (row.comm === OWN_TITLE) return true;
    const folder = processFolder(row.pid);
    return own !== null && scriptOf(folder) === own && readRootMount(folder) === container;
  };
}

/** Absolute path of the script a Node.js process runs, or null when it runs none or that cannot be seen. */
function scriptOf(folder: string): string | null {
  const [program = '', ...words] = readArguments(folder);
  if (!/^node(js)?$/.test(basename(program))) return null;
  const script = words.find((word) => !word.startsWith('-'));
  if (script === undefined || isAbsolute(script)) return script ?? null;
  try {
    return join(readlinkSync(`${folder}/cwd`), script);
  } catch {
    return null;
  }
}
