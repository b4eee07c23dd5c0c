// One sidecar at a time for one output: Unix sockets in the state directory, which the kernel gives up with their owners.
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { atOnce } from '../lib/slices.ts';
import { closeHandle, type DirectoryHandle, openPlace } from '../publish/directory-handle.ts';
import { listing, unlinkIfPossible } from '../publish/remove-tree.ts';
import { askFlag, HOLDS, type Other, TRIES } from './lock-answer.ts';

/** A flag is a socket below a name that is never used twice: one that refuses connections is dead for ever. */
const FLAG = /^lock\.[0-9a-f]{12}$/;
/** How long all others together have to answer, or to give way to us. */
const PATIENCE_MS = 1_000;
const ROUND_MS = 20;
/** So many flags are asked at once; of more only these. */
const MOST_ASKED = 64;

/** The lock was taken, or who has it. */
export type LockResult =
  | { readonly kind: 'taken'; readonly release: () => void; readonly isHeld: () => boolean }
  | { readonly kind: 'held'; readonly by: string };

/**
 * Tries once to take the lock, for about a second: raises a flag, then looks for others. A sidecar that finds itself alone has
 * it; of two that try, each sees the other's flag, and the one with the greater name gives way. A socket, not a file with a
 * number in it: it works between containers that share the volume but no PID namespace, and what a `kill -9` leaves behind
 * refuses connections.
 * @param holder who we are, as a second sidecar shows it.
 * @throws the system's error when the directory cannot hold a socket.
 */
export async function tryLock(path: string, holder: string): Promise<LockResult> {
  const directory = openPlace(path);
  let isTaken = false;
  try {
    const flag = await raise(directory, holder);
    const by = await findOther(directory, flag).catch((error) => {
      lower(directory, flag);
      throw error;
    });
    if (by !== null) {
      lower(directory, flag);
      return { kind: 'held', by };
    }
    flag.holds = true;
    isTaken = true;
    return { kind: 'taken', ...holding(directory, flag) };
  } finally {
    if (!isTaken) closeHandle(directory);
  }
}

/** The directory stays open with the lock. */
function holding(directory: DirectoryHandle, flag: Flag): { release: () => void; isHeld: () => boolean } {
  let isReleased = false;
  return {
    release: () => {
      if (isReleased) return;
      isReleased = true;
      lower(directory, flag);
      closeHandle(directory);
    },
    // A sidecar that looks for our flag and does not find it takes the lock, whatever we think.
    isHeld: () => !isReleased && fs.existsSync(`${directory.path}/${flag.name}`),
  };
}

/** Who holds the lock of the state directory now, without trying to take it; null when no sidecar does. */
export async function findHolder(path: string): Promise<string | null> {
  let directory: DirectoryHandle;
  try {
    directory = openPlace(path);
  } catch {
    return null;
  }
  try {
    const asked = await askAll(directory, flagsIn(directory), performance.now() + PATIENCE_MS);
    return asked.find(({ other }) => other?.holds)?.other?.by ?? null;
  } finally {
    closeHandle(directory);
  }
}

interface Flag {
  readonly server: net.Server;
  readonly name: string;
  /** Whether we have the lock, or are only trying. */
  holds: boolean;
}

function raise(directory: DirectoryHandle, holder: string): Promise<Flag> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.end((flag.holds ? HOLDS : TRIES) + holder);
    });
    const flag: Flag = { server, name: `lock.${randomBytes(6).toString('hex')}`, holds: false };
    server.once('error', reject);
    server.listen({ path: `${directory.path}/${flag.name}`, exclusive: true }, () => {
      server.unref();
      resolve(flag);
    });
  });
}

function lower(directory: DirectoryHandle, { server, name }: Flag): void {
  // Where it cannot be removed (the volume has become read-only), it is dead as soon as it is closed.
  unlinkIfPossible(directory, name);
  server.close();
}

/** Who has the lock, or is nearer to it than we are; null when we are alone, and have it. */
async function findOther(directory: DirectoryHandle, own: Flag): Promise<string | null> {
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    const names = flagsIn(directory);
    // Taken for dead between our binding and our listening: the sidecar that removed it is there, or was.
    if (!names.includes(own.name)) break;
    // Not one more name: had we only found the others dead, one of them may have removed our flag before it went.
    if (names.length === 1) return null;
    const others = names.filter((name) => name !== own.name);
    for (const { name, other } of await askAll(directory, others, deadline)) {
      if (other === null) unlinkIfPossible(directory, name);
      else if (other.holds || name < own.name) return other.by;
    }
    await pause(ROUND_MS);
  }
  return 'another sidecar that is starting';
}

/** Directories cannot be flags. Whatever else has such a name and does not listen is removed. */
function flagsIn(directory: DirectoryHandle): readonly string[] {
  return atOnce(listing(directory)).filter((name) => FLAG.test(name) && !isDirectory(directory, name));
}

function isDirectory(directory: DirectoryHandle, name: string): boolean {
  const stat = fs.lstatSync(`${directory.path}/${name}`, { throwIfNoEntry: false });
  return stat?.isDirectory() === true;
}

function askAll(
  directory: DirectoryHandle,
  names: readonly string[],
  deadline: number,
): Promise<readonly { readonly name: string; readonly other: Other | null }[]> {
  return Promise.all(
    names.slice(0, MOST_ASKED).map(async (name) => ({
      name,
      other: await askFlag(`${directory.path}/${name}`, Math.max(0, deadline - performance.now())),
    })),
  );
}
