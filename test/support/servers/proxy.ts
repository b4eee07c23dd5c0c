// A TCP proxy that misbehaves on command, between a provider and a real server.
import { connect, createServer, type Socket } from 'node:net';
import { portOf } from './ports.ts';

/**
 * What happens to bytes and connections:
 * - `pass`: nothing.
 * - `refuse`: new connections are reset; those there are go on.
 * - `hold`: nothing gets through in either direction until another mode is set; then everything does, in order: a network
 *   that came back in time.
 * - `black-hole`: connections are taken and kept, nothing gets through, neither side notices. A connection that was open in a
 *   black hole is lost for good; under another mode it stays silent until its client sends something, and is reset then.
 */
type ProxyMode = 'pass' | 'refuse' | 'hold' | 'black-hole';

/** Sees the bytes from the server in one connection, and says what becomes of them. */
export type ProxyFilter = (chunk: Buffer) => Buffer;

export interface FaultProxy {
  /** Of 127.0.0.1. */
  readonly port: number;
  mode: ProxyMode;
  /** Every chunk from the server is held back this long; the order stays. */
  delayMs: number;
  /** After this many bytes from the server in one connection, the connection is reset; Infinity for never. */
  cutAfterBytes: number;
  /** Makes the filter of each connection from now on; null for none. */
  filter: (() => ProxyFilter) | null;
  /** Resets all connections there are. */
  cut(): void;
  /** How many connections were taken so far. */
  connections(): number;
  /** How many are open now. */
  open(): number;
  /** Bytes that came from the server so far. */
  bytesFromServer(): number;
  /** The request lines of HTTP/1.1 so far (`GET /v1/kv/app?index=7 HTTP/1.1`), in the order of their coming. */
  requests(): readonly string[];
  close(): Promise<void>;
}

/** What the connections share. */
interface Shared {
  readonly proxy: FaultProxy;
  readonly requests: string[];
  readonly pairs: Set<Pair>;
  bytes: number;
}

/** One connection: the client's side, the server's side. */
interface Pair {
  readonly cut: () => void;
  readonly follow: (mode: ProxyMode) => void;
}

const REQUEST_LINE = /^[A-Z]+ \S+ HTTP\/1\.1(?=\r\n)/;

/** Starts a proxy to this port of 127.0.0.1. */
export async function startProxy(target: number): Promise<FaultProxy> {
  let taken = 0;
  let mode: ProxyMode = 'pass';
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    taken += 1;
    near.on('error', () => near.destroy());
    if (mode === 'refuse') near.resetAndDestroy();
    else join(near, connect({ port: target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }), shared);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: FaultProxy = {
    port: portOf(server),
    get mode() {
      return mode;
    },
    set mode(wanted: ProxyMode) {
      mode = wanted;
      for (const pair of shared.pairs) pair.follow(wanted);
    },
    delayMs: 0,
    cutAfterBytes: Number.POSITIVE_INFINITY,
    filter: null,
    cut: () => {
      for (const pair of [...shared.pairs]) pair.cut();
    },
    connections: () => taken,
    open: () => shared.pairs.size,
    bytesFromServer: () => shared.bytes,
    requests: () => shared.requests,
    close: async () => {
      proxy.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const shared: Shared = { proxy, requests: [], pairs: new Set(), bytes: 0 };
  return proxy;
}

function join(near: Socket, far: Socket, shared: Shared): void {
  const { proxy, pairs, requests } = shared;
  let isLost: boolean = false;
  const cut = (): void => {
    pairs.delete(pair);
    near.resetAndDestroy();
    far.destroy();
  };
  const follow = (mode: ProxyMode): void => {
    if (mode === 'black-hole') isLost = true;
    for (const socket of [near, far]) {
      if (mode === 'hold') socket.pause();
      else socket.resume();
    }
  };
  const pair: Pair = { cut, follow };
  pairs.add(pair);
  follow(proxy.mode);
  const inOrder = delayed(() => proxy.delayMs);
  const filter = proxy.filter?.() ?? ((chunk: Buffer) => chunk);
  let fromServer = 0;
  near.on('data', (chunk) => {
    if (isLost && proxy.mode !== 'black-hole') return cut();
    if (isLost) return;
    const line = REQUEST_LINE.exec(chunk.toString('latin1', 0, 2_048))?.[0];
    if (line !== undefined) requests.push(line);
    far.write(chunk);
  });
  far.on('data', (chunk) => {
    if (isLost) return;
    shared.bytes += chunk.length;
    const left = proxy.cutAfterBytes - fromServer;
    fromServer += chunk.length;
    inOrder(() => {
      if (chunk.length > left) near.write(filter(chunk.subarray(0, Math.max(0, left))), cut);
      else near.write(filter(chunk));
    });
  });
  near.on('end', () => (isLost ? cut() : far.end()));
  // In a black hole neither side notices that the other has gone.
  far.on('end', () => inOrder(() => isLost || near.end()));
  near.on('close', () => {
    pairs.delete(pair);
    far.destroy();
  });
  far.on('error', () => isLost || cut());
}

/** Runs what it is given after the delay of that moment, never out of order, and at once where there is none. */
function delayed(delayMs: () => number): (work: () => void) => void {
  const waiting: (() => void)[] = [];
  let lastDueMs = 0;
  return (work) => {
    const nowMs = performance.now();
    lastDueMs = Math.max(lastDueMs, nowMs + delayMs());
    if (waiting.length === 0 && lastDueMs === nowMs) return work();
    waiting.push(work);
    // Timers that are due together fire in any order: whichever does runs the oldest.
    setTimeout(() => waiting.shift()?.(), lastDueMs - nowMs);
  };
}
