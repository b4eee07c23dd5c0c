// Keeps the state directory for this user alone: copies of generations hold secrets, and the ledger decides what is published. A
// platform may open both to a group at each start of a pod (`fsGroup`).
import * as fs from 'node:fs';
import { SidecarError } from '../lib/errors.ts';
import { atOnce } from '../lib/slices.ts';
import { type DirectoryHandle, openDirectory, within } from '../publish/directory-handle.ts';
import { effectiveUser } from '../publish/ownership.ts';
import type { Output } from '../publish/publisher.ts';
import { listing } from '../publish/remove-tree.ts';
import { withOpenFile } from '../publish/safe-open.ts';

/** Of group and others: to read, write or enter. */
const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;
const COPIES = 'generations';

/** Whether the mode lets others change what is kept. */
export function mayOthersWrite(mode: number): boolean {
  return (mode & OTHERS_WRITE) !== 0;
}

/**
 * Takes the directory, and what was kept in it, away from all other users.
 * @throws SidecarError `state.exposed` when others can still write there, or read what is ours.
 */
export function makePrivate(directory: DirectoryHandle, path: string, output: Output): void {
  const before = fs.fstatSync(directory.fd);
  if ((before.mode & OTHERS) === 0) return;
  restrict(directory.fd, 0o700);
  const { uid, mode } = fs.fstatSync(directory.fd);
  // Where root made it for us, others may look at names; the files in it are for us alone by their own modes.
  const isOurs = uid === effectiveUser(uid);
  if ((mode & (isOurs ? OTHERS : OTHERS_WRITE)) !== 0) throw exposed(path, mode, output);
  restrictCopies(directory);
}

/** Copies that were readable until now: a process that has one open can still read it. */
function restrictCopies(directory: DirectoryHandle): void {
  try {
    within(openDirectory(`${directory.path}/${COPIES}`), (folder) => {
      restrict(folder.fd, 0o700);
      for (const name of atOnce(listing(folder))) restrictFile(`${folder.path}/${name}`);
    });
  } catch {
    // There are none, or something else has their name, which is not read either.
  }
}

function restrictFile(path: string): void {
  try {
    withOpenFile(path, (fd, stat) => {
      if (stat.isFile() && stat.nlink === 1 && (stat.mode & OTHERS) !== 0) fs.fchmodSync(fd, 0o600);
    });
  } catch {
    // A file that cannot be opened is not one of ours.
  }
}

/** Where it is not permitted, or changes nothing, the mode says so afterwards. */
function restrict(fd: number, mode: number): void {
  try {
    fs.fchmodSync(fd, mode);
  } catch {}
}

function exposed(path: string, mode: number, output: Output): SidecarError {
  return new SidecarError(
    `Cannot keep the state of "${output.path}" in "${path}": other users may use it (mode ${(mode & 0o7777).toString(8)}), and this sidecar cannot change that. ` +
      'Give STATE_DIR a volume of its own, on which modes can be set.',
    { code: 'state.exposed', stage: 'publish' },
  );
}
