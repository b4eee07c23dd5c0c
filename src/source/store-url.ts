// Reads the URL of a key-value store: `etcd://host:2379,host2:2379/app/web/`, `consuls://host/app.yaml?dc=eu`.
import { SidecarError } from '../lib/errors.ts';
import { maskUrl } from '../lib/mask.ts';

/** What one kind of store allows in its URLs. */
export interface StoreUrlRules {
  /** Scheme without TLS; with an `s` appended it means TLS. */
  readonly scheme: string;
  readonly defaultPort: number;
  /** Whether `host,host2` is allowed. */
  readonly severalHosts: boolean;
  /** Names of the query parameters that mean something. */
  readonly parameters: readonly string[];
}

export interface Endpoint {
  /** Without brackets, also for IPv6. */
  readonly host: string;
  readonly port: number;
}

export interface StoreUrl {
  readonly tls: boolean;
  /** At least one, in the order of the URL. */
  readonly endpoints: readonly Endpoint[];
  /** What stands before `@`, decoded; null where nothing does. */
  readonly userInfo: { readonly user: string; readonly password: string | null } | null;
  /** The decoded path with its leading slash; '' when there is none. */
  readonly path: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Reads a store's URL. Throws `settings.source` with what is wrong and what is accepted. */
export function parseStoreUrl(url: string, rules: StoreUrlRules): StoreUrl {
  const fail = (reason: string): never => refuseSource(url, reason);
  const scheme = /^([a-z]+):\/\//i.exec(url)?.[1]?.toLowerCase();
  if (scheme !== rules.scheme && scheme !== `${rules.scheme}s`) {
    return fail(`the scheme must be ${rules.scheme}:// or, with TLS, ${rules.scheme}s://`);
  }
  if (url.includes('#')) return fail('a store has no fragment; write a "#" in a key as %23');
  const rest = url.slice(scheme.length + '://'.length);
  const [, authority = '', path = '', query = ''] = /^([^/?]*)(\/[^?]*)?(?:\?(.*))?$/s.exec(rest) ?? [];
  const at = authority.lastIndexOf('@');
  const hosts = authority.slice(at + 1).split(',');
  if (hosts.length > 1 && !rules.severalHosts) return fail('it names several hosts; give one');
  return {
    tls: scheme !== rules.scheme,
    endpoints: hosts.map((host) => parseEndpoint(host, rules, fail)),
    userInfo: at < 0 ? null : parseUserInfo(authority.slice(0, at), fail),
    path: decode(path, fail),
    parameters: parseQuery(query, rules, fail),
  };
}

/** Throws `settings.source`: this URL, or what it needs, can never work. */
export function refuseSource(url: string, reason: string): never {
  const message = `Cannot use source "${maskUrl(url)}": ${reason}`;
  throw new SidecarError(message, { code: 'settings.source', stage: 'settings' });
}

/** `host:port`, with brackets around an IPv6 address. */
export function endpointName({ host, port }: Endpoint): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

type Fail = (reason: string) => never;

function parseEndpoint(text: string, rules: StoreUrlRules, fail: Fail): Endpoint {
  const parts = /^(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::(\d+))?$/i.exec(text);
  const host = parts?.[1] ?? parts?.[2];
  if (host === undefined) {
    return fail(
      `"${text}" is no host; accepted are host:port and [IPv6 address]:port, port ${rules.defaultPort} if none`,
    );
  }
  const port = Number(parts?.[3] ?? rules.defaultPort);
  if (port < 1 || port > 65_535) return fail(`the port of "${text}" must be from 1 to 65535`);
  return { host, port };
}

function parseUserInfo(text: string, fail: Fail): StoreUrl['userInfo'] {
  const colon = text.indexOf(':');
  if (colon < 0) return { user: decode(text, fail), password: null };
  return { user: decode(text.slice(0, colon), fail), password: decode(text.slice(colon + 1), fail) };
}

function parseQuery(query: string, rules: StoreUrlRules, fail: Fail): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const part of query.split('&').filter((one) => one !== '')) {
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    if (!rules.parameters.includes(name)) {
      return fail(`unknown parameter "${name}"; accepted: ${rules.parameters.join(', ')}`);
    }
    if (parameters.has(name)) return fail(`parameter "${name}" is given twice`);
    parameters.set(name, equals < 0 ? '' : decode(part.slice(equals + 1), fail));
  }
  return parameters;
}

// Not URLSearchParams: that would turn the "+" of a key into a blank.
function decode(text: string, fail: Fail): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return fail('a "%" is followed by something else than the two hexadecimal digits of UTF-8 text');
  }
}
