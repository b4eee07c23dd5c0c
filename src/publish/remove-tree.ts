// Removes what was made by us in a directory where others may write: by descriptors, so that no link leads out of it.

import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { errnoOf } from '../lib/errors.ts';
import { inSlices, type Sliced } from '../lib/slices.ts';
import { closeHandle, type DirectoryHandle, openDirectory } from './directory-handle.ts';

/** The names in a directory, read bit by bit: others may have put a million there. */
export function* listing(directory: DirectoryHandle): Sliced<readonly string[]> {
  const names: string[] = [];
  const open = fs.opendirSync(directory.path);
  try {
    for (let entry = open.readSync(); entry !== null; entry = open.readSync()) {
      names.push(entry.name);
      yield;
    }
  } finally {
    open.closeSync();
  }
  return names;
}

/** Removes a name, which may be gone already. Nothing happens when it is a directory, or not permitted. */
export function unlinkIfPossible(directory: DirectoryHandle, name: string): void {
  try {
    fs.unlinkSync(`${directory.path}/${name}`);
  } catch {}
}

/** Removes a name and all below it, bit by bit; begins at once. What cannot be removed stays. */
export async function removeInBackground(directory: DirectoryHandle, name: string): Promise<void> {
  await inSlices(removing(directory, name)).catch(() => {});
}

/**
 * The same as a slice of work. Directories inside are first moved beside the name, under names of the same form: so any
 * depth needs two descriptors only, and a crash leaves nothing that a start would not remove.
 * @throws the system's error.
 */
export function* removing(directory: DirectoryHandle, name: string): Sliced<void> {
  // A descriptor of its own: the caller may close the other one before this is done.
  const root = openDirectory(`${directory.path}/.`);
  try {
    const waiting = [name];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (!isUnlinked(root, next)) yield* removingDirectory(root, next, waiting);
      yield;
    }
  } finally {
    closeHandle(root);
  }
}

function* removingDirectory(root: DirectoryHandle, name: string, waiting: string[]): Sliced<void> {
  const inside = openDirectory(`${root.path}/${name}`);
  try {
    if (fs.fstatSync(inside.fd).dev !== fs.fstatSync(root.fd).dev) throw new Error('another file system');
    for (const entry of yield* listing(inside)) {
      if (!isUnlinked(inside, entry)) {
        const beside = name.slice(0, -12) + randomBytes(6).toString('hex');
        fs.renameSync(`${inside.path}/${entry}`, `${root.path}/${beside}`);
        waiting.push(beside);
      }
      yield;
    }
  } finally {
    closeHandle(inside);
  }
  fs.rmdirSync(`${root.path}/${name}`);
}

/** false when it is a directory. */
function isUnlinked(directory: DirectoryHandle, name: string): boolean {
  try {
    fs.unlinkSync(`${directory.path}/${name}`);
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return true;
    // Linux says the first for a directory, other systems the second.
    if (errno === 'EISDIR' || errno === 'EPERM') return false;
    throw error;
  }
}
