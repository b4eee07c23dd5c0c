// Copies of confirmed generations in the state directory: what can be rolled back to, also when the volume is empty.

import * as fs from 'node:fs';
import { join } from 'node:path';
import { errnoOf, SidecarError } from '../lib/errors.ts';
import { atOnce, inSlices } from '../lib/slices.ts';
import { flush, isTemporaryName, writeFileAtomic } from '../publish/atomic-file.ts';
import {
  asShown,
  closeHandle,
  type DirectoryHandle,
  openDirectory,
  openPlace,
  within,
} from '../publish/directory-handle.ts';
import { explainFull, reasonOf } from '../publish/disk-error.ts';
import { listing, unlinkIfPossible } from '../publish/remove-tree.ts';
import type { Release } from '../render/release.ts';
import { type Copy, decodeCopy, encodingCopy } from './copy.ts';
import { parseCopy } from './copy-text.ts';
import { EMPTY_LEDGER, type KeptGeneration } from './ledger.ts';
import { isLedger } from './ledger-shape.ts';
import { plausible } from './plausible.ts';
import { readOwnText } from './safe-text.ts';

const FOLDER = 'generations';
const FILE_NAME = /^(0|[1-9]\d*)\.json$/;
/** For callers that read without MAX_SIZE. */
const LARGEST_BYTES = 2 ** 29;
/** Of all copies together so many times the largest size is read at a start. */
const MOST_READ = 3;

/** How large a copy may be that is read: the bytes of a generation, written as text, and what describes them. */
function largestCopy(maxBytes: number): number {
  return Math.min(2 * maxBytes + 2 ** 20, LARGEST_BYTES - 2 ** 10);
}

/** The folder of the copies, held from one copy to the next: most of what a small one costs is to find its place. */
export class CopyFolder {
  readonly #directory: () => string;
  #held: (DirectoryHandle & { readonly dev: bigint; readonly ino: bigint }) | null = null;
  /** The numbers of which there may be copies; null: not known. */
  #numbers: Set<number> | null = null;

  /** @param directory the state directory as it is at each call: `StateDirectory.held` where the lock is ours. Opens nothing yet. */
  constructor(directory: () => string) {
    this.#directory = directory;
  }

