// Whether a sidecar keeps this output already: it is asked, and nothing is written for that.
import * as fs from 'node:fs';
import * as net from 'node:net';
import { join } from 'node:path';
import { openDirectory } from '../publish/atomic-file.ts';
import { listed } from '../publish/file.ts';

/** The sockets of `lock.ts`: who holds the lock says `+` and who it is. */
const FLAG = /^lock\.[0-9a-f]{12}$/;
const ANSWER_MS = 1_000;

/** Who keeps the output whose state lies in this directory: its instance and process; null when nobody does. */
export async function findKeeper(stateDirectory: string): Promise<string | null> {
  const flags = listed(stateDirectory).filter((name) => FLAG.test(name));
  if (flags.length === 0) return null;
  // A path of a socket may not be longer than 107 bytes.
  const dir = openDirectory(fs.realpathSync.native(stateDirectory));
  try {
    const answers = await Promise.all(flags.map((name) => ask(join(dir.path, name))));
    return answers.find((answer) => answer !== null) ?? null;
  } finally {
    fs.closeSync(dir.fd);
  }
}

/** Who listens there and holds the lock; null when nobody does, or only tries to. */
function ask(path: string): Promise<string | null> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = net.connect(path);
    const done = (keeper: string | null): void => {
      socket.destroy();
      resolve(keeper);
    };
    socket.setTimeout(ANSWER_MS, () => done('a sidecar that does not answer'));
    socket.on('data', (chunk) => {
      answer += chunk.toString();
    });
    socket.on('end', () => done(answer.startsWith('+') ? answer.slice(1) : null));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      done(error.code === 'EACCES' || error.code === 'EPERM' ? 'a sidecar of another user' : null),
    );
  });
}
