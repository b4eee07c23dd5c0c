// The URL of an HTTP source: what is sent, what stays here.
import { InvalidValue } from '../lib/invalid-value.ts';
import type { HttpCredentials } from './http-credentials.ts';

/** Where an HTTP source is. */
export interface HttpTarget {
  /** Without credentials and fragment: what a request asks for. */
  readonly url: string;
  readonly tls: boolean;
  /** The part before `@`, decoded; null where nothing does. */
  readonly userinfo: HttpCredentials | null;
  /** JSON Pointer from the fragment; null without one. */
  readonly pointer: string | null;
}

/** `http://…` or `https://…`; a fragment is a JSON Pointer. Throws an InvalidValue. */
export function parseHttpUrl(text: string): HttpTarget {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new InvalidValue('the URL is malformed; it reads http://host:port/path or https://host:port/path');
  }
  const pointer = url.hash === '' ? null : decode(url.hash.slice(1));
  if (pointer !== null && !pointer.startsWith('/')) {
    throw new InvalidValue('what follows # must be a JSON Pointer, such as #/data/web');
  }
  const hasUser = url.username !== '' || url.password !== '';
  const userinfo = hasUser ? { username: decode(url.username), password: decode(url.password) } : null;
  url.hash = '';
  url.username = '';
  url.password = '';
  return { url: url.href, tls: url.protocol === 'https:', userinfo, pointer };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
