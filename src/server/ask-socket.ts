// Asks the sidecar that keeps an output, over its control socket.
import * as fs from 'node:fs';
import * as http from 'node:http';
import { basename, dirname, join } from 'node:path';
import { inDirectory } from '../ledger/socket-path.ts';
import { cut, MAX_MESSAGE, visible } from '../lib/bounds.ts';
import { errnoOf, SidecarError } from '../lib/errors.ts';
import { UNKNOWN_TARGET } from './control.ts';
import type { Status } from './status-shape.ts';

/** From connecting to the last byte. */
const ASK_MS = 5_000;
/** Much more than a status can have. */
const MAX_BYTES = 64 * 1024 * 1024;

export interface SocketAnswer {
  readonly status: number;
  readonly body: string;
}

/**
 * One request over the socket; any status resolves.
 * @throws SidecarError `control.nobody` when no sidecar is there, `control.denied` when it is another user's,
 * `control.no-answer` when it is there but does not answer. The messages are clauses: the reason, without what it prevents.
 */
export async function askSocket(socket: string, method: 'GET' | 'POST', url: string): Promise<SocketAnswer> {
  try {
    return await inDirectory(dirname(socket), (short) => {
      return exchange({ socketPath: join(short, basename(socket)), method, path: url });
    });
  } catch (thrown) {
    throw reasonOf(thrown, socket);
  }
}

/** The status, with what commands and hooks printed. `path`: of all targets, or `/status?target=NAME`. Errors as `askSocket`. */
export async function askStatusOverSocket(socket: string, path = '/status'): Promise<Status> {
  const { status, body } = await askSocket(socket, 'GET', path);
  if (status === 404 && path !== '/status') throw unknownTarget(body);
  if (status !== 200) throw reasonOf(new Error(`it answered ${status}`), socket);
  return JSON.parse(body) as Status;
}

/**
 * The status from the first socket that answers.
 * @throws SidecarError as `askSocket`, of the first socket where none answers; `control.unknown-target` of any, at once.
 */
export async function askFirst(
  sockets: readonly string[],
  path?: string,
): Promise<{ readonly socket: string; readonly status: Status }> {
  let failure: unknown;
  for (const socket of sockets) {
    try {
      return { socket, status: await askStatusOverSocket(socket, path) };
    } catch (thrown) {
      if (thrown instanceof SidecarError && thrown.code === UNKNOWN_TARGET) throw thrown;
      failure ??= thrown;
    }
  }
  throw failure;
}

/** In the words of the sidecar that was asked for it. */
export function unknownTarget(answer: string): SidecarError {
  const reason = visible(cut(answer.trim(), MAX_MESSAGE));
  return new SidecarError(`Cannot get the status: ${reason}.`, {
    code: UNKNOWN_TARGET,
    stage: 'control',
  });
}

function exchange(options: http.RequestOptions): Promise<SocketAnswer> {
  let timer: NodeJS.Timeout | undefined;
  const answered = new Promise<SocketAnswer>((resolve, reject) => {
    const request = http.request({ ...options, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > MAX_BYTES) request.destroy(new Error('its answer has no end'));
      });
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() });
      });
      response.on('error', reject);
    });
    timer = setTimeout(() => request.destroy(new Error(`not within ${ASK_MS / 1000} s`)), ASK_MS);
    request.on('error', reject);
    request.end();
  });
  return answered.finally(() => clearTimeout(timer));
}

const NOT_THERE: readonly (string | undefined)[] = ['ENOENT', 'ENOTDIR', 'ECONNREFUSED', 'ELOOP', 'ENOTSOCK'];

function reasonOf(cause: unknown, socket: string): SidecarError {
  const errno = errnoOf(cause);
  if (NOT_THERE.includes(errno)) {
    const message = `no sidecar answers at "${socket}"; check that it runs, and with the same OUTPUT and STATE_DIR.`;
    return new SidecarError(message, { code: 'control.nobody', stage: 'control', cause });
  }
  if (errno === 'EACCES' || errno === 'EPERM') {
    const message = `"${socket}" is for user ${ownerOf(socket) ?? '?'} only, and this is user ${process.geteuid?.() ?? '?'}; run the command as that user.`;
    return new SidecarError(message, { code: 'control.denied', stage: 'control', cause });
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `the sidecar at "${socket}" does not answer: ${why}`;
  return new SidecarError(message, { code: 'control.no-answer', stage: 'control', cause });
}

/** Of the socket, or of the nearest folder above it that can be looked at: all of them are its user's. */
function ownerOf(path: string): number | null {
  try {
    return fs.lstatSync(path).uid;
  } catch (error) {
    const above = dirname(path);
    return above === path || errnoOf(error) !== 'EACCES' ? null : ownerOf(above);
  }
}
