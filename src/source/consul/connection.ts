// Asks a Consul agent for keys: one request at a time, bounded in time and size.
import { EventEmitter } from 'node:events';
import * as http from 'node:http';
import * as https from 'node:https';
import type Consul from 'consul';
import type { TlsFiles } from '../tls-files.ts';
import { type ConsulAnswer, readAnswer } from './answer.ts';
import { ConsulFailure, type ConsulResponse, explainConsul } from './failure.ts';
import { createListingReader } from './listing.ts';
import { createPulse, PULSE_MS } from './pulse.ts';

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

export interface ConsulConnection {
  /** Asks at once (index 0), or for the state after `index`, which the agent may keep waiting `waitMs`. */
  read(index: number, waitMs: number, signal: AbortSignal): Promise<ConsulAnswer>;
  close(): void;
}

/** Base64 adds a third; names, indexes and quotes of many small keys the rest. Exact bounds are kept after decoding. */
const rawBound = (maxBytes: number): number => 2 * maxBytes + 4 * 1024 * 1024;

/** The library keeps each part as it comes, and each costs a hundred bytes; an agent sends parts of some kilobytes. */
const FEW_PARTS = 10_000;
const SMALL_PART_BYTES = 128;

/** Prepares a connection; nothing is sent before the first read. */
export async function openConsulConnection(options: ConsulConnectionOptions): Promise<ConsulConnection> {
  const { default: Client } = await import('consul');
  const readListing = createListingReader({
    prefixLength: options.recurse ? options.key.length : 0,
    maxBytes: options.maxBytes,
  });
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

  const startPulse = createPulse();
  let known = { count: 0, firstKey: '' };
  let isKept: boolean = true;
  const read: ConsulConnection['read'] = async (index, waitMs, signal) => {
    const context = Object.assign(new EventEmitter(), { includeResponse: true });
    const cancel = (): void => void context.emit('cancel');
    const consul = current();
    const request = { ...requestFor(options, index, waitMs), ctx: context };
    const pulse =
      index === 0
        ? null
        : startPulse(consul, { ...request, index, known, timeoutMs: options.timeoutMs, onVerdict: cancel });
    const rest = boundRest(context, options.timeoutMs, () => pulse?.stop());
    let isLost: boolean = false;
    // An index means nothing to an agent that came up since: on a connection of its own it starts again.
    context.once('fresh-connection', () => {
      isLost = index > 0 && isKept;
      if (isLost) cancel();
    });
    signal.addEventListener('abort', cancel);
    try {
      signal.throwIfAborted();
      const asked: unknown = await consul.kv.get(request);
      const [response] = asked as [ConsulResponse];
      const question = {
        key: options.key,
        recurse: options.recurse,
        staleMs: options.timeoutMs,
        readListing,
      };
      const answer = await readAnswer(response, question, signal);
      known = { count: answer.items.length, firstKey: answer.items[0]?.key ?? '' };
      isKept = response.headers.connection?.toLowerCase() !== 'close';
      return answer;
    } catch (thrown) {
      const verdict = pulse?.verdict() ?? rest.failure();
      if ((isLost || verdict === 'overtaken') && !signal.aborted) return await read(0, 0, signal);
      throw explainConsul(verdict ?? thrown);
    } finally {
      signal.removeEventListener('abort', cancel);
      rest.stop();
      pulse?.stop();
    }
  };
  return { read, close: () => agent?.destroy() };
}

function requestFor(options: ConsulConnectionOptions, index: number, waitMs: number) {
  const { key, recurse, datacenter, timeoutMs } = options;
  const token = options.token();
  // Consul itself spreads the end of the wait by a sixteenth.
  const blocking = index > 0 ? { index, wait: `${waitMs}ms`, timeout: waitMs * (17 / 16) + timeoutMs } : {};
  return {
    // A server that has just come up leads before it has read its own log: any other read finds it empty then.
    ...{ key, recurse, consistent: true, timeout: timeoutMs, ...blocking },
    ...(datacenter !== null && { dc: datacenter }),
    ...(token !== undefined && { token }),
  };
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
  // A listing is parsed by us, a slice at a time.
  const decoders = { 'application/json': (body: Buffer) => body };
  return { baseUrl, agent, decoders };
}

interface Transport {
  request(options: http.RequestOptions): http.ClientRequest;
}

/** Once the agent has begun to answer, the time for the rest is that of any other read, however long it kept us waiting. */
function boundRest(context: EventEmitter, timeoutMs: number, onBegin: () => void) {
  let failure: ConsulFailure | null = null;
  let timer: NodeJS.Timeout | undefined;
  context.once('answer', () => {
    onBegin();
    timer = setTimeout(() => {
      failure = new ConsulFailure('source.timeout', 'the answer was not finished in time');
      context.emit('cancel');
    }, timeoutMs);
  });
  return { failure: () => failure, stop: () => clearTimeout(timer) };
}

interface Sending {
  transport: Transport;
  readonly req: { path: string };
  readonly ctx: EventEmitter;
}

/** The client library's own way to be extended; its published types leave it out. */
interface Extensible {
  _ext(event: 'onRequest', step: (request: Sending, next: () => void) => void): void;
}

/** Adds what the library has no options for: the namespace, a bound of size, an end to answers that break off. */
function extend(client: unknown, { namespace, maxBytes }: ConsulConnectionOptions): void {
  (client as Extensible)._ext('onRequest', (request, next) => {
    const name = namespace();
    if (name !== undefined) {
      request.req.path += `${request.req.path.includes('?') ? '&' : '?'}ns=${encodeURIComponent(name)}`;
    }
    const { transport } = request;
    request.transport = {
      request: (options) => bounded(transport, options, { maxBytes, context: request.ctx }),
    };
    next();
  });
}

function bounded(
  transport: Transport,
  options: http.RequestOptions,
  { maxBytes, context }: { readonly maxBytes: number; readonly context: EventEmitter },
): http.ClientRequest {
  // Node looks a bracketed address up as if it were a name.
  const hostname = options.hostname?.replace(/^\[(.*)\]$/, '$1');
  const request = transport.request({ ...options, hostname });
  const fail = (code: string, text: string): void => {
    request.emit('error', new ConsulFailure(code, text));
    request.destroy();
  };
  request.on('socket', (socket) => {
    socket.setKeepAlive(true, PULSE_MS);
    if (!request.reusedSocket) context.emit('fresh-connection');
  });
  request.on('response', (response) => {
    context.emit('answer');
    let [bytes, parts] = [0, 0];
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      parts += 1;
      if (parts > FEW_PARTS + bytes / SMALL_PART_BYTES) {
        fail('source.bad-answer', 'the answer comes in parts of a few bytes; is it a Consul agent?');
      }
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