  /**
   * Writes the copy; it is on the disk, and for this user only to read, when this resolves.
   * @param maxBytes of `largestRelease`.
   * @throws SidecarError `state.generation-write`; a copy of that number that was there before is untouched.
   */
  async keep(kept: KeptGeneration, release: Release, maxBytes: number): Promise<void> {
    let size = 0;
    try {
      const bytes = await inSlices(encodingCopy(kept, release));
      size = bytes.length;
      if (bytes.length > largestCopy(maxBytes)) throw new Error('it is larger than a copy that is read');
      const target = { directory: await this.#use(), name: fileName(kept.generation) };
      this.#numbers?.add(kept.generation);
      await writeFileAtomic(target, bytes, { mode: 0o600, owner: null });
    } catch (thrown) {
      throw cannotKeep(thrown, this.#directory(), { number: kept.generation, size });
    }
  }

  /** See `pruneGenerations`: the first call looks at all there is, the later ones at what was kept since. */
  prune(keep: readonly number[]): void {
    const held = ifPossible(() => this.#isInPlace()) ? this.#held : null;
    if (held === null || this.#numbers === null) pruneGenerations(this.#directory(), keep);
    else
      for (const number of this.#numbers)
        if (!keep.includes(number)) unlinkIfPossible(held, fileName(number));
    this.#numbers = new Set(keep);
  }

  /** Lets go of the folder. Another one may be at its place the next time. */
  release(): void {
    if (this.#held !== null) closeHandle(this.#held);
    this.#held = null;
    this.#numbers = null;
  }

  async #use(): Promise<DirectoryHandle> {
    if (this.#held !== null && this.#isInPlace()) return this.#held;
    this.release();
    const handle = await makeFolder(this.#directory());
    const { dev, ino } = fs.fstatSync(handle.fd, { bigint: true });
    this.#held = { ...handle, dev, ino };
    return handle;
  }

  /** Whether what is held has its name still, and is for us alone. */
  #isInPlace(): boolean {
    const path = `${this.#directory()}/${FOLDER}`;
    const there = fs.lstatSync(path, { throwIfNoEntry: false, bigint: true });
    if (there === undefined || (there.mode & 0o077n) !== 0n) return false;
    return there.dev === this.#held?.dev && there.ino === this.#held.ino;
  }
}

export interface CopyOptions {
  /** Paths of the outputs: a copy of others is of no use. Absent: it does not matter which. */
  readonly outputs?: readonly string[];
  /** Of `largestRelease`. */
  readonly maxBytes?: number;
}

/**
 * Reads a copy, and makes sure that it is the generation that is wanted: same outputs, files, bytes, modes and owner.
 * @throws SidecarError `state.generation-damaged`: missing, unreadable, or anything but what was kept.
 */
export function readGeneration(
  directory: string,
  kept: KeptGeneration,
  { outputs, maxBytes = LARGEST_BYTES }: CopyOptions = {},
): Release {
  try {
    const copy = inFolder(directory, (folder) => readCopy(folder, kept.generation, largestCopy(maxBytes)));
    const release = copy.releaseFor(outputs);
    if (release.rendering !== kept.rendering) throw new Error('its files are not those that were kept');
    return release;
  } catch (thrown) {
    throw damaged(thrown, directory, kept.generation);
  }
}

/**
 * What there are copies of, as they say themselves and newest first: for a start without a ledger. Only copies that are
 * whole; of two of the same rendering the newer.
 * @param maxBytes of `largestRelease`.
 */
export function findGenerations(
  directory: string,
  maxBytes: number = LARGEST_BYTES,
): readonly KeptGeneration[] {
  const found = new Map<string, KeptGeneration>();
  const copies =
    ifPossible(() => inFolder(directory, (folder) => copiesIn(folder, largestCopy(maxBytes)))) ?? [];
  for (const kept of copies.sort((a, b) => b.confirmedAt - a.confirmedAt)) {
    if (!found.has(kept.rendering)) found.set(kept.rendering, kept);
  }
  return [...found.values()];
}

/** Removes the copies of other generations, and left-overs of a crash. Nothing else, and nothing through a link. */
export function pruneGenerations(directory: string, keep: readonly number[]): void {
  const kept = new Set(keep.map(fileName));
  ifPossible(() =>
    inFolder(directory, (folder) => {
      for (const name of atOnce(listing(folder))) {
        if ((FILE_NAME.test(name) && !kept.has(name)) || isTemporaryName(name))
          unlinkIfPossible(folder, name);
      }
    }),
  );
}

function fileName(generation: number): string {
  if (!Number.isSafeInteger(generation) || generation < 0)
    throw new Error('its number is not a whole number');
  return `${generation}.json`;
}

/** Throws for whatever is not a copy, with half a sentence. */
function readCopy(folder: DirectoryHandle, number: number, maxBytes: number): Copy {
  return decodeCopy(parseCopy(readOwnText(`${folder.path}/${fileName(number)}`, maxBytes), maxBytes));
}

/** The highest numbers first, and not without end: others may have put any number of files there. */
function copiesIn(folder: DirectoryHandle, maxBytes: number): KeptGeneration[] {
  const numbers = atOnce(listing(folder)).flatMap((name) => FILE_NAME.exec(name)?.[1] ?? []);
  const newest = numbers.map(Number).sort((a, b) => b - a);
  const copies: KeptGeneration[] = [];
  let left = MOST_READ * maxBytes;
  for (const number of newest) {
    left -= sizeOf(folder, number);
    if (left < 0) break;
    const kept = ifPossible(() => keptIn(folder, number, maxBytes));
    if (kept !== null) copies.push(kept);
  }
  return copies;
}

function sizeOf(folder: DirectoryHandle, number: number): number {
  return fs.lstatSync(`${folder.path}/${fileName(number)}`, { throwIfNoEntry: false })?.size ?? 0;
}

/** What a whole copy says of itself; null when that cannot be true. */
function keptIn(folder: DirectoryHandle, number: number, maxBytes: number): KeptGeneration | null {
  const { kept, releaseFor } = readCopy(folder, number, maxBytes);
  const { rendering } = releaseFor(undefined);
  const isWhole = isLedger({ ...EMPTY_LEDGER, kept: [kept] });
  if (!isWhole || kept.rendering !== rendering || kept.generation !== number) return null;
  return plausible(kept, Date.now());
}

/** Opens the folder for us alone; makes it first. A link in its place was made by others, and goes; where it led is left alone. */
async function makeFolder(directory: string): Promise<DirectoryHandle> {
  const top = openPlace(directory);
  try {
    const path = `${top.path}/${FOLDER}`;
    const there = fs.lstatSync(path, { throwIfNoEntry: false });
    if (there?.isSymbolicLink()) unlinkIfPossible(top, FOLDER);
    if (there?.isDirectory() !== true) {
      fs.mkdirSync(path, 0o700);
      await flush(top.fd);
    }
    return openPrivate(path);
  } finally {
    closeHandle(top);
  }
}

/** The platform may have given it to a group (`fsGroup`). */
function openPrivate(path: string): DirectoryHandle {
  const folder = openDirectory(path);
  try {
    if ((fs.fstatSync(folder.fd).mode & 0o077) !== 0) fs.fchmodSync(folder.fd, 0o700);
    return folder;
  } catch (error) {
    closeHandle(folder);
    throw error;
  }
}

/** Through descriptors: whatever its name is given to meanwhile, it is this directory that is used. */
function inFolder<T>(directory: string, use: (folder: DirectoryHandle) => T): T {
  return within(openPlace(directory), (top) => within(openDirectory(`${top.path}/${FOLDER}`), use));
}

function ifPossible<T>(act: () => T): T | null {
  try {
    return act();
  } catch {
    return null;
  }
}

function cannotKeep(
  cause: unknown,
  directory: string,
  { number, size }: { readonly number: number; readonly size: number },
): SidecarError {
  const path = asShown(join(directory, FOLDER, fileName(number)));
  const isFull = ['ENOSPC', 'EDQUOT'].includes(errnoOf(cause) ?? '');
  const reason = isFull
    ? `${explainFull(directory, { bytes: size })} Or give STATE_DIR a volume of its own`
    : reasonOf(cause);
  return new SidecarError(
    `Cannot keep generation ${number} as "${path}": ${reason}. Rolling back to it will not be possible.`,
    { code: 'state.generation-write', stage: 'ledger', cause },
  );
}

function damaged(cause: unknown, directory: string, number: number): SidecarError {
  const path = asShown(join(directory, FOLDER, fileName(number)));
  const reason = explain(cause);
  return new SidecarError(`Cannot roll back to generation ${number} in "${path}": ${reason}`, {
    code: 'state.generation-damaged',
    stage: 'ledger',
    cause,
  });
}

function explain(cause: unknown): string {
  const errno = errnoOf(cause);
  if (errno === 'ENOENT') return 'it is no longer there';
  if (errno === 'ELOOP' || errno === 'ENOTDIR') return 'a symbolic link is in its place';
  if (errno !== undefined) return `it cannot be read (${errno})`;
  if (cause instanceof SyntaxError || cause instanceof TypeError) return 'it is cut or changed';
  return cause instanceof Error ? cause.message : String(cause);
}
