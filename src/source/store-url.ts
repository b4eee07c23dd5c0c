// Reads the URL of a key-value store: `etcd://host:2379,host2:2379/app/web/`, `consuls://host/app.yaml?dc=eu`.
import { InvalidValue } from '../lib/invalid-value.ts';

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
  /** The part before `@`, decoded; null where nothing does. */
  readonly userInfo: { readonly user: string; readonly password: string | null } | null;
  /** The decoded path with its leading slash; '' when there is none. */
  readonly path: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Reads a store's URL. Throws an InvalidValue with what is wrong and what is accepted. */
export function parseStoreUrl(url: string, rules: StoreUrlRules): StoreUrl {
  const scheme = /^([a-z]+):\/\//i.exec(url)?.[1]?.toLowerCase();
  if (scheme !== rules.scheme && scheme !== `${rules.scheme}s`) {
    throw new InvalidValue(`the scheme must be ${rules.scheme}:// or, with TLS, ${rules.scheme}s://`);
  }
  if (url.includes('#')) throw new InvalidValue('a # in a key is written %23');
  const rest = url.slice(scheme.length + '://'.length);
  const [, authority = '', path = '', query = ''] = /^([^/?]*)(\/[^?]*)?(?:\?(.*))?$/s.exec(rest) ?? [];
  const at = authority.lastIndexOf('@');
  const hosts = authority.slice(at + 1).split(',');
  if (hosts.length > 1 && !rules.severalHosts) {
    throw new InvalidValue('the URL names several hosts; name one');
  }
  return {
    tls: scheme !== rules.scheme,
    endpoints: hosts.map((host) => parseEndpoint(host, rules)),
    userInfo: at < 0 ? null : parseUserInfo(authority.slice(0, at)),
    path: decode(path),
    parameters: parseQuery(query, rules),
  };
}

/** `host:port`, with brackets around an IPv6 address. */
export function endpointName({ host, port }: Endpoint): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

// What stands where a host should be may be half of a password: no reason repeats it.
function parseEndpoint(text: string, { defaultPort }: StoreUrlRules): Endpoint {
  const parts = /^(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::(\d+))?$/i.exec(text);
  const host = parts?.[1] ?? parts?.[2];
  if (host === undefined) {
    throw new InvalidValue(
      text === ''
        ? 'the URL names no host'
        : `the URL is malformed; a host reads name:port or [IPv6]:port (port ${defaultPort} without one)`,
    );
  }
  const port = Number(parts?.[3] ?? defaultPort);
  if (port < 1 || port > 65_535) {
    throw new InvalidValue('the URL is malformed; a port is a number from 1 to 65535');
  }
  return { host, port };
}

function parseUserInfo(text: string): StoreUrl['userInfo'] {
  const colon = text.indexOf(':');
  if (colon < 0) return { user: decode(text), password: null };
  return { user: decode(text.slice(0, colon)), password: decode(text.slice(colon + 1)) };
}

function parseQuery(query: string, rules: StoreUrlRules): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const part of query.split('&').filter((one) => one !== '')) {
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    if (!rules.parameters.includes(name)) {
      throw new InvalidValue(`the only parameter behind ? is ${rules.parameters.join(', ')}`);
    }
    if (parameters.has(name)) throw new InvalidValue(`the parameter ${name} is given twice; give it once`);
    parameters.set(name, equals < 0 ? '' : decode(part.slice(equals + 1)));
  }
  return parameters;
}

// Not URLSearchParams: that would turn the "+" of a key into a blank.
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new InvalidValue('a % starts two hexadecimal digits of UTF-8 text; % itself is written %25');
  }
}
