// The control socket: there while the lock of the state directory is ours, and for our own user only.
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { CONTROL_SOCKET } from '../ledger/state-directory.ts';
import { errnoOf, SidecarError, toSidecarError } from '../lib/errors.ts';
import { errorFields, type Log } from '../lib/log.ts';
import { removeIfPossible } from '../publish/atomic-file.ts';
import { closeHandle, type DirectoryHandle, openPlace } from '../publish/directory-handle.ts';
import { unlinkIfPossible } from '../publish/remove-tree.ts';
import type { Intake } from './connections.ts';
import { createEndpointServer, type Served } from './server.ts';

export interface ControlOptions {
  /** The state directory of the output while its lock is ours, null otherwise; asked every second. */
  readonly directory: () => string | null;
  readonly served: Served;
  readonly log: Log;
}

export interface ControlSocket {
  /** Looks at once, not in the next second; resolves when the socket is there, if it can and should be. */
  readonly look: () => Promise<void>;
  /** Removes the socket; to be called while the lock is still ours, so that what is removed is not another sidecar's. */
  readonly close: () => Promise<void>;
}

const LOOK_MS = 1_000;

/**
 * Opens the socket when there is a directory for it (`look` says when), moves with it, and opens it again when it was removed.
 * Never throws: what is in the way is logged once, and tried again.
 */
export function startControl(options: ControlOptions): ControlSocket {
  const keeper = new Keeper(options);
  const timer = setInterval(() => void keeper.look(), LOOK_MS).unref();
  void keeper.look();
  return {
    look: () => keeper.look(),
    close: async () => {
      clearInterval(timer);
      await keeper.end();
    },
  };
}

interface Bound {
  readonly intake: Intake;
  /** As it is configured. */
  readonly directory: string;
  /** The directory itself, open until the socket is dropped: what has its name by then may be another one. */
  readonly handle: DirectoryHandle;
  /** Of the directory. */
  readonly device: number;
  readonly directoryInode: number;
  /** Of the socket. */
  readonly inode: number;
}

class Keeper {
  readonly #options: ControlOptions;
  #bound: Bound | null = null;
  #looking: Promise<void> | null = null;
  #looksAgain = false;
  #hasEnded = false;
  #complaint = '';

  constructor(options: ControlOptions) {
    this.#options = options;
  }

  /** What changes during a look is seen by the next one, which follows at once. */
  async look(): Promise<void> {
    this.#looksAgain = true;
    this.#looking ??= this.#lookUntilDone();
    await this.#looking;
  }

  async end(): Promise<void> {
    this.#hasEnded = true;
    await this.#looking;
    this.#drop();
  }

  async #lookUntilDone(): Promise<void> {
    while (this.#looksAgain && !this.#hasEnded) {
      this.#looksAgain = false;
      await this.#adjust();
    }
    this.#looking = null;
  }

  async #adjust(): Promise<void> {
    const directory = this.#options.directory();
    const { log, served } = this.#options;
    if (this.#bound !== null && (this.#bound.directory !== directory || !isInPlace(this.#bound)))
      this.#drop();
    if (directory === null || this.#bound !== null) return;
    try {
      this.#bound = await open(directory, served);
      this.#complaint = '';
    } catch (thrown) {
      const error = toSidecarError(thrown, 'control');
      if (error.message !== this.#complaint) log.warn('control socket not opened', errorFields(error));
      this.#complaint = error.message;
    }
  }

  #drop(): void {
    if (this.#bound === null) return;
    const { handle, intake } = this.#bound;
    // In the directory in which it was made, wherever that is now.
    if (isOurs(this.#bound)) unlinkIfPossible(handle, CONTROL_SOCKET);
    intake.close();
    closeHandle(handle);
    this.#bound = null;
  }
}

/** Whether the name of the socket still leads to ours. This is the look of every second: two calls of the system, no more. */
function isInPlace(bound: Bound): boolean {
  try {
    const there = fs.statSync(bound.directory);
    return there.dev === bound.device && there.ino === bound.directoryInode && isOurs(bound);
  } catch {
    // A part of the path has gone.
    return false;
  }
}

function isOurs({ handle, inode }: Bound): boolean {
  return socketIn(handle)?.ino === inode;
}

function socketIn({ path }: DirectoryHandle): fs.Stats | undefined {
  return fs.lstatSync(`${path}/${CONTROL_SOCKET}`, { throwIfNoEntry: false });
}

/**
 * Made under another name and moved into place: that replaces what a crash has left, and no client finds a socket that
 * does not listen yet, or has another mode.
 */
async function open(directory: string, served: Served): Promise<Bound> {
  const path = join(directory, CONTROL_SOCKET);
  const intake = createEndpointServer(served, 'socket');
  let handle: DirectoryHandle | null = null;
  try {
    handle = openPlace(directory);
    refuseForeign(handle, path);
    const { dev: device, ino: directoryInode } = fs.fstatSync(handle.fd);
    return { intake, directory, handle, device, directoryInode, inode: await bind(intake.server, handle) };
  } catch (cause) {
    intake.close();
    if (handle !== null) closeHandle(handle);
    if (cause instanceof SidecarError && cause.code === 'control.socket') throw cause;
    const reason = cause instanceof Error ? (errnoOf(cause) ?? cause.message) : String(cause);
    throw new SidecarError(
      `Cannot open the control socket "${path}": ${reason}. Until it is open, "config-sidecar sync", "rollback" and "resume" find no sidecar.`,
      { code: 'control.socket', stage: 'control', cause },
    );
  }
}

/** Gives the number of the socket's inode. The path through the descriptor is short enough for the address of a socket. */
async function bind(server: Server, { path }: DirectoryHandle): Promise<number> {
  // A start removes what begins like this.
  const temporary = `${path}/.config-sidecar.${randomBytes(8).toString('hex')}.sock`;
  try {
    await listen(server, temporary);
    fs.chmodSync(temporary, 0o600);
    const { ino } = fs.lstatSync(temporary);
    fs.renameSync(temporary, `${path}/${CONTROL_SOCKET}`);
    return ino;
  } catch (thrown) {
    removeIfPossible(temporary);
    throw thrown;
  }
}

function refuseForeign(handle: DirectoryHandle, path: string): void {
  const there = socketIn(handle);
  if (there === undefined || there.isSocket()) return;
  throw new SidecarError(
    `Cannot open the control socket "${path}": a file that is not a socket already exists there. Delete it if it is not needed.`,
    { code: 'control.socket', stage: 'control' },
  );
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, exclusive: true }, () => {
      server.on('error', () => {});
      resolve();
    });
  });
}
