// The endpoints: health, readiness, status, metrics, the page and the controls, the same on LISTEN and on the socket.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { cut } from '../lib/bounds.ts';
import { type SidecarError, toSidecarError } from '../lib/errors.ts';
import { atMostAFewTimesASecond } from './at-most.ts';
import { checkBearer, hasToken } from './bearer.ts';
import { type ControlAction, type ControlsByTarget, handleControl } from './control.ts';
import { publicPageOf, publicStatusOf } from './status.ts';
import type { Status } from './status-shape.ts';

/** What the endpoints show and control; each is asked again at every request. */
export interface Served {
  /** Names of the targets there are. */
  readonly targets: () => readonly string[];
  /** Of one target; null: of all. */
  readonly status: (target: string | null) => Status;
  /** The same with what only trusted clients see, and what takes a moment. */
  readonly details: (target: string | null) => Promise<Status>;
  /** Why this target is not ready (null: any of them), a sentence each; none: it is. */
  readonly notReady: (target: string | null) => Promise<readonly string[]>;
  /** Prometheus text. */
  readonly metrics: () => Promise<string>;
  readonly controls: () => ControlsByTarget;
  /** CONTROL_TOKEN; undefined when it is not set. May throw: its file is read again. */
  readonly token: () => string | undefined;
}

/**
 * How a request came. Over the network every client sees the public part; a client with the token sees everything, as on
 * the socket, and may control the sidecar. A client that can open the socket may do both.
 */
export type Channel = 'network' | 'socket';

