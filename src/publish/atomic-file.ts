// One file replaced whole or not at all, and on the disk when the call returns.

import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { SidecarError } from '../lib/errors.ts';
import { faultPoint } from '../lib/fault-point.ts';
import { sha256 } from '../lib/sha256.ts';
import type { Owner } from '../settings/types.ts';
import type { DirectoryHandle } from './directory-handle.ts';

export interface AtomicWrite {
  /** Exact permission bits; the umask plays no part. */
  readonly mode: number;
  readonly owner: Owner | null;
}

/** Flushes an open file or directory without holding up the event loop. */
export const flush = promisify(fs.fsync);

/**
 * Writes beside the target under a hidden, unpredictable name, checks that all of it is there, sets mode and owner,
 * flushes, renames over the target and flushes the directory. A symbolic link at the target is replaced, never
 * followed. On any error the target is untouched and the temporary file is gone; the error is the system's own.
 */
export async function writeFileAtomic(
  target: FileName,
  bytes: Uint8Array,
  options: AtomicWrite,
): Promise<void> {
  const { hidden, flushed } = stageFile(target, bytes, options);
  await flushed;
  renameStaged(target, hidden);
  await flush(target.directory.fd);
}

/** A name in a directory that is held. */
export interface FileName {
  readonly directory: DirectoryHandle;
  readonly name: string;
}

/** A file that is written under a hidden name. */
export interface StagedFile {
  readonly hidden: string;
  /** Resolves when it is on the disk. When it rejects, with the system's error, the file is gone. */
  readonly flushed: Promise<void>;
}

/** The first half: everything but the rename, for which the caller waits for the flush. Throws the system's error; nothing is left then. */
export function stageFile(
  { directory, name }: FileName,
  bytes: Uint8Array,
  options: AtomicWrite,
): StagedFile {
  const hidden = temporaryName(name);
  const path = `${directory.path}/${hidden}`;
  try {
    const fd = openNewFile(path, bytes, options);
    faultPoint('stage');
    return { hidden, flushed: flushAndClose(fd, path) };
  } catch (error) {
    removeIfPossible(path);
    throw error;
  }
}

async function flushAndClose(fd: number, path: string): Promise<void> {
  try {
    await flush(fd).finally(() => fs.closeSync(fd));
    faultPoint('flush');
  } catch (error) {
    removeIfPossible(path);
    throw error;
  }
}

/**
 * The second half: renames a staged file over the target; the caller flushes the directory. On an error the staged file is gone. At once: it
 * waits for the disk no longer than the making of the file did, and to hand it to another thread and back costs more than it does.
 */
export function renameStaged({ directory, name }: FileName, hidden: string): void {
  const path = `${directory.path}/${hidden}`;
  try {
    fs.renameSync(path, `${directory.path}/${name}`);
    faultPoint('swap');
  } catch (error) {
    removeIfPossible(path);
    throw error;
  }
}

/**
 * Creates a file that must not exist, whole, with its exact mode and owner. The caller flushes and closes the descriptor
 * it gets.
 */
export function openNewFile(path: string, bytes: Uint8Array, options: AtomicWrite): number {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  const fd = fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    for (let offset = 0; offset < bytes.length; ) offset += fs.writeSync(fd, bytes, offset);
    const { size, mode } = fs.fstatSync(fd);
    if (size !== bytes.length) throw new Error('the file is shorter than what was written');
    if (options.owner !== null) changeOwner(fd, options.owner);
    if (options.owner !== null || (mode & 0o7777) !== options.mode) fs.fchmodSync(fd, options.mode);
    return fd;
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/** Gives an open file or directory to the owner; @throws SidecarError `publish.owner` when that is not permitted. */
export function changeOwner(fd: number, owner: Owner): void {
  try {
    fs.fchownSync(fd, owner.uid, owner.gid ?? fs.fstatSync(fd).gid);
  } catch (cause) {
    const wanted = owner.gid === null ? `${owner.uid}` : `${owner.uid}:${owner.gid}`;
    throw new SidecarError(
      `Cannot give the file to "${wanted}": uid ${process.getuid?.() ?? '?'} is not permitted to. ` +
        'Run the sidecar as that user, or leave OUTPUT_OWNER out and share the file by group (fsGroup) and OUTPUT_MODE.',
      { code: 'publish.owner', stage: 'publish', cause },
    );
  }
}

/** A name no reader's pattern matches (hidden, `.tmp`), the same prefix for one target, never the same twice. */
export function temporaryName(name: string): string {
  return `${temporaryPrefix(name)}${nextRandom()}.tmp`;
}

const RANDOM_BYTES = 8;
/** For many names at once: to ask for a few bytes costs as much as to ask for many. */
let random = Buffer.alloc(0);

function nextRandom(): string {
  if (random.length === 0) random = randomBytes(64 * RANDOM_BYTES);
  const own = random.toString('hex', 0, RANDOM_BYTES);
  random = random.subarray(RANDOM_BYTES);
  return own;
}

const TEMPORARY = /^\.config-sidecar\.[0-9a-f]{16}\.[0-9a-f]{16}\.tmp$/;

/** Whether a name is a temporary one: of the target, or of any when none is given. How a start knows its left-overs. */
export function isTemporaryName(name: string, target?: string): boolean {
  return TEMPORARY.test(name) && (target === undefined || name.startsWith(temporaryPrefix(target)));
}

function temporaryPrefix(name: string): string {
  return `.config-sidecar.${sha256(name).slice(0, 16)}.`;
}

/** Removes a name, if it is there, is no directory, and that is permitted. */
export function removeIfPossible(path: string): void {
  try {
    fs.unlinkSync(path);
  } catch {}
}
