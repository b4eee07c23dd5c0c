// The directory that outlives the process: made where it is missing, locked, and read.
import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoOf, SidecarError } from '../lib/errors.ts';
import { diskError, removeIfPossible, temporaryName } from '../publish/atomic-file.ts';
import { listed } from '../publish/file.ts';
import type { Output } from '../publish/publisher.ts';
import { type LedgerRead, readLedger } from './ledger-file.ts';
import { type LockResult, tryLock } from './lock.ts';

/** Name of the control socket in it, while the lock is held. */
export const CONTROL_SOCKET = 'control.sock';

/** A folder of its own for each output, so that outputs beside each other can share one STATE_DIR. */
export function stateDirectoryOf(output: Output, stateDir: string): string {
  return join(stateDir, basename(output.path) || 'root');
}

/** A state directory that is ours alone until it is released. */
export interface StateDirectory extends LedgerRead {
  readonly release: () => void;
  /** Whether it is still ours and in its place: false once it was removed, also when there is a new one by now. */
  readonly isHeld: () => boolean;
}

/** Code of the error that says that another sidecar keeps this output. */
export const LOCKED = 'state.locked';

const MODE = 0o700;
/** Copies for VALIDATE_COMMAND are made below names with this beginning; what a crash left of them goes at a start. */
export const CHECK_PREFIX = 'check-';

/**
 * Makes, locks and reads the state directory. Only the last two parts are made: a missing volume stays an error.
 * @throws SidecarError `state.locked` when another sidecar has it, or `publish.*` with what the disk said.
 */
export async function openStateDirectory(
  path: string,
  output: Output,
  holder: string,
): Promise<StateDirectory> {
  makeDirectory(dirname(path));
  makeDirectory(path);
  refuseForeign(path, output);
  // On one machine every sidecar has the same name; the number says which to end.
  const lock = await takeLock(path, `${holder} (process ${process.pid})`);
  if (lock.kind === 'held') throw lockedBy(lock.by, output);
  removeLeftOvers(path);
  return { ...readLedger(path), release: lock.release, isHeld: lock.isHeld };
}

function makeDirectory(path: string): void {
  try {
    fs.mkdirSync(path, MODE);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw diskError(error, path);
  }
}

/**
 * What lies in it decides what is published, by which owner and mode: in a directory that another user made, or that a
 * link leads to, that would be for somebody else to say.
 */
function refuseForeign(path: string, output: Output): void {
  const stat = fs.lstatSync(path);
  const own = process.geteuid?.() ?? stat.uid;
  const reason = !stat.isDirectory()
    ? 'it is no directory'
    : stat.uid === own || stat.uid === 0 || stat.uid === ownerOfNew(path)
      ? null
      : `it belongs to user ${stat.uid}, and this sidecar runs as user ${own}`;
  if (reason === null) return;
  throw new SidecarError(
    `Cannot keep the state of "${output.path}" in "${path}": ${reason}. Move it away, or give STATE_DIR a volume of its own.`,
    { code: 'state.foreign', stage: 'publish' },
  );
}

/** Network file systems may give everything to one user, or to another than we are. */
function ownerOfNew(directory: string): number | null {
  const path = join(directory, temporaryName('owner'));
  try {
    const fd = fs.openSync(path, 'wx', 0o600);
    try {
      return fs.fstatSync(fd).uid;
    } finally {
      fs.closeSync(fd);
      fs.rmSync(path, { force: true });
    }
  } catch {
    return null;
  }
}

async function takeLock(path: string, holder: string): Promise<LockResult> {
  try {
    return await tryLock(path, holder);
  } catch (error) {
    throw diskError(error, `${path}/`);
  }
}

function lockedBy(by: string, output: Output): SidecarError {
  return new SidecarError(
    `Cannot take over "${output.path}": it is kept by ${by}. This sidecar waits until that one has ended.`,
    { code: LOCKED, stage: 'publish' },
  );
}

function removeLeftOvers(path: string): void {
  removeDeadSocket(join(path, CONTROL_SOCKET));
  for (const name of listed(path)) {
    if (name.startsWith(CHECK_PREFIX) || name.startsWith('.config-sidecar.'))
      removeIfPossible(join(path, name));
  }
}

/** Whoever listened there had the lock that is ours now. */
function removeDeadSocket(path: string): void {
  if (fs.lstatSync(path, { throwIfNoEntry: false })?.isSocket()) removeIfPossible(path);
}
