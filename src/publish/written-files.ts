// What is known of the files of a generation that we wrote: one that has not changed since can be linked into the next
// generation, which costs a small part of writing and flushing it again.

import * as fs from 'node:fs';
import type { Generation, GenerationFile } from '../render/generation.ts';
import type { DirectoryHandle } from './directory-handle.ts';
import { unlinkIfPossible } from './remove-tree.ts';

/** Of each file: inode, time of its last change, mode, user and group. */
const FIELDS = 5;

export class WrittenFiles {
  /** The directory they are in. */
  name: string;
  readonly generation: Generation;
  readonly #marks: Float64Array;

  constructor(name: string, generation: Generation) {
    this.name = name;
    this.generation = generation;
    this.#marks = new Float64Array(generation.files.length * FIELDS);
  }

  /** Its directory was renamed. */
  movedTo(name: string): this {
    this.name = name;
    return this;
  }

  /** Notes the file with this index, as it is now. */
  note(at: number, { ino, mtimeMs, mode, uid, gid }: fs.Stats): void {
    this.#marks.set([ino, mtimeMs, mode, uid, gid], at * FIELDS);
  }

  /**
   * Whether this is the file that was noted, and neither its bytes nor its mode or owner were changed since. The time of its
   * inode says nothing: every link changes that.
   */
  isUnchanged(at: number, stat: fs.Stats): boolean {
    const { ino, mtimeMs, mode, uid, gid, size } = stat;
    const isSame = [ino, mtimeMs, mode, uid, gid].every((value, i) => value === this.#marks[at * FIELDS + i]);
    return isSame && stat.isFile() && size === this.generation.files[at]?.bytes.length;
  }
}

/** Finds files of the generation before that the next one has as well. Both are in name order. */
export class Linker {
  readonly #before: WrittenFiles | null;
  readonly #mode: number;
  #at = 0;

  /** @param before null: there is nothing to link. */
  constructor(before: WrittenFiles | null, next: Generation) {
    const isAlike =
      before?.generation.owner?.uid === next.owner?.uid && before?.generation.owner?.gid === next.owner?.gid;
    this.#before = isAlike ? before : null;
    this.#mode = next.mode;
  }

  /** The index of the same file in the generation before; null where that has none, or another. To be asked in name order. */
  indexOf({ name, bytes, mode = this.#mode }: GenerationFile): number | null {
    const { files = [], mode: modeBefore } = this.#before?.generation ?? {};
    while ((files[this.#at]?.name ?? name) < name) this.#at += 1;
    const file = files[this.#at];
    if (file?.name !== name || (file.mode ?? modeBefore) !== mode) return null;
    return Buffer.compare(file.bytes, bytes) === 0 ? this.#at : null;
  }

  /**
   * Links it. Looked at is the new link, which is out of the reach of others.
   * @returns what was linked; null when that is not what was written, or the file system does not allow it: then there is no link.
   */
  link(from: DirectoryHandle, to: DirectoryHandle, file: { name: string; at: number }): fs.Stats | null {
    try {
      fs.linkSync(`${from.path}/${file.name}`, `${to.path}/${file.name}`);
    } catch {
      return null;
    }
    const stat = fs.lstatSync(`${to.path}/${file.name}`);
    if (this.#before?.isUnchanged(file.at, stat)) return stat;
    unlinkIfPossible(to, file.name);
    return null;
  }
}
