// Directories opened by descriptor. A path that goes through the descriptor keeps naming the same directory, whatever other
// processes do to its name meanwhile. Linux only; elsewhere the plain path has to do.

import * as fs from 'node:fs';
import { join } from 'node:path';
import { SidecarError } from '../lib/errors.ts';

/** An open directory and the path that goes through its descriptor. */
export interface DirectoryHandle {
  readonly fd: number;
  readonly path: string;
}

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
/** open(2) on Linux, unknown to Node.js: it needs no permission to read, only to pass through. */
const O_PATH = 0o10000000;

const DESCRIPTORS = '/proc/self/fd';
const THROUGH_DESCRIPTOR = /\/proc\/self\/fd\/\d+/g;
/** As many symbolic links as Linux itself follows in one path. */
const MAX_LINKS = 40;

let descriptorPathsWork: boolean | undefined;

function hasDescriptorPaths(): boolean {
  descriptorPathsWork ??= fs.existsSync(DESCRIPTORS);
  return descriptorPathsWork;
}

/** Opens a directory. A symbolic link in the last part of the path is not followed. @throws the system's error. */
export function openDirectory(path: string): DirectoryHandle {
  return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

function open(path: string, flags: number): DirectoryHandle {
  const fd = fs.openSync(path, flags);
  return { fd, path: hasDescriptorPaths() ? `${DESCRIPTORS}/${fd}` : path };
}

/**
 * Opens the directory that an absolute path leads to, part by part. A symbolic link on the way is followed only where no
 * other user could have put it: in a directory that only root and this user may write in.
 * @throws the system's error, or SidecarError `publish.symbolic-link`.
 */
export function openPlace(path: string): DirectoryHandle {
  // What already goes through a descriptor leads to one directory only.
  if (path.match(THROUGH_DESCRIPTOR)?.[0] === path) return open(path, O_RDONLY | O_DIRECTORY);
  if (!hasDescriptorPaths()) return openDirectory(fs.realpathSync.native(path));
  const parts = partsOf(path).reverse();
  let links = 0;
  let at = openRoot(parts.length === 0);
  for (let name = parts.pop(); name !== undefined; name = parts.pop()) {
    const next = enter(at, name, parts.length === 0);
    if (typeof next !== 'string') {
      at = next;
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) throw Object.assign(new Error('too many symbolic links'), { code: 'ELOOP' });
    parts.push(...partsOf(next).reverse());
    at = next.startsWith('/') ? openRoot(parts.length === 0) : reopen(at, parts.length === 0);
  }
  return at;
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function openRoot(isLast: boolean): DirectoryHandle {
  return open('/', (isLast ? O_RDONLY : O_PATH) | O_DIRECTORY);
}

/** The part below `at`, or where it leads when it is a link that may be followed. `at` is closed, unless a link is relative. */
function enter(at: DirectoryHandle, name: string, isLast: boolean): DirectoryHandle | string {
  const inside = `${at.path}/${name}`;
  let isKept = false;
  try {
    return open(inside, (isLast ? O_RDONLY : O_PATH) | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    const found = fs.lstatSync(inside, { throwIfNoEntry: false });
    if (found?.isSymbolicLink() !== true) throw error;
    if (!isOutOfReach(fs.fstatSync(at.fd), found)) throw untrustedLink(at, name);
    const target = fs.readlinkSync(inside);
    isKept = !target.startsWith('/');
    return target;
  } finally {
    if (!isKept) fs.closeSync(at.fd);
  }
}

/** A link that leads to its own directory (`.`) needs that to be opened for reading after all. */
function reopen(at: DirectoryHandle, isLast: boolean): DirectoryHandle {
  if (!isLast) return at;
  try {
    return open(at.path, O_RDONLY | O_DIRECTORY);
  } finally {
    fs.closeSync(at.fd);
  }
}

/** Whether only root, this user and the owner of `/` may give the name of `entry` in `directory` to something else. */
export function isOutOfReach(directory: fs.Stats, entry: fs.Stats): boolean {
  const safe = [0, process.geteuid?.() ?? 0, fs.statSync('/').uid];
  if (!safe.includes(directory.uid)) return false;
  const isShared = (directory.mode & 0o022) !== 0;
  return !isShared || ((directory.mode & 0o1000) !== 0 && safe.includes(entry.uid));
}

function untrustedLink(at: DirectoryHandle, name: string): SidecarError {
  const directory = asShown(at.path);
  return new SidecarError(
    `Cannot use "${join(directory, name)}": it is a symbolic link in a directory that other users may write in, ` +
      `so any of them may have made it. Name the directory it leads to, or make "${directory}" writable for this user only.`,
    { code: 'publish.symbolic-link', stage: 'publish' },
  );
}

/** Replaces paths that go through a descriptor by the real ones: for messages. */
export function asShown(text: string): string {
  return text.replace(THROUGH_DESCRIPTOR, (path) => {
    try {
      return fs.readlinkSync(path);
    } catch {
      return path;
    }
  });
}

export function closeHandle({ fd }: DirectoryHandle): void {
  fs.closeSync(fd);
}

/** Opens a directory, lets `use` work in it, and closes it again. */
export function within<T>(handle: DirectoryHandle, use: (handle: DirectoryHandle) => T): T {
  try {
    return use(handle);
  } finally {
    closeHandle(handle);
  }
}
