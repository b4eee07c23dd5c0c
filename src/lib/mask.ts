// How a URL may be shown: without the part before `@`, and without query values that may be secrets.

const MASK = '***';

/**
 * The parameters whose value is shown: places, formats and how to read. Every other value may be a secret, under a name that
 * no list of ours knows.
 */
const HARMLESS: readonly string[] = [
  ...['key', 'dc', 'ns', 'namespace', 'partition', 'ref', 'path', 'selector', 'format', 'version'],
  ...['recurse', 'raw', 'stale', 'consistent'],
];

/**
 * One URL as it may be shown: credentials are dropped, query values become `***` but for harmless ones. Works on text, so
 * that lists of hosts (`etcd://a:1,b:2/key`) and URLs that do not parse are masked as well; paths stay as they are.
 */
export function maskUrl(url: string): string {
  return maskQuery(withoutCredentials(url));
}

/** Whether the URL holds something that `maskUrl` would take away. */
export function holdsSecret(url: string): boolean {
  return maskUrl(url) !== url;
}

/** The values that `maskUrl` hides in the query, as they are written and decoded: a server may repeat them. */
export function secretsInQuery(url: string): readonly string[] {
  const hidden: string[] = [];
  maskQuery(url, (value) => hidden.push(value, decoded(value)));
  return [...new Set(hidden)];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function withoutCredentials(url: string): string {
  if (/^\s*[./]/.test(url)) return url;
  const scheme = /^\s*[a-z][a-z0-9+.-]*:\/+/i.exec(url)?.[0] ?? '';
  const rest = url.slice(scheme.length);
  const authority = rest.slice(0, authorityLength(rest));
  // A comma may stand in a password, so everything up to the last `@` goes, other hosts before it included.
  return scheme + authority.slice(authority.lastIndexOf('@') + 1) + rest.slice(authority.length);
}

/**
 * A password with a raw `/`, `?` or `#` in it ends the authority too early. What precedes then has no legal port, and
 * showing too little of a broken URL is better than showing half a password.
 */
function authorityLength(rest: string): number {
  const end = rest.search(/[/?#]/);
  if (end < 0) return rest.length;
  const authority = rest.slice(0, end);
  const cutPassword = !authority.includes('@') && /(?:^|[^[\]:]):(?!\d{1,5}(?:,|$))[^[\]]*$/.test(authority);
  const lastAt = rest.lastIndexOf('@');
  return cutPassword && lastAt > end ? lastAt + 1 : end;
}

/** A path on this machine has no query, and a fragment that begins with `/` is a JSON Pointer. */
function maskQuery(url: string, onHidden: (value: string) => void = () => {}): string {
  if (/^\s*(?:[./]|file:)/i.test(url)) return url;
  return url.replace(/([?&;#])([^&;#?]+)/g, (whole, separator: string, part: string) => {
    if (separator === '#' && part.startsWith('/')) return whole;
    const [name = ''] = part.split('=', 1);
    if (HARMLESS.includes(name.toLowerCase())) return whole;
    const hasName = part.includes('=');
    onHidden(hasName ? part.slice(name.length + 1) : part);
    return separator + (hasName ? `${name}=${MASK}` : MASK);
  });
}
