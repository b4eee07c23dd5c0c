// An HTTPS agent whose connections go through a proxy: CONNECT first, then TLS with the server itself.
import * as http from 'node:http';
import * as https from 'node:https';
import type { Duplex } from 'node:stream';
import * as tls from 'node:tls';
import { hostOf, portOf, proxyCredentials } from './proxy.ts';

/** What went wrong between us and the proxy (its cause, or what the proxy said), not to be blamed on the server behind it. */
export class ProxyError extends Error {}

type Target = https.RequestOptions & tls.ConnectionOptions;
type Connected = (error: Error | null, socket?: Duplex) => void;

/**
 * axios brings a tunnel of its own, but that one loses a connection which is given up during CONNECT, hands the
 * proxy's refusal on as if the server had said it, and opens a new connection per request. The identity (`ca`, `cert`,
 * `key`) is for the server only; the proxy never sees it. No class of its own: that would load TLS with the program.
 */
export function createTunnelAgent(proxy: URL, identity: tls.SecureContextOptions): https.Agent {
  const pending = new Set<http.ClientRequest>();
  const agent = new https.Agent({ ...identity, keepAlive: true });
  const destroy = agent.destroy.bind(agent);
  agent.createConnection = (options: Target, done: Connected): undefined => {
    const connect = askFor(`${bracketed(String(options.host))}:${options.port}`, proxy);
    pending.add(connect);
    connect.once('connect', (response: http.IncomingMessage, socket: Duplex) => {
      pending.delete(connect);
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
      pending.delete(connect);
      done(new ProxyError('no connection', { cause: error }));
    });
    connect.end();
  };
  agent.destroy = () => {
    for (const connect of pending) connect.destroy();
    destroy();
  };
  return agent;
}

function askFor(target: string, proxy: URL): http.ClientRequest {
  const credentials = proxyCredentials(proxy);
  const headers: Record<string, string> = { Host: target };
  if (credentials !== null) {
    const pair = `${credentials.username}:${credentials.password}`;
    headers['Proxy-Authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`;
  }
  const send = proxy.protocol === 'https:' ? https.request : http.request;
  const [host, port] = [hostOf(proxy), portOf(proxy)];
  return send({ method: 'CONNECT', host, port, path: target, headers, agent: false });
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
