// A file or a directory on a local volume as a source: directory watch, and a read of everything at every interval.
import { basename } from 'node:path';
import type { FilePlace } from './file-url.ts';
import { followPath } from './path-source.ts';
import type { Content, Entry, Provider, ProviderOptions } from './provider.ts';
import { type Scan, type ScanTarget, scan, scanFailure } from './scan.ts';

/**
 * Follows a file or a directory. A regular file is a document, a directory a tree of the regular files below it (names
 * as `isSkipped` says are left out; links are followed; of the layout of a mounted ConfigMap everything comes from one
 * generation). The revision is a digest. Its watch ends with `source.not-found`, `.denied`, `.wrong-type`, `.too-large`,
 * `.unstable` (it kept changing for the whole of `fetchTimeoutMs`) or `.failed`.
 */
export function openFile({ text: url, path, pointer }: FilePlace, options: ProviderOptions): Provider {
  const subject: ScanTarget = { thing: 'file', shown: url, path };
  const toContent = (found: Scan, entries: readonly Entry[]): Content => {
    if (found.kind === 'document') return documentOf(path, pointer, entries);
    if (pointer === null || pointer === '') return treeOf(entries);
    throw scanFailure(
      subject,
      'source.wrong-type',
      `it is a directory, and "#${pointer}" is a part of a document`,
    );
  };
  return { source: url, watch: followPath({ subject, scan: () => scan(subject), toContent }, options) };
}

function documentOf(path: string, pointer: string | null, entries: readonly Entry[]): Content {
  const bytes = entries.find((entry) => entry.value.length > 0)?.value;
  if (bytes === undefined) return { kind: 'nothing' };
  return { kind: 'document', bytes, name: basename(path), contentType: null, pointer };
}

function treeOf(entries: readonly Entry[]): Content {
  return entries.length === 0 ? { kind: 'nothing' } : { kind: 'tree', entries };
}
