// Asks a Consul agent for keys: one request at a time, bounded in time and size, nothing believed that Consul would not say.
import { EventEmitter } from 'node:events';
import * as http from 'node:http';
import * as https from 'node:https';
import type Consul from 'consul';
import type { TlsFiles } from '../source/tls-files.ts';
import { ConsulFailure, type ConsulResponse, explainConsul } from './failure.ts';

export interface ConsulConnectionOptions {
  /** `host:port`, brackets around IPv6. */
  readonly endpoint: string;
  readonly isTls: boolean;
  readonly key: string;
  /** Every key that begins with `key`, not just that one. */
  readonly recurse: boolean;
  /** null for the agent's own. */
  readonly datacenter: string | null;
  /** Asked at every request, as are the next two, so that rotation works. */
  readonly token: () => string | undefined;
  readonly namespace: () => string | undefined;
  readonly tls: () => TlsFiles;
  readonly maxBytes: number;
  /** Bound of a request, beyond the time the agent is asked to wait. */
  readonly timeoutMs: number;
}

export interface ConsulItem {
  readonly key: string;
  readonly value: Buffer;
  readonly modifyIndex: number;
}

export interface ConsulAnswer {
  /** What to wait for next; 0 when the agent gave none. */
  readonly index: number;
  readonly items: readonly ConsulItem[];
}

export interface ConsulConnection {
  /** Asks at once (index 0), or for the state after `index`, which the agent may keep waiting `waitMs`. */
  read(index: number, waitMs: number, signal: AbortSignal): Promise<ConsulAnswer>;
  close(): void;
}

/** While the agent keeps us waiting it is asked this often for something small: a silent one is a dead one. */
const PULSE_MS = 5_000;
/** Base64 adds a third; names, indexes and quotes of many small keys the rest. Exact bounds are kept after decoding. */
const rawBound = (maxBytes: number): number => 2 * maxBytes + 4 * 1024 * 1024;

/** Prepares a connection; nothing is sent before the first read. */
export async function openConsulConnection(options: ConsulConnectionOptions): Promise<ConsulConnection> {
  const { default: Client } = await import('consul');
  let identity: string | null = null;
  let agent: http.Agent | null = null;
  let client: Consul | null = null;

  const current = (): Consul => {
    const files = options.isTls ? options.tls() : null;
    const seen = files === null ? '' : [files.ca, files.cert, files.key].map(String).join('\n');
    if (client === null || seen !== identity) {
      agent?.destroy();
      agent = files === null ? new http.Agent({ keepAlive: true }) : tlsAgent(files);
      client = new Client(clientOptions(options, agent));
      extend(client, options);
      identity = seen;
    }
    return client;
  };

  const read: ConsulConnection['read'] = async (index, waitMs, signal) => {
    const { key, recurse, datacenter, timeoutMs } = options;
    const context = Object.assign(new EventEmitter(), { includeResponse: true });
    const cancel = (): void => void context.emit('cancel');
    const token = options.token();
    // Consul itself spreads the end of the wait by a sixteenth.
    const blocking = index > 0 ? { index, wait: `${waitMs}ms`, timeout: waitMs * (17 / 16) + timeoutMs } : {};
    const request = {
      ...{ key, recurse, buffer: true, ctx: context, timeout: timeoutMs, ...blocking },
      ...(datacenter !== null && { dc: datacenter }),
      ...(token !== undefined && { token }),
    };
    const consul = current();
    const pulse = index > 0 ? watchPulse(consul, timeoutMs, cancel) : null;
    signal.addEventListener('abort', cancel);
    try {
      signal.throwIfAborted();
      const answer: unknown = await consul.kv.get(request);
      const [response] = answer as [ConsulResponse];
      return readAnswer(response);
    } catch (thrown) {
      throw explainConsul(pulse?.failure() ?? thrown);
    } finally {
      signal.removeEventListener('abort', cancel);
      pulse?.stop();
    }
  };
  return { read, close: () => agent?.destroy() };
}

function tlsAgent({ ca, cert, key }: TlsFiles): https.Agent {
  return new https.Agent({
    keepAlive: true,
    ...(ca !== null && { ca }),
    ...(cert !== null && { cert }),
    ...(key !== null && { key }),
  });
}

