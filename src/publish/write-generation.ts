// Writes the files of a generation below a new directory and flushes them. Every directory is held while it is written in, so
// that a link in its place leads nothing elsewhere.

import * as fs from 'node:fs';
import { faultPoint } from '../lib/fault-point.ts';
import { createPauses } from '../lib/slices.ts';
import type { Generation } from '../render/generation.ts';
import type { Owner } from '../settings/types.ts';
import { changeOwner, flush, openNewFile } from './atomic-file.ts';
import { closeHandle, type DirectoryHandle, openDirectory } from './directory-handle.ts';
import { Linker, WrittenFiles } from './written-files.ts';

const DIRECTORY_MODE = 0o755;
const SET_GROUP_ID = 0o2000;

/** Flushes run beside each other so that the file system can put many into one commit of its journal. */
const FLUSHES_AT_ONCE = 16;

/**
 * @param before the generation that is visible, as it was written; its files that the next one has as well are linked.
 * @throws the system's error, or SidecarError `publish.owner`; what was written until then stays.
 */
export async function writeGeneration(
  root: DirectoryHandle,
  { name, before }: { readonly name: string; readonly before: WrittenFiles | null },
  generation: Generation,
): Promise<WrittenFiles> {
  const written = new WrittenFiles(name, generation);
  const linker = new Linker(before, generation);
  const pause = createPauses();
  const unflushed: number[] = [];
  // From the new directory down to the one that is written in; files come in name order, so none is left twice.
  const way: Folder[] = [];
  const leave = (): void => {
    const left = way.pop();
    if (left === undefined) return;
    unflushed.push(left.handle.fd);
    if (left.before !== null) closeHandle(left.before);
  };
  try {
    way.push({
      ...{ prefix: '', handle: makeDirectory(root, name, generation.owner) },
      before: before && openIfThere(root, before.name),
    });
    for (const [at, file] of generation.files.entries()) {
      while (!file.name.startsWith(way.at(-1)?.prefix ?? '')) leave();
      const folder = enter(way, file.name, generation.owner);
      const inside = file.name.slice(folder.prefix.length);
      const linkAt = folder.before === null ? null : linker.indexOf(file);
      const linked =
        folder.before !== null && linkAt !== null
          ? linker.link(folder.before, folder.handle, { name: inside, at: linkAt })
          : null;
      if (linked !== null) written.note(at, linked);
      else {
        const fd = openNewFile(`${folder.handle.path}/${inside}`, file.bytes, {
          mode: file.mode ?? generation.mode,
          owner: generation.owner,
        });
        unflushed.push(fd);
        written.note(at, fs.fstatSync(fd));
      }
      await (unflushed.length >= FLUSHES_AT_ONCE ? flushAndClose(unflushed) : pause());
    }
    faultPoint('stage');
    while (way.length > 0) leave();
    while (unflushed.length > 0) await flushAndClose(unflushed);
    return written;
  } finally {
    for (const folder of way) {
      closeHandle(folder.handle);
      if (folder.before !== null) closeHandle(folder.before);
    }
    for (const fd of unflushed) fs.closeSync(fd);
  }
}

interface Folder {
  /** Of the names of its files: empty, or ends with a slash. */
  readonly prefix: string;
  readonly handle: DirectoryHandle;
  /** The same folder of the generation before; null where that has no such folder. */
  readonly before: DirectoryHandle | null;
}

/** Makes what is missing of the folders of a file below the last one of the way. */
function enter(way: Folder[], file: string, owner: Owner | null): Folder {
  let last = way.at(-1) as Folder;
  for (;;) {
    const slash = file.indexOf('/', last.prefix.length);
    if (slash === -1) return last;
    const name = file.slice(last.prefix.length, slash);
    const handle = makeDirectory(last.handle, name, owner);
    last = {
      ...{ prefix: `${file.slice(0, slash)}/`, handle },
      before: last.before && openIfThere(last.before, name),
    };
    way.push(last);
  }
}

/** Whatever is wrong with it: then there is nothing to link. */
function openIfThere(parent: DirectoryHandle, name: string): DirectoryHandle | null {
  try {
    return openDirectory(`${parent.path}/${name}`);
  } catch {
    return null;
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
