// The one HTTP client: every exchange is bounded in time and size, follows nothing, and fails without showing secrets.
import * as http from 'node:http';
import type { Readable } from 'node:stream';
import { errnoOf, SidecarError } from '../errors.ts';
import { BodyError, readBody } from './body.ts';
import type { HttpRequest, HttpResponse, TlsIdentity } from './exchange.ts';
import { explainFailure, httpFailure } from './failure.ts';
import { axiosProxy, createAgent, identityOf, proxyReason, type Route, routeOf, toBuffer } from './route.ts';
import { ProxyError } from './tunnel.ts';

export type { HttpRequest, HttpResponse, TlsIdentity } from './exchange.ts';

/** An answer that is read while it comes. */
interface HttpStream extends Pick<HttpResponse, 'status' | 'headers'> {
  /**
   * Each part as it comes, until the server ends the answer or the signal of the request aborts; not decompressed, and without
   * a deadline. Throws as `request` does: `http.truncated` when the connection ends in the middle.
   */
  readonly chunks: AsyncIterable<Buffer>;
}

/** Keeps connections between requests; used for one request at a time. */
export interface HttpClient {
  request(request: HttpRequest): Promise<HttpResponse>;
  /** As `request`, but resolves with the head of the answer, which is what `timeoutMs` bounds. Read the stream, or close. */
  stream(request: HttpRequest): Promise<HttpStream>;
  /** Ends every connection, also those in the making. */
  close(): void;
}

/**
 * One exchange. Any status resolves and no redirect is followed. Throws a SidecarError with code `http.refused`,
 * `http.unreachable`, `http.reset` (closed before an answer), `http.dns`, `http.tls`, `http.proxy`, `http.timeout`,
 * `http.aborted`, `http.truncated` (closed in the middle), `http.encoding`, `http.too-large`, `http.protocol`,
 * `http.request` or `http.failed`. Messages hold the method and the masked URL, never headers or body.
 */
export async function request(request: HttpRequest): Promise<HttpResponse> {
  const client = openClient();
  try {
    return await client.request(request);
  } finally {
    client.close();
  }
}

/** A client that reuses connections. Those of one route and TLS identity are kept: a rotated certificate ends them. */
export function openClient(): HttpClient {
  let kept: { readonly identity: string; readonly agent: http.Agent } | null = null;
  const close = (): void => {
    kept?.agent.destroy();
    kept = null;
  };
  const agentFor = (route: Route, tls: TlsIdentity): http.Agent => {
    const identity = identityOf(route, tls);
    if (kept?.identity === identity) return kept.agent;
    close();
    kept = { identity, agent: createAgent(route, tls) };
    return kept.agent;
  };
  const connections = { agentFor, close };
  return {
    request: (request) => exchange(request, connections, (sent) => readWhole(sent, request)),
    stream: (request) => exchange(request, connections, async (sent) => streamOf(sent, request, close)),
    close,
  };
}

const RETRY_AFTER_MAX_MS = 3_600_000;

/**
 * How long to wait because the other side asks for it, in milliseconds: what it asks for, but at most an hour; undefined
 * as `retryAfterAskedMs`.
 */
export function retryAfterMs(
  headers: Readonly<Record<string, string | undefined>>,
  nowMs: number,
): number | undefined {
  const askedMs = retryAfterAskedMs(headers, nowMs);
  return askedMs === undefined ? undefined : Math.min(askedMs, RETRY_AFTER_MAX_MS);
}

/**
 * How long the other side asks us to wait (RFC 9110 10.2.3: seconds, or a date), in milliseconds; undefined when it does
 * not ask, or not understandably.
 */
export function retryAfterAskedMs(
  headers: Readonly<Record<string, string | undefined>>,
  nowMs: number,
): number | undefined {
  const value = headers['retry-after']?.trim() ?? '';
  const waitMs = /^\d+$/.test(value) ? Number(value) * 1000 : httpDateMs(value) - nowMs;
  return Number.isNaN(waitMs) ? undefined : Math.max(waitMs, 0);
}

/** Date.parse alone takes `-5` for a year. */
function httpDateMs(value: string): number {
  return /^[A-Z][a-z]+,? /.test(value) ? Date.parse(value) : Number.NaN;
}

interface Connections {
  readonly agentFor: (route: Route, tls: TlsIdentity) => http.Agent;
  readonly close: () => void;
}

async function exchange<T>(
  request: HttpRequest,
  connections: Connections,
  read: (sent: Sent) => Promise<T>,
): Promise<T> {
  const route = routeOf(request);
  const deadline = startDeadline(request);
  const send = async (): Promise<T> =>
    read(
      await sendOnce(request, {
        route,
        agent: connections.agentFor(route, request.tls ?? {}),
        signal: deadline.signal,
      }),
    );
  try {
    return await send().catch((thrown: unknown) => {
      if (!isStaleConnection(thrown, request)) throw thrown;
      connections.close();
      return send();
    });
  } catch (thrown) {
    connections.close();
    throw toFailure(thrown, request, { route, ended: deadline.ended() });
  } finally {
    deadline.stop();
  }
}

type Ended = 'timeout' | 'aborted' | null;

interface Deadline {
  readonly signal: AbortSignal;
  readonly ended: () => Ended;
  readonly stop: () => void;
}

