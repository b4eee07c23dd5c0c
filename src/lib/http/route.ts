// The way a request takes to its server: directly, by a proxy that is sent the whole URL, or through a tunnel.
import * as http from 'node:http';
import * as https from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import { maskUrl } from '../mask.ts';
import type { HttpRequest, TlsIdentity } from './exchange.ts';
import { explainFailure, httpFailure } from './failure.ts';
import { hostOf, portOf, proxyCredentials, proxyFor } from './proxy.ts';
import { createTunnelAgent, ProxyError } from './tunnel.ts';

export interface Route {
  readonly kind: 'plain' | 'tls' | 'plain-by-tls-proxy' | 'tunnel';
  readonly proxy: URL | null;
}

/** Chooses the route. Throws `http.proxy` when the proxy variable holds something that is no HTTP proxy. */
export function routeOf(request: HttpRequest): Route {
  const target = new URL(request.url);
  const proxy = findProxy(target, request);
  if (proxy !== null && !/^https?:$/.test(proxy.protocol)) {
    const reason = `the proxy "${maskUrl(proxy.href)}" is neither http:// nor https://`;
    throw httpFailure(request, 'http.proxy', reason);
  }
  if (target.protocol === 'https:') return { kind: proxy === null ? 'tls' : 'tunnel', proxy };
  return { kind: proxy?.protocol === 'https:' ? 'plain-by-tls-proxy' : 'plain', proxy };
}

function findProxy(target: URL, request: HttpRequest): URL | null {
  try {
    return proxyFor(target, request.proxyEnv ?? {});
  } catch {
    const names = `${target.protocol.slice(0, -1)}_proxy or all_proxy`;
    throw httpFailure(
      request,
      'http.proxy',
      `the variable ${names} does not hold a URL like http://host:3128`,
    );
  }
}

/** A session that is resumed skips the check of the certificate, which may have run out since. */
const TLS_AGENT = { keepAlive: true, maxCachedSessions: 0 };

/** Connections for one route and one identity, kept between requests. */
export function createAgent(route: Route, identity: TlsIdentity): http.Agent {
  const pem = secureContext(identity);
  if (route.kind === 'tunnel' && route.proxy !== null) return createTunnelAgent(route.proxy, pem);
  if (route.kind === 'tls') return new https.Agent({ ...pem, ...TLS_AGENT });
  if (route.kind === 'plain-by-tls-proxy') return new https.Agent(TLS_AGENT);
  return new http.Agent({ keepAlive: true });
}

/** Equal for two requests that may share a connection. */
export function identityOf(route: Route, tls: TlsIdentity): string {
  const pems = [tls.ca, tls.cert, tls.key].map((pem) =>
    pem === undefined ? null : toBuffer(pem).toString('base64'),
  );
  return JSON.stringify([route.kind, route.proxy?.href, ...pems]);
}

/** An identity as Node's TLS takes it. */
export function secureContext({ ca, cert, key }: TlsIdentity): SecureContextOptions {
  return {
    ...(ca !== undefined && { ca: toBuffer(ca) }),
    ...(cert !== undefined && { cert: toBuffer(cert) }),
    ...(key !== undefined && { key: toBuffer(key) }),
  };
}

export function toBuffer(data: string | Uint8Array): Buffer {
  return typeof data === 'string'
    ? Buffer.from(data)
    : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

interface AxiosProxy {
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
  readonly auth?: { readonly username: string; readonly password: string };
}

/** What axios has to know of the route; a tunnel is the agent's business. */
export function axiosProxy({ kind, proxy }: Route): AxiosProxy | false {
  if (proxy === null || kind === 'tunnel') return false;
  const auth = proxyCredentials(proxy);
  const place = { protocol: proxy.protocol.slice(0, -1), host: hostOf(proxy), port: Number(portOf(proxy)) };
  return auth === null ? place : { ...place, auth };
}

/** The reason when it was the proxy that failed us: it said so, or the connection was to it; else null. */
export function proxyReason(thrown: unknown, { kind, proxy }: Route): string | null {
  if (proxy === null) return null;
  const shown = `the proxy "${maskUrl(proxy.origin)}"`;
  const own = thrown instanceof Error && thrown.cause instanceof ProxyError ? thrown.cause : thrown;
  if (own instanceof ProxyError) {
    return `${shown}: ${own.cause === undefined ? own.message : explainFailure(own.cause, false).reason}`;
  }
  return kind === 'tunnel' ? null : `${shown}: ${explainFailure(thrown, false).reason}`;
}
