// A file or a directory on a local volume as a source: directory watch, and a read of everything at every interval.
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SidecarError } from '../src/lib/errors.ts';
import { followPath } from '../src/source/path-source.ts';
import type { Content, Entry, OpenProvider } from '../src/source/provider.ts';
import { type Subject, type Survey, survey, surveyFailure } from '../src/source/survey.ts';

/**
 * `file:///path`, `/path`, `./path` or `../path`, with `#/pointer` for a part of a document. A regular file is a
 * document, a directory a tree of the regular files below it (names as `isSkipped` says are left out; links are
 * followed; of the layout of a mounted ConfigMap everything comes from one generation). The revision is a digest.
 * Errors: `source.not-found`, `source.denied`, `source.wrong-type`, `source.too-large`, `source.unstable` (it kept
 * changing for the whole of `fetchTimeoutMs`), `source.failed`.
 */
export const openFile: OpenProvider = (url, options) => {
  const { path, pointer } = parse(url);
  const subject: Subject = { thing: 'file', shown: url, path };
  const toContent = (found: Survey, entries: readonly Entry[]): Content => {
    if (found.kind === 'document') return documentOf(path, pointer, entries);
    if (pointer === null || pointer === '') return treeOf(entries);
    throw surveyFailure(
      subject,
      'source.wrong-type',
      `it is a directory, and "#${pointer}" is a part of a document`,
    );
  };
  return { source: url, watch: followPath({ subject, survey: () => survey(subject), toContent }, options) };
};

function documentOf(path: string, pointer: string | null, entries: readonly Entry[]): Content {
  const bytes = entries.find((entry) => entry.value.length > 0)?.value;
  if (bytes === undefined) return { kind: 'nothing' };
  return { kind: 'document', bytes, name: basename(path), contentType: null, pointer };
}

function treeOf(entries: readonly Entry[]): Content {
  return entries.length === 0 ? { kind: 'nothing' } : { kind: 'tree', entries };
}

interface Place {
  readonly path: string;
  readonly pointer: string | null;
}

function parse(url: string): Place {
  if (!/^file:/i.test(url)) return parsePath(url);
  try {
    const parsed = new URL(url);
    const pointer = parsed.hash === '' ? null : decodeURIComponent(parsed.hash.slice(1));
    parsed.hash = '';
    if (!/^file:\/\//i.test(url) || !isPointer(pointer)) throw unusable(url);
    return { path: fileURLToPath(parsed), pointer };
  } catch {
    throw unusable(url);
  }
}

/** A plain path is taken as it is: no `%` is decoded, and `#` begins a part only before `/`. */
function parsePath(url: string): Place {
  const at = url.indexOf('#/');
  const path = at < 0 ? url : url.slice(0, at);
  if (!/^\.{0,2}\//.test(path)) throw unusable(url);
  return { path: resolve(path), pointer: at < 0 ? null : url.slice(at + 1) };
}

function isPointer(pointer: string | null): boolean {
  return pointer === null || pointer === '' || pointer.startsWith('/');
}

function unusable(url: string): SidecarError {
  const reason = 'it must read file:///path, /path or ./path, with #/part for a part of a document';
  return new SidecarError(`Cannot use source "${url}": ${reason}`, {
    code: 'settings.source',
    stage: 'settings',
  });
}
