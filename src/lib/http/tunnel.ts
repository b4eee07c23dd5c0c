// An HTTPS agent whose connections go through a proxy: CONNECT first, then TLS with the server itself.
import * as http from 'node:http';
import * as https from 'node:https';
import type { Duplex } from 'node:stream';
import * as tls from 'node:tls';
import { hostOf, portOf, proxyCredentials } from './proxy.ts';

/** What went wrong between us and the proxy (its cause, or what the proxy said), not to be blamed on the server behind it. */
export class ProxyError extends Error {}

type Connected = (error: Error | null, socket?: Duplex) => void;

/**
 * axios brings a tunnel of its own, but that one loses a connection which is given up during CONNECT, hands the
 * proxy's refusal on as if the server had said it, and opens a new connection per request. The identity (`ca`, `cert`,
 * `key`) is for the server only; the proxy never sees it.
 */
export class TunnelAgent extends https.Agent {
  readonly #proxy: URL;
  readonly #pending = new Set<http.ClientRequest>();

  constructor(proxy: URL, identity: tls.SecureContextOptions) {
    super({ ...identity, keepAlive: true });
    this.#proxy = proxy;
  }

  override createConnection(
    options: https.RequestOptions & tls.ConnectionOptions,
    done: Connected,
  ): undefined {
    const connect = this.#connect(`${bracketed(String(options.host))}:${options.port}`);
    connect.once('connect', (response: http.IncomingMessage, socket: Duplex) => {
      this.#pending.delete(connect);
      if (response.statusCode !== 200) {
        socket.destroy();
        return done(new ProxyError(`answered ${response.statusCode}`));
      }
      const { host: _host, port: _port, path: _path, ...rest } = options;
      try {
        done(null, tls.connect({ ...rest, socket, servername: options.servername ?? '' }));
      } catch (thrown) {
        socket.destroy();
        done(thrown instanceof Error ? thrown : new Error(String(thrown)));
      }
    });
    connect.once('error', (error: Error) => {
      this.#pending.delete(connect);
      done(new ProxyError('no connection', { cause: error }));
    });
    connect.end();
  }

  override destroy(): void {
    for (const connect of this.#pending) connect.destroy();
    super.destroy();
  }

  #connect(target: string): http.ClientRequest {
    const credentials = proxyCredentials(this.#proxy);
    const headers: Record<string, string> = { Host: target };
    if (credentials !== null) {
      const pair = `${credentials.username}:${credentials.password}`;
      headers['Proxy-Authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`;
    }
    const send = this.#proxy.protocol === 'https:' ? https.request : http.request;
    const connect = send({
      method: 'CONNECT',
      host: hostOf(this.#proxy),
      port: portOf(this.#proxy),
      path: target,
      headers,
      agent: false,
    });
    this.#pending.add(connect);
    return connect;
  }
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
