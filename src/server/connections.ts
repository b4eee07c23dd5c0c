// Takes the connections of the endpoints and bounds each: one request, a few seconds, a share per address.
import type { Server as HttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { Connection } from './connection.ts';

/** More than probes, scrapes and people open; a descriptor in use here is missing where files are written. */
const MAX_CONNECTIONS = 256;
/** What one address may hold of these, so that another one (the kubelet's) always finds room. */
const MAX_PER_ADDRESS = 128;

/** A server for `http`, which never listens itself: it gets each request by a connection of its own. */
export interface Intake {
  readonly server: Server;
  /** Stops listening and ends every connection. */
  readonly close: () => void;
}

/**
 * Connections beyond a bound are not refused: the one that has waited longest without sending its request makes room, and
 * where none waits, the one whose answer has been under way longest.
 */
export function createIntake(http: HttpServer): Intake {
  const open = new Set<Connection>();
  const take = (socket: Socket): void => {
    const address = shareOf(socket.remoteAddress);
    const same = [...open].filter((one) => one.address === address);
    // The control socket has no addresses: there the whole is one user's.
    if (address !== null && same.length >= MAX_PER_ADDRESS) makeRoom(same);
    else if (open.size >= MAX_CONNECTIONS) makeRoom([...open]);
    const connection = new Connection(socket, { address, http, onClose: () => open.delete(connection) });
    open.add(connection);
  };
  const server = createServer({ allowHalfOpen: true }, take);
  const close = (): void => {
    server.close();
    for (const connection of open) connection.end();
  };
  return { server, close };
}

/** Oldest first, as a set keeps them. */
function makeRoom(candidates: readonly Connection[]): void {
  const [oldest] = candidates;
  (candidates.find((one) => one.isIdle) ?? oldest)?.end();
}

/** A client with one IPv6 address usually has 2^64 of them: what counts is the network. */
function shareOf(address: string | undefined): string | null {
  if (address === undefined) return null;
  return address.includes('.') || !address.includes(':') ? address : address.split(':').slice(0, 4).join(':');
}
