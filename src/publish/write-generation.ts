// Writes the files of a generation below a new directory and flushes them. Every directory is held while it is written in, so
// that a link in its place leads nothing elsewhere.

import * as fs from 'node:fs';
import { faultPoint } from '../lib/fault-point.ts';
import type { Generation } from '../render/generation.ts';
import type { Owner } from '../settings/types.ts';
import { changeOwner, flush, openNewFile } from './atomic-file.ts';
import { closeHandle, type DirectoryHandle, openDirectory } from './directory-handle.ts';

const DIRECTORY_MODE = 0o755;
const SET_GROUP_ID = 0o2000;

/** Flushes run beside each other so that the file system can put many into one commit of its journal. */
const FLUSHES_AT_ONCE = 16;

/** @throws the system's error, or SidecarError `publish.owner`; what was written until then stays. */
export async function writeGeneration(
  root: DirectoryHandle,
  name: string,
  generation: Generation,
): Promise<void> {
  const written: number[] = [];
  // From the new directory down to the one that is written in; files come in name order, so none is left twice.
  const way: Folder[] = [{ prefix: '', handle: makeDirectory(root, name, generation.owner) }];
  const leave = (): void => {
    const left = way.pop();
    if (left !== undefined) written.push(left.handle.fd);
  };
  try {
    for (const file of generation.files) {
      while (!file.name.startsWith(way.at(-1)?.prefix ?? '')) leave();
      const folder = enter(way, file.name, generation.owner);
      const path = `${folder.handle.path}/${file.name.slice(folder.prefix.length)}`;
      const { mode = generation.mode } = file;
      written.push(openNewFile(path, file.bytes, { mode, owner: generation.owner }));
      if (written.length >= FLUSHES_AT_ONCE) await flushAndClose(written);
    }
    faultPoint('stage');
    while (way.length > 0) leave();
    while (written.length > 0) await flushAndClose(written);
  } finally {
    for (const { handle } of way) closeHandle(handle);
    for (const fd of written) fs.closeSync(fd);
  }
}

interface Folder {
  /** Of the names of its files: empty, or ends with a slash. */
  readonly prefix: string;
  readonly handle: DirectoryHandle;
}

/** Makes what is missing of the folders of a file below the last one of the way. */
function enter(way: Folder[], file: string, owner: Owner | null): Folder {
  let last = way.at(-1) as Folder;
  for (;;) {
    const slash = file.indexOf('/', last.prefix.length);
    if (slash === -1) return last;
    const name = file.slice(last.prefix.length, slash);
    last = { prefix: `${file.slice(0, slash)}/`, handle: makeDirectory(last.handle, name, owner) };
    way.push(last);
  }
}

/** Readable for all, with the group that a volume gives to what is made on it (`fsGroup`). */
function makeDirectory(parent: DirectoryHandle, name: string, owner: Owner | null): DirectoryHandle {
  const path = `${parent.path}/${name}`;
  fs.mkdirSync(path, 0o700);
  const handle = openDirectory(path);
  try {
    // Another directory of ours may have been moved here meanwhile, and its mode is for us alone.
    if (fs.readdirSync(handle.path).length > 0) throw new Error(`"${name}" was replaced while it was made`);
    if (owner !== null) changeOwner(handle.fd, owner);
    fs.fchmodSync(handle.fd, DIRECTORY_MODE | (fs.fstatSync(handle.fd).mode & SET_GROUP_ID));
    return handle;
  } catch (error) {
    closeHandle(handle);
    throw error;
  }
}

async function flushAndClose(open: number[]): Promise<void> {
  const some = open.slice(0, FLUSHES_AT_ONCE);
  await Promise.all(some.map((fd) => flush(fd)));
  open.splice(0, some.length);
  for (const fd of some) fs.closeSync(fd);
}
