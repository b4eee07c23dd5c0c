// What a socket in the state directory answers: perhaps a sidecar, perhaps something that others put there. So only the first
// printable bytes count, and all of it has an end.
import * as fs from 'node:fs';
import * as net from 'node:net';
import { errnoOf } from '../lib/errors.ts';

/** The first byte of an answer: the sidecar has the lock, or only tries to get it. */
export const HOLDS = '+';
export const TRIES = '?';

/** As much of an answer is read; a name of a host and a number are shorter. */
const MAX_BYTES = 256;

/** A sidecar that listens. */
export interface Other {
  readonly holds: boolean;
  readonly by: string;
}

/**
 * Which sidecar listens there; null when none does. One that accepts but stays silent (frozen) holds the lock all the same, and
 * so does one whose answer does not end.
 */
export function askFlag(path: string, patienceMs: number): Promise<Other | null> {
  // A link may lead to a socket that has nothing to do with us.
  if (fs.lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return Promise.resolve(null);
  return new Promise((resolve) => {
    let answer = Buffer.alloc(0);
    const socket = net.connect(path);
    const done = (other: Other | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(other);
    };
    const timer = setTimeout(() => done({ holds: true, by: 'a sidecar that does not answer' }), patienceMs);
    const onEnd = (): void => done(understand(answer));
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk.subarray(0, MAX_BYTES - answer.length)]);
      if (answer.length >= MAX_BYTES) onEnd();
    });
    socket.on('end', onEnd);
    socket.on('error', (error) => {
      const errno = errnoOf(error);
      if (errno === 'ECONNREFUSED' || errno === 'ENOENT') done(null);
      else if (errno === 'EACCES' || errno === 'EPERM')
        done({ holds: true, by: 'a sidecar of another user' });
      else onEnd();
    });
  });
}

function understand(answer: Buffer): Other {
  const text = answer.toString('latin1');
  const by = text.slice(1).replace(/[^\x20-\x7e]/g, '?');
  return { holds: text.startsWith(HOLDS), by: by || 'another sidecar' };
}
