// The directory that outlives the process: made where it is missing, kept for us alone, locked, and read.
import * as fs from 'node:fs';
import { basename, dirname } from 'node:path';
import { errnoOf, SidecarError } from '../lib/errors.ts';
import { atOnce } from '../lib/slices.ts';
import { isTemporaryName } from '../publish/atomic-file.ts';
import {
  closeHandle,
  type DirectoryHandle,
  openDirectory,
  openPlace,
  within,
} from '../publish/directory-handle.ts';
import { diskError } from '../publish/disk-error.ts';
import { HeldDirectory } from '../publish/held-directory.ts';
import { effectiveUser, ownerOfNewFiles } from '../publish/ownership.ts';
import type { Output } from '../publish/publisher.ts';
import { listing, removeInBackground, unlinkIfPossible } from '../publish/remove-tree.ts';
import { type LedgerRead, readLedger } from './ledger-file.ts';
import { CHECK_PREFIX, LedgerSlots } from './ledger-slots.ts';
import { type LockResult, tryLock } from './lock.ts';
import { makePrivate } from './privacy.ts';

/** Name of the control socket in it, while the lock is held. */
export const CONTROL_SOCKET = 'control.sock';

/** A state directory that is ours alone until it is released. */
export interface StateDirectory extends LedgerRead {
  /**
   * A path that leads to this very directory until it is released, whatever has its name meanwhile: for all that is read and
   * written in it by this process.
   */
  readonly held: string;
  /** The ledger's files in it, open. */
  readonly slots: LedgerSlots;
  readonly release: () => void;
  /** Whether it is still ours and in its place: false once it was removed or moved, also when there is a new one by now. */
  readonly isHeld: () => boolean;
}

/** Code of the error that says that another sidecar holds this output. */
export const LOCKED = 'state.locked';

const MODE = 0o700;
/** Copies for VALIDATE_COMMAND are made below names like these; what a crash left of them goes at a start. */
const CHECK_COPY = new RegExp(`^${CHECK_PREFIX}[0-9a-f]{12}$`);
/** The control socket before it gets its name. */
const SOCKET_LEFT_OVER = /^\.config-sidecar\.[0-9a-f]{16}\.sock$/;

/**
 * Makes, locks and reads the state directory. Only the last two parts are made: a missing volume stays an error.
 * @throws SidecarError `state.locked` when another sidecar has it, `state.foreign` or `state.exposed` when others could have
 * written there, or `publish.*` with what the disk said.
 */
export async function openStateDirectory(
  path: string,
  output: Output,
  holder: string,
): Promise<StateDirectory> {
  const directory = new HeldDirectory(path, (place) => openOwn(place, output));
  try {
    const held = directory.use();
    // On one machine every sidecar has the same name; the number says which to end.
    const lock = await takeLock(held, path, `${holder} (process ${process.pid})`);
    if (lock.kind === 'held') throw lockedBy(lock.by, output);
    removeLeftOvers(held);
    const slots = new LedgerSlots();
    return {
      ...readLedger(held.path),
      held: held.path,
      slots,
      isHeld: () => lock.isHeld() && directory.isInPlace(),
      release: () => {
        slots.release();
        lock.release();
        directory.release();
      },
    };
  } catch (error) {
    directory.release();
    throw error;
  }
}

/** Makes what is missing and opens it. A symbolic link is not followed in the last part. */
function openOwn(path: string, output: Output): DirectoryHandle {
  const parent = openParent(path, output);
  try {
    const own = enterOwn(parent, path, output);
    try {
      refuseForeign(own, path, output);
      makePrivate(own, path, output);
      return own;
    } catch (error) {
      closeHandle(own);
      throw error;
    }
  } finally {
    closeHandle(parent);
  }
}

/** STATE_DIR. */
function openParent(path: string, output: Output): DirectoryHandle {
  const parent = dirname(path);
  try {
    within(openPlace(dirname(parent)), (above) => makeDirectory(`${above.path}/${basename(parent)}`));
  } catch (error) {
    throw diskError(error, parent);
  }
  try {
    return openPlace(parent);
  } catch (error) {
    const refused = diskError(error, path);
    const { code } = refused;
    // It was made just now, so something is there: a link that leads nowhere.
    if (code === 'publish.no-directory')
      throw unusable(parent, output, { code, reason: 'it is a link to nothing' });
    if (code === 'publish.not-a-directory')
      throw unusable(parent, output, { code, reason: 'it is not a directory' });
    throw refused;
  }
}

function makeDirectory(path: string): void {
  try {
    fs.mkdirSync(path, MODE);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

function enterOwn(parent: DirectoryHandle, path: string, output: Output): DirectoryHandle {
  const inside = `${parent.path}/${basename(path)}`;
  try {
    makeDirectory(inside);
    return openDirectory(inside);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ELOOP' || errno === 'ENOTDIR') throw foreign(path, output, 'it is not a directory');
    throw diskError(error, path);
  }
}

/**
 * What lies in it decides what is published, by which owner and mode. In a directory that another user made, that user would
 * decide.
 */
function refuseForeign(directory: DirectoryHandle, path: string, output: Output): void {
  const { uid } = fs.fstatSync(directory.fd);
  const own = effectiveUser(uid);
  if (uid === own || uid === 0 || uid === ownerOfNewFiles(directory)) return;
  throw foreign(path, output, `it belongs to user ${uid}, and this sidecar runs as user ${own}`);
}

function foreign(path: string, output: Output, reason: string): SidecarError {
  return unusable(path, output, { code: 'state.foreign', reason });
}

function unusable(
  path: string,
  output: Output,
  { code, reason }: { readonly code: string; readonly reason: string },
): SidecarError {
  return new SidecarError(
    `Cannot keep the state of "${output.path}" in "${path}": ${reason}. Move it away, or give STATE_DIR a volume of its own.`,
    { code, stage: 'publish' },
  );
}

async function takeLock(held: DirectoryHandle, path: string, holder: string): Promise<LockResult> {
  try {
    return await tryLock(held.path, holder);
  } catch (error) {
    throw diskError(error, `${path}/`);
  }
}

function lockedBy(by: string, output: Output): SidecarError {
  return new SidecarError(
    `Cannot take over "${output.path}": ${by} holds the lock. This sidecar waits until that one has ended.`,
    { code: LOCKED, stage: 'publish' },
  );
}

function removeLeftOvers(held: DirectoryHandle): void {
  for (const name of atOnce(listing(held))) {
    if (CHECK_COPY.test(name)) void removeInBackground(held, name);
    else if (isTemporaryName(name) || SOCKET_LEFT_OVER.test(name)) unlinkIfPossible(held, name);
  }
  // A sidecar that listened there had the lock that is ours now.
  const socket = fs.lstatSync(`${held.path}/${CONTROL_SOCKET}`, { throwIfNoEntry: false });
  if (socket?.isSocket()) unlinkIfPossible(held, CONTROL_SOCKET);
}
