// The control socket: there while the lock of the state directory is ours, and for our own user only.
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { inDirectory } from '../ledger/socket-path.ts';
import { CONTROL_SOCKET } from '../ledger/state-directory.ts';
import { errnoOf, SidecarError, toSidecarError } from '../lib/errors.ts';
import { errorFields, type Log } from '../lib/log.ts';
import { removeIfPossible } from '../publish/atomic-file.ts';
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
/** Until the socket is there for the first time it is looked for this often: a command may follow the start at once. */
const FIRST_LOOK_MS = 50;

/**
 * Opens the socket as soon as there is a directory for it, moves with it, and opens it again when it was removed.
 * Never throws: what is in the way is logged once, and tried again.
 */
export function startControl(options: ControlOptions): ControlSocket {
  const keeper = new Keeper(options);
  const timer = setInterval(() => void keeper.look(), LOOK_MS).unref();
  const first = setInterval(() => {
    if (keeper.isBound) clearInterval(first);
    else void keeper.look();
  }, FIRST_LOOK_MS).unref();
  void keeper.look();
  return {
    look: () => keeper.look(),
    close: async () => {
      clearInterval(timer);
      clearInterval(first);
      await keeper.end();
    },
  };
}

interface Bound {
  readonly intake: Intake;
  readonly directory: string;
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

  get isBound(): boolean {
    return this.#bound !== null;
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
    if (isInPlace(this.#bound)) removeIfPossible(join(this.#bound.directory, CONTROL_SOCKET));
    this.#bound.intake.close();
    this.#bound = null;
  }
}

function isInPlace({ directory, inode }: Bound): boolean {
  return lookAt(join(directory, CONTROL_SOCKET))?.ino === inode;
}

function lookAt(path: string): fs.Stats | undefined {
  try {
    return fs.lstatSync(path, { throwIfNoEntry: false });
  } catch {
    // A part of the path is no directory any more.
    return undefined;
  }
}

/**
 * Made under another name and moved into place: that replaces what a crash has left, and no client finds a socket that
 * does not listen yet, or has another mode.
 */
async function open(directory: string, served: Served): Promise<Bound> {
  const path = join(directory, CONTROL_SOCKET);
  refuseForeign(path);
  const intake = createEndpointServer(served, 'socket');
  try {
    return await inDirectory(directory, async (short) => {
      // A start removes what begins like this.
      const temporary = join(short, `.config-sidecar.${randomBytes(8).toString('hex')}.sock`);
      try {
        await listen(intake.server, temporary);
        fs.chmodSync(temporary, 0o600);
        const { ino: inode } = fs.lstatSync(temporary);
        fs.renameSync(temporary, join(short, CONTROL_SOCKET));
        return { intake, directory, inode };
      } catch (thrown) {
        removeIfPossible(temporary);
        throw thrown;
      }
    });
  } catch (cause) {
    intake.close();
    const reason = cause instanceof Error ? (errnoOf(cause) ?? cause.message) : String(cause);
    throw new SidecarError(
      `Cannot open the control socket "${path}": ${reason}. Until it is open, "config-sidecar sync", "rollback" and "resume" find no sidecar.`,
      { code: 'control.socket', stage: 'control', cause },
    );
  }
}

function refuseForeign(path: string): void {
  const there = lookAt(path);
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
