// Whether LISTEN can be had, and who has it when not.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { describeProcess, listProcesses, processFolder } from '../application/process/proc.ts';
import { errnoOf } from '../lib/errors.ts';
import { askSidecar } from '../server/ask-status.ts';
import type { Listen } from '../settings/web.ts';
import { listen as LISTEN } from '../settings/web.ts';
import { type Finding, fail, ok } from './finding.ts';

/** @param isKept a sidecar keeps this output, and so has the address itself. */
export async function checkEndpoints(listen: Listen, isKept: boolean): Promise<readonly Finding[]> {
  if (listen === 'off')
    return [ok('endpoints', 'listen.off', 'LISTEN is off: there are no endpoints, and no probe can ask.')];
  if (isKept) return [];
  const shown = `LISTEN "${LISTEN.print?.(listen) ?? listen.port}"`;
  try {
    await tryPort(listen);
    return [ok('endpoints', 'listen.free', `${shown} is free.`)];
  } catch (thrown) {
    return [await explain(listen, { shown, errno: errnoOf(thrown) ?? 'unknown error' })];
  }
}

type Address = Exclude<Listen, 'off'>;

function tryPort({ host, port }: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(host === null ? { port } : { host, port }, () => server.close(() => resolve()));
  });
}

async function explain(
  listen: Address,
  { shown, errno }: { readonly shown: string; readonly errno: string },
): Promise<Finding> {
  if (errno === 'EADDRINUSE') {
    const mend = 'Set LISTEN to a free port: two sidecars of one pod need two. With off, no probe can ask.';
    return fail('endpoints', 'listen.taken', `${shown} is taken by ${await whoListens(listen)}.`, mend);
  }
  if (errno === 'EACCES') {
    const message = `${shown} is not permitted: user ${process.geteuid?.() ?? '?'} may not listen there.`;
    return fail('endpoints', 'listen.failed', message, 'Set LISTEN to a port from 1024 upwards.');
  }
  const reason =
    errno === 'EADDRNOTAVAIL' || errno === 'ENOTFOUND'
      ? 'the address is not assigned to this machine'
      : errno;
  return fail(
    'endpoints',
    'listen.failed',
    `Cannot listen on ${shown}: ${reason}.`,
    'Name an address of this machine: 127.0.0.1 for callers in the same pod only; without a host (":9533") it is open to every client that reaches the pod.',
  );
}

async function whoListens(listen: Address): Promise<string> {
  const status = await askSidecar({ sockets: [], listen, target: null });
  if (typeof status !== 'string' && typeof status.instance === 'string')
    return `another config-sidecar (${status.instance})`;
  return describeOwner(listen.port) ?? 'a process that cannot be seen from here';
}

/** State LISTEN in `/proc/net/tcp`. */
const LISTENING = '0A';

function describeOwner(port: number): string | null {
  const socket = ['tcp', 'tcp6'].flatMap((table) => listening(table, port))[0];
  if (socket === undefined) return null;
  const owner = listProcesses()?.rows.find(({ pid }) => holds(pid, socket.inode));
  return owner === undefined ? `a process of user ${socket.uid}` : `process ${describeProcess(owner)}`;
}

function listening(table: string, port: number): readonly { readonly uid: string; readonly inode: string }[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  try {
    return readFileSync(`/proc/net/${table}`, 'latin1')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, local = '', , state]) => state === LISTENING && local.endsWith(`:${hex}`))
      .map(([, , , , , , , uid = '', , inode = '']) => ({ uid, inode }));
  } catch {
    return [];
  }
}

/** Only for processes of our own user, or for root. */
function holds(pid: number, inode: string): boolean {
  const folder = `${processFolder(pid)}/fd`;
  try {
    return readdirSync(folder).some((fd) => linkAt(`${folder}/${fd}`) === `socket:[${inode}]`);
  } catch {
    return false;
  }
}

function linkAt(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}
