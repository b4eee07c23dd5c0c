// The endpoints: health, readiness, status and metrics, all of them views of the status.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { errnoOf, SidecarError } from './errors.ts';
import type { Listen } from './settings/web.ts';
import { type Identity, type Kept, reasonsNotReady, statusOf } from './status.ts';

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

type Endpoint = () => Answer | Promise<Answer>;

const TEXT = 'text/plain; charset=utf-8';

/**
 * Listens. Closing it drops every connection.
 * @throws SidecarError `settings.listen` when the address cannot be had.
 */
export async function startServer(
  listen: Exclude<Listen, 'off'>,
  kept: () => readonly Kept[],
  identity: Identity,
): Promise<Server> {
  const endpoints = createEndpoints(kept, identity);
  const server = createServer((request, response) => {
    answer(request, endpoints).then(
      (found) => send(response, request, found),
      () => send(response, request, { status: 500, type: TEXT, body: 'internal error\n' }),
    );
  });
  await bind(server, listen);
  return server;
}

function createEndpoints(kept: () => readonly Kept[], identity: Identity): ReadonlyMap<string, Endpoint> {
  let registry: Registry | null = null;
  const metrics = async (): Promise<string> => {
    registry ??= (await import('./metrics.ts')).createRegistry(kept, identity);
    return await registry.metrics();
  };
  return new Map<string, Endpoint>([
    ['/healthz', () => ({ status: 200, type: TEXT, body: 'ok\n' })],
    ['/readyz', () => ready(kept())],
    [
      '/status',
      () => ({
        status: 200,
        type: 'application/json',
        body: `${JSON.stringify(statusOf(kept(), identity), null, 2)}\n`,
      }),
    ],
    [
      '/metrics',
      async () => ({ status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: await metrics() }),
    ],
  ]);
}

function ready(kept: readonly Kept[]): Answer {
  const reasons = kept.length === 0 ? ['starting'] : reasonsNotReady(kept);
  if (reasons.length === 0) return { status: 200, type: TEXT, body: 'ready\n' };
  return { status: 503, type: TEXT, body: `not ready\n${reasons.join('\n')}\n` };
}

async function answer(request: IncomingMessage, endpoints: ReadonlyMap<string, Endpoint>): Promise<Answer> {
  const [path = '/'] = (request.url ?? '/').split('?', 1);
  const endpoint = endpoints.get(path);
  if (endpoint === undefined)
    return { status: 404, type: TEXT, body: `not found; there is ${[...endpoints.keys()].join(' ')}\n` };
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return { status: 405, type: TEXT, body: 'GET only\n' };
  return await endpoint();
}

function send(response: ServerResponse, request: IncomingMessage, { status, type, body }: Answer): void {
  const headers = {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
  };
  response.writeHead(status, status === 405 ? { ...headers, Allow: 'GET, HEAD' } : headers);
  response.end(request.method === 'HEAD' ? undefined : body);
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
            stage: 'control',
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
