// Where the control socket lies, and how it is reached although the address of a socket may have 107 bytes only.
import { join } from 'node:path';
import { closeHandle, openPlace } from '../publish/directory-handle.ts';
import type { Output } from '../publish/publisher.ts';
import { stateDirectoryOf } from '../settings/outputs.ts';
import { CONTROL_SOCKET } from './state-directory.ts';

/** The path as messages show it. */
export function controlSocketOf(output: Output, stateDir: string): string {
  return join(stateDirectoryOf(output, stateDir), CONTROL_SOCKET);
}

/**
 * Runs `work` with a short path of the directory, which holds for as long as that runs.
 * @throws the system's error when the directory cannot be opened.
 */
export async function inDirectory<T>(path: string, work: (short: string) => Promise<T>): Promise<T> {
  const directory = openPlace(path);
  try {
    return await work(directory.path);
  } finally {
    closeHandle(directory);
  }
}
