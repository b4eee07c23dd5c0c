// A scripted HTTP server: answers as the test says, and records its requests.
import * as http from 'node:http';
import * as https from 'node:https';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { portOf } from './ports.ts';

export type Script = (request: http.IncomingMessage, response: http.ServerResponse) => void;

/** One request as it came in. */
interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface HttpSource {
  readonly port: number;
  /** `http://127.0.0.1:1234`, or `https://localhost:1234`. */
  readonly origin: string;
  /** In the order of their coming. */
  readonly received: readonly Received[];
  /** What is answered from now on. */
  answer(script: Script): void;
  /** Connections that are open now. */
  connections(): number;
  /** How many connections there were in all. */
  accepted(): number;
  /** Cuts every connection without a word. */
  cut(): void;
  /** Shows another certificate from the next connection on. */
  renew(tls: SourceTls): void;
  stop(): Promise<void>;
}

/** PEM texts; with `clientCa` a client certificate of that authority is demanded. */
export interface SourceTls {
  readonly cert: string;
  readonly key: string;
  readonly clientCa?: string;
}

/** Starts on a free port of 127.0.0.1, or on this one, and answers 500 until told otherwise. */
export async function startHttpSource(tls?: SourceTls, port = 0): Promise<HttpSource> {
  const received: Received[] = [];
  let script: Script = (_request, response) => respond(response, 500, 'no script');
  const listener = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      received.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
      script(request, response);
    });
  };
  const server = tls === undefined ? http.createServer(listener) : createTlsServer(tls, listener);
  server.keepAliveTimeout = 60_000;
  const sockets = new Set<Socket>();
  let accepted = 0;
  server.on('connection', (socket: Socket) => {
    accepted++;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await listen(server, port);
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: portOf(server),
    origin: `${tls === undefined ? 'http://127.0.0.1' : 'https://localhost'}:${portOf(server)}`,
    received,
    answer: (next) => {
      script = next;
    },
    connections: () => sockets.size,
    accepted: () => accepted,
    cut,
    renew: ({ cert, key, clientCa }) => {
      const demands = clientCa === undefined ? {} : { ca: clientCa };
      if (server instanceof https.Server) server.setSecureContext({ cert, key, ...demands });
    },
    stop: () => close(server, cut),
  };
}

function createTlsServer({ cert, key, clientCa }: SourceTls, listener: http.RequestListener): https.Server {
  const demands = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true };
  const server = https.createServer({ cert, key, ...demands }, listener);
  server.on('tlsClientError', () => undefined);
  return server;
}

/** Answers with this status, body and headers. */
export function respond(
  response: http.ServerResponse,
  status: number,
  body: string | Buffer,
  headers: http.OutgoingHttpHeaders = {},
): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers });
  response.end(body);
}

/** Answers 200 without any length, so that the end of the connection is the end of the body. */
export function respondOpenEnded(request: http.IncomingMessage, body: string): void {
  request.socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${body}`);
}

/** A script that answers with a document as a good server does: its ETag, and 304 to who has it already. */
export function servesDocument(document: () => { readonly etag: string; readonly body: string }): Script {
  return (request, response) => {
    const { etag, body } = document();
    if (request.headers['if-none-match'] === etag) respond(response, 304, '', { etag });
    else respond(response, 200, body, { etag, 'content-type': 'application/json' });
  };
}

export interface HttpProxy {
  readonly url: string;
  /** `GET http://host/path` or `CONNECT host:443`, in the order of their coming. */
  readonly asked: readonly string[];
  readonly headers: readonly http.IncomingHttpHeaders[];
  connections(): number;
  stop(): Promise<void>;
}

export interface ProxyRules {
  /** Where every request goes, whatever host it names. */
  readonly toPort: number;
  /** Answers this status to everything. */
  readonly refuses?: number;
  /** Takes a CONNECT and never answers. */
  readonly isSilent?: boolean;
}

/** A forward proxy with CONNECT. */
export async function startHttpProxy({ toPort, refuses, isSilent = false }: ProxyRules): Promise<HttpProxy> {
  const asked: string[] = [];
  const headers: http.IncomingHttpHeaders[] = [];
  const sockets = new Set<Duplex>();
  const note = (request: http.IncomingMessage): void => {
    asked.push(`${request.method} ${request.url}`);
    headers.push(request.headers);
  };
  const server = http.createServer((request, response) => {
    note(request);
    if (refuses !== undefined) return respond(response, refuses, 'refused by the proxy');
    const { pathname, search } = new URL(request.url ?? '');
    const onward = http.request({
      port: toPort,
      path: pathname + search,
      headers: request.headers,
      agent: false,
    });
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    onward.end();
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('connect', (request: http.IncomingMessage, client: Duplex) => {
    note(request);
    client.on('error', () => undefined);
    if (isSilent) return client.resume().on('end', () => client.end());
    if (refuses !== undefined) return client.end(`HTTP/1.1 ${refuses} Refused\r\n\r\n`);
    const onward = connect(toPort, '127.0.0.1', () => client.write('HTTP/1.1 200 Connected\r\n\r\n'));
    onward.on('error', () => client.destroy());
    client.on('close', () => onward.destroy());
    onward.pipe(client).pipe(onward);
  });
  await listen(server);
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const url = `http://127.0.0.1:${portOf(server)}`;
  return { url, asked, headers, connections: () => sockets.size, stop: () => close(server, cut) };
}

function listen(server: http.Server, port = 0): Promise<void> {
  return new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
}

async function close(server: http.Server, cut: () => void): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  cut();
  await closed;
}
