// Errors of the disk as sentences, each with its remedy.

import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf, SidecarError } from '../lib/errors.ts';

/** What had to be written. */
export interface Need {
  readonly bytes?: number;
  /** New files, directories and links. */
  readonly files?: number;
}

/**
 * Turns an error of the disk into a sentence with its remedy.
 * @param path what was to be written; with a slash at its end, into that directory.
 */
export function diskError(thrown: unknown, path: string, need: Need = {}): SidecarError {
  if (thrown instanceof SidecarError) return thrown;
  const errno = errnoOf(thrown) ?? 'unknown';
  const [code, reason] = explain(errno, path, need) ?? ['publish.failed', reasonOf(thrown)];
  return new SidecarError(`Cannot publish "${path}": ${reason}`, { code, stage: 'publish', cause: thrown });
}

function explain(errno: string, path: string, need: Need): readonly [string, string] | undefined {
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
      return ['publish.no-space', `${explainFull(directory, need)} The old configuration stays.`];
    case 'EACCES':
    case 'EPERM':
      return ['publish.not-permitted', notPermitted(directory, path.endsWith('/') ? `${path}..data` : path)];
    default:
      return undefined;
  }
}

/** What an error says, without a path that goes through a descriptor and means nothing to a reader. */
export function reasonOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.replace(/, \w+ '\/proc\/self\/fd\/.*$/s, '');
}

/** Whether it is bytes or inodes that are used up, with how many are needed and left, and what to do. */
export function explainFull(directory: string, { bytes = 0, files = 1 }: Need): string {
  const found = statIfPossible(() => fs.statfsSync(directory));
  const free = found === null ? null : found.bavail * found.bsize;
  if (found !== null && free !== null && free >= bytes && found.files > 0 && found.ffree < files) {
    return `no inode is left: ${files} files have to be made, and ${found.ffree} more are possible (${free} bytes are free). Remove files, or use a volume with more inodes.`;
  }
  return `no space is left: ${bytes} bytes are needed beside the old files, ${free ?? 'an unknown number'} are free. Make the volume larger.`;
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

function statIfPossible<T>(stat: () => T): T | null {
  try {
    return stat();
  } catch {
    return null;
  }
}
