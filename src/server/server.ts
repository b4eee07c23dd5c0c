// Serves the endpoints at LISTEN, and bounds what a client can take of us; everybody may connect.
import { createServer, type Server } from 'node:http';
import type { Registry } from 'prom-client';
import { errnoOf, SidecarError } from '../lib/errors.ts';
import type { TargetView } from '../reconcile/types.ts';
import type { Listen } from '../settings/web.ts';
import type { ControlsByTarget } from './control.ts';
import { type Channel, createListener, type Served } from './endpoints.ts';
import { type Identity, reasonsNotReady, statusOf } from './status.ts';

export type { Served } from './endpoints.ts';

/** What there is, to be asked anew at each request. */
export interface Serving {
  readonly kept: () => readonly TargetView[];
  readonly identity: Identity;
  readonly controls: () => ControlsByTarget;
  /** CONTROL_TOKEN as it is now; may throw. */
  readonly token: () => string | undefined;
}

/** What the endpoints need, from the targets as they are. */
export function servedBy({ kept, identity, controls, token }: Serving): Served {
  let registry: Promise<Registry> | null = null;
  return {
    status: (options) => statusOf(kept(), identity, options),
    notReady: () => (kept().length === 0 ? ['starting'] : reasonsNotReady(kept())),
    metrics: async () => {
      registry ??= import('./metrics.ts').then(({ createRegistry }) => createRegistry(kept, identity));
      return await (await registry).metrics();
    },
    controls,
    token,
  };
}

/** A request line with its headers, and a whole request, must be here within this. */
const HEADERS_MS = 5_000;
const REQUEST_MS = 10_000;
/** Those that are too slow are looked for this often. */
const CHECK_MS = 2_000;
/** Request line and headers: a longer one is answered 431. */
const MAX_HEADER_BYTES = 16 * 1024;
/** More than probes, scrapes and people make; a descriptor that is taken here is missing where files are written. */
const MAX_CONNECTIONS = 256;

/** A server that answers the endpoints, not listening yet. */
export function createEndpointServer(served: Served, channel: Channel): Server {
  const listener = createListener(served, channel);
  const server = createServer(
    {
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      connectionsCheckingInterval: CHECK_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    listener,
  );
  server.maxConnections = MAX_CONNECTIONS;
  // Whoever asks before sending a body gets the answer without sending it.
  server.on('checkContinue', listener);
  return server;
}

/** Ends a server, and every connection with it. */
export function closeServer(server: Server): void {
  server.close();
  server.closeAllConnections();
}

/**
 * Listens; `closeServer` ends it.
 * @throws SidecarError `listen.failed` when the address cannot be had.
 */
export async function listenAt(listen: Exclude<Listen, 'off'>, served: Served): Promise<Server> {
  const server = createEndpointServer(served, 'network');
  await bind(server, listen);
  return server;
}

/** Without a host both families are tried: a machine may have either switched off. */
function bind(server: Server, { host, port }: Exclude<Listen, 'off'>): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const address = `${host ?? ''}:${port}`;
      const taken = errnoOf(cause) === 'EADDRINUSE' ? 'somebody else listens there' : cause.message;
      reject(
        new SidecarError(
          `Cannot listen on "${address}": ${taken}. Set LISTEN to a free address, or to off.`,
          {
            code: 'listen.failed',
            stage: 'settings',
            cause,
          },
        ),
      );
    });
    server.listen(host === null ? { port } : { host, port }, () => {
      // Whatever happens to the listening socket later (no descriptors left) is no reason to end.
      server.on('error', () => {});
      resolve();
    });
  });
}
