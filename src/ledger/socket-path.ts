// Where the control socket lies, and how it is reached although the address of a socket may have 107 bytes only.
import * as fs from 'node:fs';
import { join } from 'node:path';
import { openDirectory } from '../publish/atomic-file.ts';
import type { Output } from '../publish/publisher.ts';
import { CONTROL_SOCKET, stateDirectoryOf } from './state-directory.ts';

/** The path as people are told it. */
export function controlSocketOf(output: Output, stateDir: string): string {
  return join(stateDirectoryOf(output, stateDir), CONTROL_SOCKET);
}

/**
 * Runs `work` with a short path of the directory, which holds for as long as that runs.
 * @throws the system's error when the directory cannot be opened.
 */
export async function inDirectory<T>(path: string, work: (short: string) => Promise<T>): Promise<T> {
  const directory = openDirectory(fs.realpathSync.native(path));
  try {
    return await work(directory.path);
  } finally {
    fs.closeSync(directory.fd);
  }
}
