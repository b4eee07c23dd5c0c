// A file or directory as a source: a path, or a `file://` URL, with a part of a document behind `#`.
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidValue } from '../lib/invalid-value.ts';
import { maskUrl } from '../lib/mask.ts';

/** Where a file source is. */
export interface FilePlace {
  /** The URL or path again, with the path made absolute. */
  readonly text: string;
  /** Absolute, without a trailing slash. */
  readonly path: string;
  /** JSON Pointer to the part that counts; null without one. */
  readonly pointer: string | null;
}

/** `file:///path`, `/path`, `./path` or `../path`, each with an optional `#/pointer`. Throws an InvalidValue. */
export function parseFileUrl(text: string, cwd: string): FilePlace {
  return /^file:/i.test(text) ? parseUrl(text) : parsePath(text, cwd);
}

function parseUrl(text: string): FilePlace {
  if (!/^file:\/{3}/i.test(text)) {
    const path = maskUrl(text).replace(/^file:\/*(?:localhost\/)?/i, '');
    throw new InvalidValue('a file URL has three slashes, then the absolute path', `file:///${path}`);
  }
  try {
    const url = new URL(text);
    const pointer = url.hash === '' ? null : decodeURIComponent(url.hash.slice(1));
    url.hash = '';
    return { text, path: withoutSlash(fileURLToPath(url)), pointer: checked(pointer) };
  } catch (error) {
    if (error instanceof InvalidValue) throw error;
    throw new InvalidValue('the URL is malformed; in a file URL a % is written %25');
  }
}

/** A plain path is taken as it is: no `%` is decoded, and `#` begins a part only before `/`. */
function parsePath(text: string, cwd: string): FilePlace {
  if (!/^\.{0,2}\//.test(text)) throw new InvalidValue('a path begins with /, ./ or ../', `./${text}`);
  const at = text.indexOf('#/');
  const [plain, fragment] = at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at)];
  const path = resolve(cwd, plain);
  const slash = plain.endsWith('/') && path !== '/' ? '/' : '';
  return { text: path + slash + fragment, path, pointer: at < 0 ? null : text.slice(at + 1) };
}

function checked(pointer: string | null): string | null {
  if (pointer === null || pointer === '' || pointer.startsWith('/')) return pointer;
  throw new InvalidValue('what follows # must be a JSON Pointer, such as #/data/web');
}

function withoutSlash(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, '') : path;
}
