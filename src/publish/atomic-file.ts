// One file replaced whole or not at all, and on the disk when the call returns; with every disk error explained.

import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { errnoOf, SidecarError } from '../lib/errors.ts';
import { faultPoint } from '../lib/fault-point.ts';
import type { Owner } from '../settings/types.ts';

export interface AtomicWrite {
  /** Exact permission bits; the umask plays no part. */
  readonly mode: number;
  readonly owner: Owner | null;
}

/** Flushes an open file or directory without holding up the event loop. */
export const flush = promisify(fs.fsync);
/** A rename waits for the journal as a flush does. */
export const rename = promisify(fs.rename);

/**
 * Writes beside the target under a hidden, unpredictable name, checks that all of it is there, sets mode and owner,
 * flushes, renames over the target and flushes the directory. A symbolic link at the target is replaced, never
 * followed. On any error the target is untouched and the temporary file is gone; the error is the system's own.
 * `meanwhile` is called while the disk has the longest work to do; it must not throw.
 */
export async function writeFileAtomic(
  path: string,
  bytes: Uint8Array,
  { meanwhile = () => {}, ...options }: AtomicWrite & { readonly meanwhile?: () => void },
): Promise<void> {
  const directory = openDirectory(fs.realpathSync.native(dirname(path)));
  const temporary = join(directory.path, temporaryName(basename(path)));
  try {
    const fd = openNewFile(temporary, bytes, options);
    faultPoint('stage');
    await flush(fd).finally(() => fs.closeSync(fd));
    faultPoint('flush');
    const renamed = rename(temporary, join(directory.path, basename(path)));
    meanwhile();
    await renamed;
    faultPoint('swap');
    await flush(directory.fd);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  } finally {
    fs.closeSync(directory.fd);
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
    if (fs.fstatSync(fd).size !== bytes.length) throw new Error('the file is shorter than what was written');
    if (options.owner !== null) changeOwner(fd, options.owner);
    fs.fchmodSync(fd, options.mode);
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
  return `${temporaryPrefix(name)}${randomBytes(8).toString('hex')}.tmp`;
}

/** What all temporary names of one target begin with; how a start knows its own left-overs. */
export function temporaryPrefix(name: string): string {
  return `.config-sidecar.${createHash('sha256').update(name).digest('hex').slice(0, 16)}.`;
}

/** Removes a left-over; one that cannot be removed (another user's, a read-only mount) is in nobody's way. */
export function removeIfPossible(path: string): void {
  try {
    fs.rmSync(path, { recursive: true, force: true });
  } catch {}
}

/** An open directory and a path through it that goes on meaning this directory, whatever its name is given to. */
export function openDirectory(path: string): { readonly fd: number; readonly path: string } {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
  const fd = fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  const through = `/proc/self/fd/${fd}`;
  return { fd, path: fs.existsSync(through) ? through : path };
}

/**
 * Turns an error of the disk into a sentence with its remedy.
 * @param path what was to be written; with a slash at its end, into that directory.
 * @param bytes how much had to be written.
 */
export function diskError(thrown: unknown, path: string, bytes = 0): SidecarError {
  if (thrown instanceof SidecarError) return thrown;
  const errno = errnoOf(thrown) ?? 'unknown';
  const [code, reason] = explain(errno, path, bytes) ?? [
    'publish.failed',
    thrown instanceof Error ? thrown.message : String(thrown),
  ];
  return new SidecarError(`Cannot publish "${path}": ${reason}`, { code, stage: 'publish', cause: thrown });
}

function explain(errno: string, path: string, bytes: number): readonly [string, string] | undefined {
  const directory = path.endsWith('/') ? path.slice(0, -1) : dirname(path);
  switch (errno) {
    case 'ENOENT':
      return [
        'publish.no-directory',
        `the directory "${directory}" does not exist. Create it, or mount the volume there.`,
      ];
    case 'ENOTDIR':
      return [
        'publish.not-a-directory',
        `"${directory}" is not a directory. Mount the volume there, or change OUTPUT.`,
      ];
    case 'EISDIR':
      return [
        'publish.is-directory',
        'a directory is in its place. Move it away, or end OUTPUT with a slash for a directory output.',
      ];
    case 'EBUSY':
      return [
        'publish.single-file-mount',
        'it is a mount of its own, and a mounted single file cannot be replaced. Mount its directory instead of the file (no subPath).',
      ];
    case 'EXDEV':
      return [
        'publish.other-file-system',
        'it lies on another mount than its directory. Mount the whole directory as one volume.',
      ];
    case 'EROFS':
      return [
        'publish.read-only',
        "the file system is read-only. Mount the volume writable in the sidecar; only the application's mount may be read-only.",
      ];
    case 'ENOSPC':
    case 'EDQUOT':
      return [
        'publish.no-space',
        `no space is left: ${bytes} bytes are needed beside the old files, ${freeBytes(directory)} are free. Make the volume larger. The old configuration stays.`,
      ];
    case 'EACCES':
    case 'EPERM':
      return ['publish.not-permitted', notPermitted(directory, path.endsWith('/') ? `${path}..data` : path)];
    default:
      return undefined;
  }
}

function freeBytes(directory: string): string {
  try {
    const { bavail, bsize } = fs.statfsSync(directory);
    return String(bavail * bsize);
  } catch {
    return 'an unknown number';
  }
}

function notPermitted(parent: string, path: string): string {
  const me = process.getuid?.() ?? -1;
  const directory = statIfPossible(() => fs.statSync(parent));
  const existing = statIfPossible(() => fs.lstatSync(path));
  if (directory && existing && (directory.mode & 0o1000) !== 0 && existing.uid !== me) {
    return `the directory is sticky and the file in place belongs to uid ${existing.uid}, the sidecar is uid ${me}. Remove the file, run both as the same user, or drop the sticky bit.`;
  }
  const owner = directory
    ? `it belongs to uid ${directory.uid}, gid ${directory.gid}, mode ${(directory.mode & 0o7777).toString(8)}`
    : 'it cannot be looked at';
  return `uid ${me} may not write in "${parent}" (${owner}). Give both containers the same runAsUser or fsGroup.`;
}

function statIfPossible(stat: () => fs.Stats): fs.Stats | null {
  try {
    return stat();
  } catch {
    return null;
  }
}
