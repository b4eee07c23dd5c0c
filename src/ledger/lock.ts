// One sidecar at a time for one output: Unix sockets in the state directory, which the kernel gives up with their owners.
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as net from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { errnoOf } from '../lib/errors.ts';
import { openDirectory, removeIfPossible } from '../publish/atomic-file.ts';

/** A flag is a socket below a name that is never used twice: one that refuses connections is dead for ever. */
const FLAG = /^lock\.[0-9a-f]{12}$/;
const ANSWER_MS = 1_000;
/** How often, and after how long, it is looked whether those have gone who must give way to us. */
const ROUNDS = 50;
const ROUND_MS = 20;

/** The lock was taken, or who has it. */
export type LockResult =
  | { readonly kind: 'taken'; readonly release: () => void; readonly isHeld: () => boolean }
  | { readonly kind: 'held'; readonly by: string };

/**
 * Tries once to take the lock: raises a flag, then looks for others. Who finds itself alone has it; of two that try, each
 * sees the other's flag, and the one with the greater name gives way. A socket, not a file with a number in it: it works
 * between containers that share the volume but no PID namespace, and what a `kill -9` leaves behind refuses connections.
 * @param holder what a second sidecar is told: who we are.
 * @throws the system's error when the directory cannot hold a socket.
 */
export async function tryLock(directory: string, holder: string): Promise<LockResult> {
  const dir = openDirectory(fs.realpathSync.native(directory));
  try {
    const flag = await raise(dir.path, holder);
    const by = await findOther(dir.path, flag);
    if (by === null) {
      flag.holds = true;
      return {
        kind: 'taken',
        release: () => lower(directory, flag),
        // Whoever looks for our flag and does not find it takes the lock, whatever we think.
        isHeld: () => fs.existsSync(join(directory, flag.name)),
      };
    }
    lower(dir.path, flag);
    return { kind: 'held', by };
  } finally {
    fs.closeSync(dir.fd);
  }
}

interface Flag {
  readonly server: net.Server;
  readonly name: string;
  /** Whether we have the lock, or are only trying. */
  holds: boolean;
}

const HOLDS = '+';
const TRIES = '?';

function raise(directory: string, holder: string): Promise<Flag> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.end((flag.holds ? HOLDS : TRIES) + holder);
    });
    const flag: Flag = { server, name: `lock.${randomBytes(6).toString('hex')}`, holds: false };
    server.once('error', reject);
    server.listen({ path: join(directory, flag.name), exclusive: true }, () => {
      server.unref();
      resolve(flag);
    });
  });
}

function lower(directory: string, { server, name }: Flag): void {
  // Where it cannot be removed (the volume has become read-only), it is dead as soon as nobody listens.
  removeIfPossible(join(directory, name));
  server.close();
}

/** Who has the lock, or is nearer to it than we are; null when we are alone, and have it. */
async function findOther(directory: string, own: Flag): Promise<string | null> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const names = fs.readdirSync(directory).filter((name) => FLAG.test(name));
    // Taken for dead between our binding and our listening: whoever did that is still there or was there.
    if (!names.includes(own.name)) break;
    // Not one more name: had we only found the others dead, one of them may have removed our flag before it went.
    if (names.length === 1) return null;
    for (const name of names.filter((one) => one !== own.name)) {
      const other = await ask(join(directory, name));
      if (other === null) fs.rmSync(join(directory, name), { force: true });
      else if (other.holds || name < own.name) return other.by;
    }
    await pause(ROUND_MS);
  }
  return 'another sidecar that is starting';
}

/** Who listens there; null when nobody does. Somebody who accepts but stays silent (frozen) holds it all the same. */
function ask(path: string): Promise<{ readonly holds: boolean; readonly by: string } | null> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = net.connect(path);
    const done = (other: { readonly holds: boolean; readonly by: string } | null): void => {
      socket.destroy();
      resolve(other);
    };
    const answered = (otherwise: string): void =>
      done({ holds: answer.startsWith(HOLDS), by: answer.slice(1) || otherwise });
    socket.setTimeout(ANSWER_MS, () => done({ holds: true, by: 'a sidecar that does not answer' }));
    socket.on('data', (chunk) => {
      answer += chunk.toString();
    });
    socket.on('end', () => answered('another sidecar'));
    socket.on('error', (error) => {
      const errno = errnoOf(error);
      if (errno === 'ECONNREFUSED' || errno === 'ENOENT') done(null);
      else if (errno === 'EACCES' || errno === 'EPERM')
        done({ holds: true, by: 'a sidecar of another user' });
      else answered('another sidecar');
    });
  });
}
