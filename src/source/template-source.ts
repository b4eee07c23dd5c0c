// Follows TEMPLATE the way a source is followed: a template file with its partials, or a directory of templates.
import { statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { groupOf } from './merge.ts';
import { followPath } from './path-source.ts';
import type { Content, Entry, Provider, ProviderGroup, ProviderOptions } from './provider.ts';
import { type Scan, type ScanTarget, scan, scanTree } from './scan.ts';

/**
 * A provider of templates, always as a tree whose keys are names relative to the template's directory. A file brings
 * itself, under its own name, and every `*.liquid` file in or below its directory, since it may include them; a
 * directory brings every regular file below it. Errors as those of a file source.
 */
export function openTemplate(
  path: string,
  options: Pick<ProviderOptions, 'updateFrequencyMs' | 'fetchTimeoutMs' | 'maxBytes'>,
): Provider {
  const subject: ScanTarget = { thing: 'template', shown: path, path: resolve(path) };
  const source = { subject, scan: () => scanTemplate(subject), toContent };
  return { source: path, watch: followPath(source, options) };
}

/** The same for several places, which are followed together: the content is merged, with one part for each in this order. */
export function openTemplates(
  paths: readonly string[],
  options: Parameters<typeof openTemplate>[1],
): Provider | ProviderGroup | null {
  const [first] = paths;
  if (first === undefined) return null;
  if (paths.length === 1) return openTemplate(first, options);
  return groupOf(
    paths.map((path) => {
      return { name: null, optional: false, format: undefined, provider: openTemplate(path, options) };
    }),
  );
}

function scanTemplate(subject: ScanTarget): Scan {
  if (isDirectory(subject.path)) return scan(subject);
  const itself = scan(subject);
  const name = basename(subject.path);
  const around = { ...subject, path: dirname(subject.path) };
  const tree = scanTree(around, {
    accepts: (key) => key === name || key.endsWith('.liquid'),
    isLenient: true,
  });
  if (tree.files.some((file) => file.key === name)) return tree;
  return {
    ...tree,
    files: [...itself.files, ...tree.files],
    signature: `${itself.signature}\n${tree.signature}`,
  };
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function toContent(_survey: Scan, entries: readonly Entry[]): Content {
  return entries.length === 0 ? { kind: 'nothing' } : { kind: 'tree', entries };
}
