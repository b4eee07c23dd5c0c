// The SOURCE setting: which URLs a configuration may come from, and how they are written.
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { maskUrl } from '../lib/mask.ts';
import { alternatives, type Kind, Refusal } from './kind.ts';
import { nearest } from './nearest.ts';

export const SOURCE_SCHEMES = ['file', 'http', 'https', 'etcd', 'etcds', 'consul', 'consuls'] as const;

/** The scheme of a source; a path without one is a `file`. */
export type SourceScheme = (typeof SOURCE_SCHEMES)[number];

/** The scheme of a source that was accepted by the settings. */
export function schemeOf(source: string): SourceScheme {
  return SOURCE_SCHEMES.find((scheme) => source.startsWith(`${scheme}:`)) ?? 'file';
}

/** One source: a URL, or a path beginning with `/`, `./` or `../`, which is made absolute; a fragment stays. */
export const source: Kind<string> = {
  type: 'URL',
  parse: (text, cwd) => {
    if (/\s/.test(text)) throw new Refusal('one source is needed: several are not supported by this version');
    if (/^\.{0,2}\//.test(text)) return resolvePath(text, cwd);
    const scheme = checkedScheme(text);
    if (scheme === 'file') checkFileUrl(text);
    else if (scheme === 'http' || scheme === 'https') checkWebUrl(text);
    else checkStoreUrl(text, scheme);
    return scheme + text.slice(scheme.length);
  },
};

function resolvePath(text: string, cwd: string): string {
  const end = text.indexOf('#');
  const [path, fragment] = end < 0 ? [text, ''] : [text.slice(0, end), text.slice(end)];
  return resolve(cwd, path) + (path.endsWith('/') && path !== '/' ? '/' : '') + fragment;
}

const ACCEPTED = `a URL beginning with ${alternatives(
  SOURCE_SCHEMES.map((scheme) => `${scheme}://`),
)}, or a path beginning with /, ./ or ../`;

function checkedScheme(text: string): SourceScheme {
  const [, given, slashes] = /^([a-z][a-z0-9+.-]*):(\/*)/i.exec(text) ?? [];
  if (given === undefined || slashes === undefined) {
    throw new Refusal(
      `it must be ${ACCEPTED}`,
      /^[\w.-]+(?:\/[\w.-]+)*$/.test(text) ? `./${text}` : undefined,
    );
  }
  const scheme = SOURCE_SCHEMES.find((known) => known === given.toLowerCase());
  if (scheme !== undefined && slashes.length >= 2) return scheme;
  const meant = nearest(given, SOURCE_SCHEMES);
  const rest = text.slice(given.length + 1 + slashes.length);
  throw new Refusal(
    `it must be ${ACCEPTED}`,
    meant && maskUrl(`${meant}://${meant === 'file' ? '/' : ''}${rest}`),
  );
}

function checkFileUrl(text: string): void {
  if (!/^file:\/{3}/i.test(text)) {
    const path = maskUrl(text).replace(/^file:\/\/(?:localhost\/)?/i, '');
    throw new Refusal('a file URL has three slashes, then the absolute path', `file:///${path}`);
  }
  try {
    fileURLToPath(text);
  } catch {
    throw new Refusal('the URL is malformed; in a file URL a % is written %25');
  }
}

/** Checks an HTTP URL; the port and the host's spelling are those of the URL standard. */
function checkWebUrl(text: string): void {
  if (parseUrl(text).hostname === '') throw new Refusal('the URL names no host');
}

function parseUrl(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw new Refusal('the URL is malformed; it reads scheme://host:port/path');
  }
}

function checkStoreUrl(text: string, scheme: SourceScheme): void {
  const [, authority = '', key = ''] = /^[^:]*:\/\/([^/?#]*)([^#]*)/.exec(text) ?? [];
  const hosts = authority.slice(authority.lastIndexOf('@') + 1).split(',');
  const store = scheme.startsWith('etcd') ? 'etcd' : 'consul';
  if (hosts.length > 1 && store === 'consul') throw new Refusal('a Consul URL names one host');
  hosts.forEach(checkHost);
  const keyInQuery = store === 'etcd' && /[?&]key=[^&]/.test(key);
  if (!key.startsWith('/') && !keyInQuery) {
    throw new Refusal('the URL names no key: end it with /key for one document or /prefix/ for a tree');
  }
}

function checkHost(host: string): void {
  const [, name, port] = /^(\[[0-9a-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/i.exec(host) ?? [];
  if (name === undefined) {
    throw new Refusal(
      host === '' ? 'the URL names no host' : 'the URL is malformed; a host reads name:port or [IPv6]:port',
    );
  }
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) {
    throw new Refusal('the URL is malformed; a port is a number from 1 to 65535');
  }
}

/** A URL that is asked with HTTP. */
export const httpUrl: Kind<string> = {
  type: 'URL',
  parse: (text) => {
    const [, given, slashes] = /^([a-z][a-z0-9+.-]*):(\/*)/i.exec(text) ?? [];
    if (given === undefined || !/^https?$/i.test(given) || slashes !== '//') {
      const reason = 'it must be a URL beginning with http:// or https://';
      const meant = given === undefined ? undefined : nearest(given, ['http', 'https']);
      throw new Refusal(reason, meant && maskUrl(`${meant}://${text.replace(/^[^:]*:\/*/, '')}`));
    }
    checkWebUrl(text);
    return text;
  },
};
