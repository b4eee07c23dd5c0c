// A private copy of a release for VALIDATE_COMMAND: what the command does to it cannot reach the application.
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { inSlices } from '../lib/slices.ts';
import { openNewFile } from '../publish/atomic-file.ts';
import { closeHandle, openPlace } from '../publish/directory-handle.ts';
import { diskError } from '../publish/disk-error.ts';
import type { Output } from '../publish/publisher.ts';
import { removing } from '../publish/remove-tree.ts';
import type { Generation } from '../render/generation.ts';
import type { Release } from '../render/release.ts';
import { CHECK_PREFIX } from './ledger-slots.ts';

/**
 * Writes the release below `stateDirectory`, calls `use` with a function that gives the path of each output's copy, and removes it again
 * whatever happens. The last part of a path is the output's own name, and outputs lie to each other as they do on the volume,
 * so that a relative path from one into another leads into the copy.
 */
export async function withStagedCopy<T>(
  stateDirectory: string,
  { outputs, release }: { readonly outputs: readonly Output[]; readonly release: Release },
  use: (copyOf: (output: string) => string) => Promise<T>,
): Promise<T> {
  const name = CHECK_PREFIX + randomBytes(6).toString('hex');
  const common = commonDirectory(outputs.map(({ path }) => dirname(path)));
  const inside = (path: string): string => relative(common, path);
  const held = openPlace(stateDirectory);
  try {
    const folder = join(held.path, name);
    // The command is another process, to which a path through a descriptor of ours means nothing.
    const shown = join(stateDirectory, name);
    for (const { path, generation } of release.parts) {
      const isFile = outputs.find((one) => one.path === path)?.kind === 'file';
      const place = isFile ? dirname(inside(path)) : inside(path);
      writeCopy([join(folder, place), join(shown, place)], generation);
    }
    return await use((output) => join(shown, inside(output)));
  } finally {
    await inSlices(removing(held, name)).catch(() => {});
    closeHandle(held);
  }
}

/** The deepest directory that holds all of these. */
function commonDirectory(directories: readonly string[]): string {
  let common = directories[0] ?? '/';
  while (!directories.every((one) => one === common || one.startsWith(common === '/' ? '/' : `${common}/`)))
    common = dirname(common);
  return common;
}

function writeCopy([directory, shown]: readonly [string, string], { files, ...shared }: Generation): void {
  try {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const { name, bytes, mode = shared.mode } of files) {
      const path = join(directory, name);
      fs.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      fs.closeSync(openNewFile(path, bytes, { mode, owner: null }));
    }
  } catch (error) {
    throw diskError(error, shown, { files: files.length + 1 });
  }
}
