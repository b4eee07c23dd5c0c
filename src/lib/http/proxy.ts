// Which proxy, if any, a request goes through: the usual environment variables, read the way curl and Go read them.
import { BlockList, isIP } from 'node:net';

/** The environment's proxy variables: `http_proxy`, `https_proxy`, `all_proxy`, `no_proxy`, in either case. */
export type ProxyEnv = Readonly<Record<string, string | undefined>>;

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/**
 * The proxy for a target, or null to connect directly. Never one for loopback: what listens there is in this pod, and
 * a proxy elsewhere would reach its own. A value without a scheme is an HTTP proxy. Throws a TypeError for a value
 * that is no URL.
 */
export function proxyFor(target: URL, env: ProxyEnv): URL | null {
  if (isLoopback(hostOf(target)) || isExempt(target, variable(env, 'no_proxy'))) return null;
  const scheme = target.protocol.slice(0, -1);
  const value = variable(env, `${scheme}_proxy`) || variable(env, 'all_proxy');
  if (value === '') return null;
  return new URL(value.includes('://') ? value : `http://${value}`);
}

/** `user:password` of a proxy URL, decoded, or null. */
export function proxyCredentials(
  proxy: URL,
): { readonly username: string; readonly password: string } | null {
  if (proxy.username === '' && proxy.password === '') return null;
  return { username: decode(proxy.username), password: decode(proxy.password) };
}

/** Host name or address without the brackets of IPv6. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
}

/** Port as a string, the scheme's own where the URL has none. */
export function portOf(url: URL): string {
  return url.port || (DEFAULT_PORTS[url.protocol] ?? '');
}

function variable(env: ProxyEnv, name: string): string {
  return (env[name] || env[name.toUpperCase()] || '').trim();
}

function isLoopback(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost') || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

function isExempt(target: URL, list: string): boolean {
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => entry !== '' && matches(entry, target));
}

function matches(entry: string, target: URL): boolean {
  if (entry === '*') return true;
  const host = hostOf(target);
  if (entry.includes('/')) return isInSubnet(host, entry);
  const [name, port] = splitPort(entry);
  if (port !== null && port !== portOf(target)) return false;
  const bare = name.replace(/^\*?\./, '');
  return host === bare || (isIP(host) === 0 && host.endsWith(`.${bare}`));
}

function splitPort(entry: string): readonly [name: string, port: string | null] {
  const bracketed = /^\[(.+)\](?::(\d+))?$/.exec(entry);
  if (bracketed?.[1] !== undefined) return [bracketed[1], bracketed[2] ?? null];
  const plain = /^([^:]+):(\d+)$/.exec(entry);
  return plain?.[1] !== undefined ? [plain[1], plain[2] ?? null] : [entry, null];
}

function isInSubnet(host: string, entry: string): boolean {
  const version = isIP(host);
  const [network = '', prefix = ''] = entry.split('/');
  if (version === 0 || isIP(network) !== version || !/^\d{1,3}$/.test(prefix)) return false;
  if (Number(prefix) > (version === 4 ? 32 : 128)) return false;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  const subnet = new BlockList();
  subnet.addSubnet(network, Number(prefix), family);
  return subnet.check(host, family);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
