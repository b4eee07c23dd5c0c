// What must not be replaced by a configuration: a device, a pipe, a socket, or a link to one.

import * as fs from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { asShown, type DirectoryHandle } from './directory-handle.ts';

/** As many links as Linux follows. */
const MAX_LINKS = 40;

/** What it is (`a device`); null for a regular file, a directory, a link to either, and for nothing. Opens nothing. */
export function specialFileAt(directory: DirectoryHandle, name: string): string | null {
  const path = `${directory.path}/${name}`;
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return null;
  if (!stat.isSymbolicLink()) return kindOf(stat);
  // Where standard output is a regular file, only the way to it shows that it is a descriptor.
  if (leadsToDescriptor(join(asShown(directory.path), name))) return 'a link to an open file of a process';
  try {
    const kind = kindOf(fs.statSync(path));
    return kind === null ? null : `a link to ${kind}`;
  } catch {
    return null;
  }
}

function kindOf(stat: fs.Stats): string | null {
  if (stat.isCharacterDevice() || stat.isBlockDevice()) return 'a device';
  if (stat.isFIFO()) return 'a named pipe';
  return stat.isSocket() ? 'a socket' : null;
}

/** Whether one of the links on the way (`/dev/stdout`) leads into `/proc`. */
function leadsToDescriptor(path: string): boolean {
  for (let links = 0, at = path; links < MAX_LINKS; links += 1) {
    if (at.startsWith('/proc/')) return true;
    try {
      at = resolve(dirname(at), fs.readlinkSync(at));
    } catch {
      return false;
    }
  }
  return false;
}