function clientOptions({ endpoint, isTls }: ConsulConnectionOptions, agent: http.Agent) {
  const baseUrl = `${isTls ? 'https' : 'http'}://${endpoint}/v1`;
  return { baseUrl, agent };
}

interface Transport {
  request(options: http.RequestOptions): http.ClientRequest;
}

/** The client library's own way to be extended; its published types leave it out. */
interface Extensible {
  _ext(
    event: 'onRequest',
    step: (request: { transport: Transport; req: { path: string } }, next: () => void) => void,
  ): void;
}

/** Adds what the library has no options for: the namespace, a bound of size, an end to answers that break off. */
function extend(client: unknown, { namespace, maxBytes }: ConsulConnectionOptions): void {
  (client as Extensible)._ext('onRequest', (request, next) => {
    const name = namespace();
    if (name !== undefined) {
      request.req.path += `${request.req.path.includes('?') ? '&' : '?'}ns=${encodeURIComponent(name)}`;
    }
    const { transport } = request;
    request.transport = { request: (options) => bounded(transport, options, maxBytes) };
    next();
  });
}

function bounded(transport: Transport, options: http.RequestOptions, maxBytes: number): http.ClientRequest {
  // Node looks a bracketed address up as if it were a name.
  const hostname = options.hostname?.replace(/^\[(.*)\]$/, '$1');
  const request = transport.request({ ...options, hostname });
  const fail = (code: string, text: string): void => {
    request.emit('error', new ConsulFailure(code, text));
    request.destroy();
  };
  request.on('socket', (socket) => socket.setKeepAlive(true, PULSE_MS));
  request.on('response', (response) => {
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= rawBound(maxBytes)) return;
      fail('source.too-large', `the answer has more than ${bytes} bytes, MAX_SIZE is ${maxBytes}`);
    });
    response.on('close', () => {
      if (response.complete) return;
      fail('source.disconnected', 'the connection ended in the middle of the answer');
    });
  });
  return request;
}

interface Pulse {
  /** What went wrong, once it has. */
  failure(): unknown;
  stop(): void;
}

/** Finds out within seconds when an agent that keeps us waiting has gone silent; any answer is a sign of life. */
function watchPulse(client: Consul, timeoutMs: number, onSilence: () => void): Pulse {
  let failure: unknown = null;
  const context = Object.assign(new EventEmitter(), { includeResponse: true });
  const timeout = Math.min(PULSE_MS, timeoutMs);
  const beat = async (): Promise<void> => {
    try {
      await client.status.leader({ ctx: context, timeout } as object);
    } catch (thrown) {
      if (stopped || Object(thrown).isResponse === true) return;
      failure = new ConsulFailure('source.timeout', 'the agent has gone silent', thrown);
      onSilence();
    }
  };
  let stopped = false;
  const timer = setInterval(() => void beat(), PULSE_MS);
  const stop = (): void => {
    stopped = true;
    clearInterval(timer);
    context.emit('cancel');
  };
  return { failure: () => failure, stop };
}

/** Takes an answer for what it is, or throws: a page of a proxy must never look like a store without keys. */
function readAnswer(response: ConsulResponse): ConsulAnswer {
  const { body, headers, statusCode } = response;
  const header = headers['x-consul-index'];
  const index = typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : 0;
  if (statusCode === 404) {
    const isEmpty = body === undefined || String(body) === '';
    if (isEmpty && header !== undefined) return { index, items: [] };
    throw new ConsulFailure(
      'source.bad-answer',
      'answered 404 in a way Consul does not; is this a Consul agent?',
    );
  }
  if (!/^application\/json\b/.test(headers['content-type'] ?? '') || !Array.isArray(body)) {
    throw new ConsulFailure('source.bad-answer', `answered ${statusCode} with something else than keys`);
  }
  return { index, items: body.map(readItem) };
}

function readItem(item: unknown): ConsulItem {
  const { Key: key, Value: value, ModifyIndex: modifyIndex } = Object(item) as Record<string, unknown>;
  const isKey = typeof key === 'string' && Number.isSafeInteger(modifyIndex);
  if (!isKey || !(value === null || Buffer.isBuffer(value))) {
    throw new ConsulFailure('source.bad-answer', 'the answer holds something that is no key');
  }
  return { key, value: value ?? Buffer.alloc(0), modifyIndex: Number(modifyIndex) };
}
