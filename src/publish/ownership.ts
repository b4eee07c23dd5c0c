// Whose a file is: only what belongs to this sidecar's own user is taken for its own.

import * as fs from 'node:fs';
import type { Owner } from '../settings/types.ts';
import { temporaryName } from './atomic-file.ts';
import type { DirectoryHandle } from './directory-handle.ts';

/** The user this process runs as; `fallback` on systems without users. */
export function effectiveUser(fallback: number): number {
  return process.geteuid?.() ?? fallback;
}

/** Who owns new files in the directory: a network file system may give all files to one user. null when that cannot be tried. */
export function ownerOfNewFiles(directory: DirectoryHandle): number | null {
  const path = `${directory.path}/${temporaryName('owner')}`;
  try {
    const fd = fs.openSync(path, 'wx', 0o600);
    try {
      return fs.fstatSync(fd).uid;
    } finally {
      fs.closeSync(fd);
      fs.unlinkSync(path);
    }
  } catch {
    return null;
  }
}

/**
 * Says of names in the directory whether they belong to this user, or to one that files are given to.
 * @param others numbers of further users whose files count as own.
 */
export function ownNamesIn(
  directory: DirectoryHandle,
  others: readonly number[] = [],
): (name: string) => boolean {
  let ownerOfNew: number | null | undefined;
  return (name) => {
    const stat = fs.lstatSync(`${directory.path}/${name}`, { throwIfNoEntry: false });
    if (stat === undefined) return false;
    if (stat.uid === effectiveUser(stat.uid) || others.includes(stat.uid)) return true;
    ownerOfNew ??= ownerOfNewFiles(directory);
    return stat.uid === ownerOfNew;
  };
}

/** The owner as far as the settings name one: what they leave open does not count as a difference. */
export function ownerOf(stat: fs.Stats, wanted: Owner | null): Owner | null {
  return wanted === null ? null : { uid: stat.uid, gid: wanted.gid === null ? null : stat.gid };
}
