// A TCP proxy that misbehaves on command, between a provider and a real server.
import { connect, createServer, type Socket } from 'node:net';
import { portOf } from './ports.ts';

/**
 * What happens to bytes and connections: `pass`; `refuse` (new connections are reset); `black-hole` (connections are
 * taken and kept, nothing gets through in either direction, and nobody is told).
 */
export type ProxyMode = 'pass' | 'refuse' | 'black-hole';

export interface FaultProxy {
  /** Of 127.0.0.1. */
  readonly port: number;
  mode: ProxyMode;
  /** Every chunk from the server is held back this long. */
  delayMs: number;
  /** After this many bytes from the server in one connection, the connection is cut; Infinity for never. */
  cutAfterBytes: number;
  /** Resets all connections there are. */
  cut(): void;
  /** How many connections were taken so far. */
  connections(): number;
  /** How many are open now. */
  open(): number;
  /** Bytes that came from the server so far. */
  bytesFromServer(): number;
  close(): Promise<void>;
}

/** Starts a proxy to this port of 127.0.0.1. */
export async function startProxy(target: number): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  let taken = 0;
  let bytes = 0;
  const server = createServer({ allowHalfOpen: false }, (near) => {
    taken += 1;
    if (proxy.mode === 'refuse') {
      near.resetAndDestroy();
      return;
    }
    const far = connect(target, '127.0.0.1');
    sockets.add(near);
    const end = (): void => {
      near.destroy();
      far.destroy();
      sockets.delete(near);
    };
    let fromServer = 0;
    near.on('data', (chunk) => {
      if (proxy.mode !== 'black-hole') far.write(chunk);
    });
    far.on('data', (chunk) => {
      if (proxy.mode === 'black-hole') return;
      bytes += chunk.length;
      fromServer += chunk.length;
      if (fromServer > proxy.cutAfterBytes) near.resetAndDestroy();
      else if (proxy.delayMs > 0) setTimeout(() => near.write(chunk), proxy.delayMs);
      else near.write(chunk);
    });
    for (const socket of [near, far]) {
      socket.on('error', end);
      socket.on('close', () => {
        // In a black hole nobody hears that the other side has gone.
        if (proxy.mode !== 'black-hole' || socket === near) end();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const proxy: FaultProxy = {
    port: portOf(server),
    mode: 'pass',
    delayMs: 0,
    cutAfterBytes: Number.POSITIVE_INFINITY,
    cut,
    connections: () => taken,
    open: () => sockets.size,
    bytesFromServer: () => bytes,
    close: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