interface Answer {
  readonly status: number;
  readonly type: string;
  /** Bytes where many requests may be answered by the same ones. */
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Endpoint {
  readonly method: 'GET' | 'POST';
  readonly answer: (request: IncomingMessage, query: string) => Answer | Promise<Answer>;
}

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json';
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Answers requests; never throws, and reads no body. */
export function createListener(
  served: Served,
  channel: Channel,
): (request: IncomingMessage, response: ServerResponse) => void {
  const endpoints = createEndpoints(served, channel);
  return (request, response) => {
    answer(request, endpoints).then(
      (found) => send(response, request, found),
      () => send(response, request, { status: 500, type: TEXT, body: 'internal error\n' }),
    );
  };
}

function createEndpoints(served: Served, channel: Channel): ReadonlyMap<string, Endpoint> {
  // The socket is one user's, who waits there for the outcome of a command; any client may ask over the network.
  const bounded = channel === 'socket' ? <T>(make: T): T => make : atMostAFewTimesASecond<Answer>;
  const isTrusted = ({ headers }: IncomingMessage): boolean =>
    channel === 'socket' || hasToken(headers.authorization, served.token);
  const publicPage = bounded(() => page(publicPageOf(served.status(null))));
  const publicStatus = perTarget((target) =>
    bounded(() => jsonAnswer(publicStatusOf(served.status(target)))),
  );
  const full = async (target: string | null) => jsonAnswer(await served.details(target));
  const metrics = bounded(async () => {
    return { status: 200, type: METRICS_TYPE, body: bytes(await served.metrics()) };
  });
  const get = (answer: Endpoint['answer']): Endpoint => ({ method: 'GET', answer });
  const post = (action: ControlAction): Endpoint => ({
    method: 'POST',
    answer: (request, query) => control(action, query, { request, served, channel }),
  });
  return new Map<string, Endpoint>([
    ['/', get(async (request) => (isTrusted(request) ? page(await served.details(null)) : publicPage()))],
    ['/healthz', get(() => ({ status: 200, type: TEXT, body: 'ok\n' }))],
    ['/readyz', get(ofTarget(served, async (target) => ready(await served.notReady(target))))],
    [
      '/status',
      get(
        ofTarget(served, (target, request) => (isTrusted(request) ? full(target) : publicStatus(target)())),
      ),
    ],
    ['/metrics', get(() => metrics())],
    ['/sync', post('sync')],
    ['/rollback', post('rollback')],
    ['/resume', post('resume')],
  ]);
}

/** Answers for the target that `?target=NAME` names; without it for all. */
function ofTarget(
  served: Served,
  answer: (target: string | null, request: IncomingMessage) => Answer | Promise<Answer>,
): Endpoint['answer'] {
  return (request, query) => {
    const target = new URLSearchParams(query).get('target');
    const names = served.targets();
    if (target === null || names.includes(target)) return answer(target, request);
    const body = `there is no target "${cut(target, LONGEST_NAME)}"; there is ${names.join(', ')}\n`;
    return { status: 404, type: TEXT, body };
  };
}

const LONGEST_NAME = 63;

/** What was made for a target is used again. */
function perTarget<T>(make: (target: string | null) => T): (target: string | null) => T {
  const made = new Map<string | null, T>();
  return (target) => {
    const known = made.get(target) ?? make(target);
    made.set(target, known);
    return known;
  };
}

async function page(status: Status): Promise<Answer> {
  const { PAGE_HEADERS, renderPage } = await import('./page.ts');
  return {
    status: 200,
    type: 'text/html; charset=utf-8',
    body: bytes(renderPage(status, Date.now())),
    headers: PAGE_HEADERS,
  };
}

function jsonAnswer(value: unknown): Answer {
  return { status: 200, type: JSON_TYPE, body: bytes(json(value)) };
}

function ready(reasons: readonly string[]): Answer {
  if (reasons.length === 0) return { status: 200, type: TEXT, body: 'ready\n' };
  return { status: 503, type: TEXT, body: `not ready\n${reasons.join('\n')}\n` };
}

interface Asked {
  readonly request: IncomingMessage;
  readonly served: Served;
  readonly channel: Channel;
}

function control(action: ControlAction, query: string, { request, served, channel }: Asked): Answer {
  const denial =
    channel === 'socket' ? null : checkBearer(action, request.headers.authorization, served.token);
  if (denial !== null) {
    const { status, code, message } = denial;
    const headers = status === 401 ? { 'WWW-Authenticate': 'Bearer realm="config-sidecar"' } : {};
    return { status, type: JSON_TYPE, body: json({ code, message }), headers };
  }
  try {
    const from =
      channel === 'socket' ? 'control socket' : `CONTROL_TOKEN, from ${request.socket.remoteAddress ?? '?'}`;
    const accepted = handleControl(action, query, { targets: served.controls(), from });
    return { status: 200, type: JSON_TYPE, body: json(accepted) };
  } catch (thrown) {
    const error = toSidecarError(thrown);
    const { code, message } = error;
    return { status: statusOfError(error), type: JSON_TYPE, body: json({ code, message }) };
  }
}

const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  'control.parameter': 400,
  'control.target-needed': 400,
  'control.unknown-target': 404,
  'control.unknown-generation': 404,
};

function statusOfError({ code, stage }: SidecarError): number {
  if (stage === 'control') return STATUS_BY_CODE[code] ?? 409;
  // The disk does not take it: the same request may work later.
  return stage === 'internal' ? 500 : 503;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function bytes(text: string): Buffer {
  return Buffer.from(text);
}

async function answer(request: IncomingMessage, endpoints: ReadonlyMap<string, Endpoint>): Promise<Answer> {
  const { url = '/', method = 'GET' } = request;
  const cut = url.indexOf('?');
  const path = cut < 0 ? url : url.slice(0, cut);
  const endpoint = endpoints.get(path);
  if (endpoint === undefined)
    return { status: 404, type: TEXT, body: `not found; there is ${[...endpoints.keys()].join(' ')}\n` };
  const allowed = endpoint.method === 'GET' ? ['GET', 'HEAD'] : ['POST'];
  if (!allowed.includes(method)) {
    const headers = { Allow: allowed.join(', ') };
    return { status: 405, type: TEXT, body: `${endpoint.method} only\n`, headers };
  }
  return await endpoint.answer(request, cut < 0 ? '' : url.slice(cut + 1));
}

function send(response: ServerResponse, request: IncomingMessage, found: Answer): void {
  const { status, type, body, headers } = found;
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    // A connection is for one request.
    Connection: 'close',
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
