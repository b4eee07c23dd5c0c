// A private copy of a generation for VALIDATE_COMMAND: what the command does to it cannot reach the application.
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { diskError, openNewFile } from '../publish/atomic-file.ts';
import type { Output } from '../publish/publisher.ts';
import type { Generation } from '../render/generation.ts';
import { CHECK_PREFIX } from './state-directory.ts';

/**
 * Writes the generation below `stateDirectory`, calls `use` with the copy's path, whose last part is the output's own
 * name, and removes it again whatever happens.
 */
export async function withStagedCopy<T>(
  stateDirectory: string,
  { output, generation }: { readonly output: Output; readonly generation: Generation },
  use: (path: string) => Promise<T>,
): Promise<T> {
  const folder = join(stateDirectory, CHECK_PREFIX + randomBytes(6).toString('hex'));
  const path = join(folder, basename(output.path) || 'root');
  try {
    writeCopy(output.kind === 'file' ? folder : path, generation);
    return await use(path);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function writeCopy(directory: string, { files, mode }: Generation): void {
  try {
    for (const { name, bytes } of files) {
      const path = join(directory, name);
      fs.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      fs.closeSync(openNewFile(path, bytes, { mode, owner: null }));
    }
  } catch (error) {
    throw diskError(error, directory);
  }
}
