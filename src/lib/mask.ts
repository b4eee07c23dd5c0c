// How a URL may be shown: without what stands before `@`, and without query values that are secrets.

const MASK = '***';

/** Parameter names whose value is a secret; a bare `key` names a place in a store (`etcd://host?key=app/web/`). */
const SECRET_NAME = /token|secret|passw|pwd|credential|signature|session|(?:^pass|^jwt|^sig|auth|.key)$/i;

/**
 * One URL as it may be shown: credentials are dropped, query values that look secret become `***`. Works on text, so
 * that lists of hosts (`etcd://a:1,b:2/key`) and URLs that do not parse are masked as well; paths stay as they are.
 */
export function maskUrl(url: string): string {
  return maskQuery(withoutCredentials(url));
}

/** Whether the URL holds something that `maskUrl` would take away. */
export function holdsSecret(url: string): boolean {
  return maskUrl(url) !== url;
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

function maskQuery(url: string): string {
  return url.replace(/([?&#])([^=&#?]+)=([^&#]*)/g, (whole, separator: string, name: string) =>
    SECRET_NAME.test(name) ? `${separator}${name}=${MASK}` : whole,
  );
}