/** Own wiring: what AbortSignal.any makes stays alive as long as the caller's signal. */
function startDeadline({ signal, timeoutMs }: HttpRequest): Deadline {
  const controller = new AbortController();
  let why: Ended = null;
  const end = (reason: 'timeout' | 'aborted'): void => {
    why ??= reason;
    controller.abort();
  };
  const timer = setTimeout(end, timeoutMs, 'timeout');
  const abort = (): void => end('aborted');
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  const stop = (): void => {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  };
  return { signal: controller.signal, ended: () => why, stop };
}

interface Sending {
  readonly route: Route;
  readonly agent: http.Agent;
  readonly signal: AbortSignal;
}

/** The head of an answer, and its body as it comes. */
interface Sent extends Pick<HttpResponse, 'status' | 'headers'> {
  readonly stream: Readable;
}

async function sendOnce(request: HttpRequest, { route, agent, signal }: Sending): Promise<Sent> {
  const { default: axios } = await import('axios');
  const response = await axios.request<Readable>({
    method: request.method,
    url: request.url,
    headers: headersOf(request),
    ...(request.body !== undefined && { data: toBuffer(request.body) }),
    signal,
    httpAgent: agent,
    httpsAgent: agent,
    proxy: axiosProxy(route),
    // A stream that we read ourselves: axios' own reading takes a compressed body that was cut for a whole one.
    responseType: 'stream',
    decompress: false,
    maxRedirects: 0,
    maxBodyLength: Number.POSITIVE_INFINITY,
    validateStatus: () => true,
    transformRequest: [(data: unknown) => data],
    transformResponse: [],
    transitional: { silentJSONParsing: false },
  });
  const headers = plainHeaders(response.headers);
  if (response.status === 407 && route.proxy !== null) throw new ProxyError('answered 407');
  return { status: response.status, headers, stream: response.data };
}

async function readWhole({ status, headers, stream }: Sent, request: HttpRequest): Promise<HttpResponse> {
  const { body, isCut } = await readBody(stream, headers['content-encoding'] ?? '', request);
  refuseReset(stream);
  return { status, headers, body, ...(isCut && { isCut }) };
}

function streamOf({ status, headers, stream }: Sent, request: HttpRequest, close: () => void): HttpStream {
  async function* chunks(): AsyncGenerator<Buffer, void, void> {
    const { signal } = request;
    const abort = (): void => void stream.destroy();
    signal.addEventListener('abort', abort, { once: true });
    try {
      if (signal.aborted) return;
      for await (const chunk of stream as AsyncIterable<Buffer>) yield chunk;
      refuseReset(stream);
    } catch (thrown) {
      if (signal.aborted) return;
      const { code, reason } = explainFailure(thrown instanceof BodyError ? thrown.cause : thrown, true);
      throw httpFailure(request, code, reason);
    } finally {
      signal.removeEventListener('abort', abort);
      // Left before its end, the connection still carries the rest.
      if (!stream.readableEnded) close();
    }
  }
  return { status, headers, chunks: chunks() };
}

/** Of a body that ends with its connection Node.js takes a reset for the end, and calls it complete. */
function refuseReset(answer: Readable): void {
  const errored = answer instanceof http.IncomingMessage ? answer.socket?.errored : null;
  if (errored) throw new BodyError('The connection was reset', { cause: errored });
}

function headersOf(request: HttpRequest): Record<string, string | false> {
  const headers: Record<string, string | false> = {
    accept: '*/*',
    'accept-encoding': request.truncate === true ? 'identity' : 'gzip',
    'user-agent': 'config-sidecar',
    // Without a type of its own a body gets none; axios would call it a form.
    'content-type': false,
  };
  const given = new Set<string>();
  for (const [name, value] of request.headers ?? []) {
    const key = name.toLowerCase();
    headers[key] = given.has(key) ? `${headers[key]}, ${value}` : value;
    given.add(key);
  }
  return headers;
}

function plainHeaders(headers: object): Record<string, string | undefined> {
  const plain: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(headers)) {
    plain[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : String(value);
  }
  return plain;
}

/** The server may close an idle connection at the very moment we reuse it; only what changes nothing is sent again. */
function isStaleConnection(thrown: unknown, { method, body }: HttpRequest): boolean {
  if (method !== 'GET' || body !== undefined || thrown instanceof BodyError) return false;
  const errno = errnoOf(thrown);
  if (errno !== 'ECONNRESET' && errno !== 'EPIPE') return false;
  const sent = typeof thrown === 'object' && thrown !== null && 'request' in thrown ? thrown.request : null;
  return sent instanceof http.ClientRequest && sent.reusedSocket;
}

function toFailure(
  thrown: unknown,
  request: HttpRequest,
  { route, ended }: { readonly route: Route; readonly ended: Ended },
): SidecarError {
  if (thrown instanceof SidecarError) return thrown;
  if (ended === 'timeout')
    return httpFailure(request, 'http.timeout', `not finished within ${request.timeoutMs} ms`);
  if (ended === 'aborted')
    return httpFailure(request, 'http.aborted', 'given up because we were asked to stop');
  const answered = thrown instanceof BodyError;
  const reason = answered ? null : proxyReason(thrown, route);
  if (reason !== null) return httpFailure(request, 'http.proxy', reason);
  const explained = explainFailure(answered ? thrown.cause : thrown, answered);
  return httpFailure(request, explained.code, explained.reason);
}
