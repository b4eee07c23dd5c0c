// A private copy of a generation for VALIDATE_COMMAND: what the command does to it cannot reach the application.
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { inSlices } from '../lib/slices.ts';
import { openNewFile } from '../publish/atomic-file.ts';
import { closeHandle, openPlace } from '../publish/directory-handle.ts';
import { diskError } from '../publish/disk-error.ts';
import type { Output } from '../publish/publisher.ts';
import { removing } from '../publish/remove-tree.ts';
import type { Generation } from '../render/generation.ts';
import { CHECK_PREFIX } from './ledger-file.ts';

/**
 * Writes the generation below `stateDirectory`, calls `use` with the copy's path, whose last part is the output's own
 * name, and removes it again whatever happens.
 */
export async function withStagedCopy<T>(
  stateDirectory: string,
  { output, generation }: { readonly output: Output; readonly generation: Generation },
  use: (path: string) => Promise<T>,
): Promise<T> {
  const name = CHECK_PREFIX + randomBytes(6).toString('hex');
  const inside = basename(output.path) || 'root';
  const held = openPlace(stateDirectory);
  try {
    const folder = join(held.path, name);
    // The command is another process, to which a path through a descriptor of ours means nothing.
    const shown = join(stateDirectory, name);
    writeCopy(
      output.kind === 'file' ? [folder, shown] : [join(folder, inside), join(shown, inside)],
      generation,
    );
    return await use(join(shown, inside));
  } finally {
    await inSlices(removing(held, name)).catch(() => {});
    closeHandle(held);
  }
}

function writeCopy([directory, shown]: readonly [string, string], { files, mode }: Generation): void {
  try {
    for (const { name, bytes } of files) {
      const path = join(directory, name);
      fs.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      fs.closeSync(openNewFile(path, bytes, { mode, owner: null }));
    }
  } catch (error) {
    throw diskError(error, shown, { files: files.length + 1 });
  }
}
