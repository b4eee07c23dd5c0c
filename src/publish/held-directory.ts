// A directory that is held from its first use on: another one at its place is never taken for it.

import * as fs from 'node:fs';
import { errnoOf, SidecarError } from '../lib/errors.ts';
import { closeHandle, type DirectoryHandle, openPlace } from './directory-handle.ts';

interface Identity {
  readonly dev: bigint;
  readonly ino: bigint;
}

interface Held extends DirectoryHandle, Identity {}

export class HeldDirectory {
  /** As it is configured: absolute. */
  readonly path: string;
  readonly #open: (path: string) => DirectoryHandle;
  #held: Held | null = null;

  /** Opens nothing yet. */
  constructor(path: string, open: (path: string) => DirectoryHandle = openPlace) {
    this.path = path;
    this.#open = open;
  }

  /**
   * The directory, after a look whether it still is where it was. A directory that was deleted may be made again; one that
   * was only moved away is still held, and what has its place now is refused.
   * @throws the system's error when there is nothing, SidecarError `publish.replaced`, or what opening it throws.
   */
  use(): DirectoryHandle {
    const held = this.#held ?? this.#take();
    const there = identityAt(this.path);
    if (there?.dev === held.dev && there.ino === held.ino) return held;
    if (isDeleted(held)) {
      this.release();
      return this.#take();
    }
    if (there === null) throw Object.assign(new Error('no such directory'), { code: 'ENOENT' });
    throw replaced(this.path);
  }

  /**
   * Holds the directory if it is there.
   * @throws SidecarError `publish.replaced`, and nothing else: other trouble is reported where the directory is needed.
   */
  refuseReplaced(): void {
    try {
      this.use();
    } catch (error) {
      if (error instanceof SidecarError && error.code === 'publish.replaced') throw error;
    }
  }

  /** Whether the directory is held and in its place. Never throws. */
  isInPlace(): boolean {
    if (this.#held === null) return false;
    const there = identityAt(this.path);
    return there?.dev === this.#held.dev && there.ino === this.#held.ino;
  }

  release(): void {
    if (this.#held !== null) closeHandle(this.#held);
    this.#held = null;
  }

  #take(): Held {
    const handle = this.#open(this.path);
    const { dev, ino } = fs.fstatSync(handle.fd, { bigint: true });
    this.#held = { ...handle, dev, ino };
    return this.#held;
  }
}

/** null when nothing is there, or a part of the path is no directory. */
function identityAt(path: string): Identity | null {
  try {
    return fs.statSync(path, { bigint: true });
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ELOOP') return null;
    throw error;
  }
}

/** Not every file system counts the names of a directory; the kernel then says it in the descriptor's own link. */
function isDeleted(held: Held): boolean {
  try {
    if (fs.fstatSync(held.fd).nlink === 0) return true;
    const path = fs.readlinkSync(held.path);
    if (!path.endsWith(' (deleted)')) return false;
    const there = identityAt(path);
    return there?.dev !== held.dev || there.ino !== held.ino;
  } catch (error) {
    return errnoOf(error) === 'ESTALE';
  }
}

function replaced(path: string): SidecarError {
  return new SidecarError(
    `Cannot publish in "${path}": since the start another directory has taken its place, and nothing is written there. ` +
      'Put the first one back, or restart the sidecar to use the new one.',
    { code: 'publish.replaced', stage: 'publish' },
  );
}
