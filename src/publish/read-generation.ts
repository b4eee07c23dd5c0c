// Reads the files of a generation on the volume, where others may have changed anything: through descriptors, and no more than
// a generation can have.

import * as fs from 'node:fs';
import { basename } from 'node:path';
import { errnoOf } from '../lib/errors.ts';
import type { Sliced } from '../lib/slices.ts';
import type { DescribedFile } from '../render/generation.ts';
import { closeHandle, type DirectoryHandle, openDirectory, within } from './directory-handle.ts';
import { ownerOf } from './ownership.ts';
import type { PublisherOptions } from './place.ts';
import { listing } from './remove-tree.ts';
import { readBytes, withOpenFile } from './safe-open.ts';

/** What a name counts for beside its own length. */
const ENTRY_BYTES = 256;
/** Names of even the smallest generation. */
const LEAST_NAME_BYTES = 2 ** 20;
/** Longer than any path that is published. */
const MAX_PATH_BYTES = 4_096;

/** Something on the volume is larger than anything we publish. */
export class TooLarge extends Error {}

/**
 * The files below the directory, in name order. What is no regular file, or cannot be read, is described as something that no
 * generation has.
 * @throws TooLarge, or the system's error when the directory changes meanwhile.
 */
export function* readingGeneration(
  root: DirectoryHandle,
  name: string,
  options: PublisherOptions,
): Sliced<readonly DescribedFile[]> {
  const top = openDirectory(`${root.path}/${name}`);
  try {
    const files: DescribedFile[] = [];
    const left = { bytes: options.maxBytes, names: 4 * options.maxBytes + LEAST_NAME_BYTES };
    const folders = [''];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      const handle = openBelow(top, folder);
      try {
        for (const entry of yield* listing(handle)) {
          const path = folder === '' ? entry : `${folder}/${entry}`;
          left.names -= Buffer.byteLength(path) + ENTRY_BYTES;
          if (left.names < 0 || path.length > MAX_PATH_BYTES) throw new TooLarge();
          const file = describe(handle, path, { ...options, maxBytes: left.bytes });
          if (file === null) folders.push(path);
          else {
            left.bytes -= file.bytes.length;
            files.push(file);
          }
          yield;
        }
      } finally {
        closeHandle(handle);
      }
    }
    return files.sort((a, b) => (a.name < b.name ? -1 : 1));
  } finally {
    closeHandle(top);
  }
}

/** Part by part, so that none of them can be a link. */
function openBelow(top: DirectoryHandle, path: string): DirectoryHandle {
  let at = openDirectory(`${top.path}/.`);
  for (const part of path.split('/').filter((one) => one !== ''))
    at = within(at, ({ path: here }) => openDirectory(`${here}/${part}`));
  return at;
}

/** null for a directory. */
function describe(
  folder: DirectoryHandle,
  name: string,
  { owner, maxBytes }: PublisherOptions,
): DescribedFile | null {
  const path = `${folder.path}/${basename(name)}`;
  const stat = fs.lstatSync(path);
  if (stat.isDirectory()) return null;
  const nothing = { name, bytes: Buffer.from('not a file that can be read'), mode: stat.mode & 0o7777 };
  if (!stat.isFile()) return { ...nothing, owner: ownerOf(stat, owner) };
  try {
    return withOpenFile(path, (fd, found) => {
      if (!found.isFile()) return { ...nothing, owner: ownerOf(found, owner) };
      if (found.size > maxBytes) throw new TooLarge();
      const bytes = readBytes(fd, found.size);
      return { name, bytes, mode: found.mode & 0o7777, owner: ownerOf(found, owner) };
    });
  } catch (error) {
    if (error instanceof TooLarge || errnoOf(error) === 'ENOENT') throw error;
    return { ...nothing, owner: ownerOf(stat, owner) };
  }
}
