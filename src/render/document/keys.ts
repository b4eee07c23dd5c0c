// Names with separators into nested maps: `db/host` is `host` in `db`.
import type { Sliced } from '../../lib/slices.ts';
import { maxValues, tooManyValues } from './budget.ts';
import { FormatError } from './format-error.ts';
import { createMap, MAX_DEPTH, type Value } from './value.ts';

/** A value and the parts of its name. Without a value the name is a map that may stay empty. */
export interface Named {
  readonly path: readonly string[];
  readonly value?: Value;
}

interface Nesting {
  readonly root: Record<string, Value>;
  /** A value may be a map of its own (parsed JSON); only these were made here and may be filled. */
  readonly folders: Set<Value>;
  readonly separator: string;
}

/**
 * Nests values by their paths, in the order given, in slices.
 * @param separator what the names were split at, for messages.
 * @throws FormatError naming the key: an empty part, a NUL, given twice, or both a value and a folder.
 */
export function* nesting(named: Iterable<Named>, separator: string): Sliced<Record<string, Value>> {
  const root = createMap();
  const tree = { root, folders: new Set<Value>([root]), separator };
  let left = maxValues();
  for (const { path, value } of named) {
    checkPath(path, separator);
    left -= path.length;
    if (left < 0) throw new FormatError(tooManyValues());
    if (value === undefined) folderAt(tree, path, path.length);
    else put(tree, path, value);
    yield;
  }
  return root;
}

/**
 * The same for whole keys, each with a value; fast where neighbours are in one folder, as in sorted keys.
 * @throws FormatError as `nesting`.
 */
export function* nestingKeys(
  entries: Iterable<{ readonly key: string; readonly value: Value }>,
  separator: string,
): Sliced<Record<string, Value>> {
  const root = createMap();
  const tree = { root, folders: new Set<Value>([root]), separator };
  let left = maxValues();
  let known = { prefix: '', depth: 0, folder: root };
  for (const { key, value } of entries) {
    const end = key.lastIndexOf(separator) + 1;
    const isBeside = end === known.prefix.length && key.startsWith(known.prefix);
    const path = isBeside ? null : key.split(separator);
    const name = key.slice(end);
    if (path !== null || !isName(name)) checkPath(path ?? key.split(separator), separator);
    left -= path?.length ?? known.depth + 1;
    if (left < 0) throw new FormatError(tooManyValues());
    if (path !== null) {
      const depth = path.length - 1;
      known = { prefix: key.slice(0, end), depth, folder: folderAt(tree, path, depth) };
    }
    if (known.folder[name] !== undefined) put(tree, key.split(separator), value);
    known.folder[name] = value;
    yield;
  }
  return root;
}

function put(tree: Nesting, path: readonly string[], value: Value): void {
  const folder = folderAt(tree, path, path.length - 1);
  const name = path.at(-1) ?? '';
  const there = folder[name];
  if (there !== undefined) {
    throw tree.folders.has(there) ? both(path, tree.separator) : twice(path, tree.separator);
  }
  folder[name] = value;
}

/** The map that the first `depth` parts of a path lead to. */
function folderAt({ root, folders, separator }: Nesting, path: readonly string[], depth: number) {
  let folder = root;
  for (let at = 0; at < depth; at += 1) {
    const name = path[at] ?? '';
    let next = folder[name];
    if (next === undefined) {
      next = createMap();
      folders.add(next);
      folder[name] = next;
    } else if (!folders.has(next)) throw both(path.slice(0, at + 1), separator);
    folder = next as Record<string, Value>;
  }
  return folder;
}

function checkPath(path: readonly string[], separator: string): void {
  const bad = path.find((part) => !isName(part));
  if (bad === undefined && path.length <= MAX_DEPTH) return;
  const name = path.join(separator);
  if (path.length > MAX_DEPTH) throw new FormatError(`a key has more than ${MAX_DEPTH} parts`, { path });
  if (bad === '') throw new FormatError(`a part of the key "${name}" is empty`, { path });
  throw new FormatError(`the key ${JSON.stringify(name)} holds a NUL`, { path });
}

function isName(part: string): boolean {
  return part !== '' && !part.includes('\0');
}

function both(path: readonly string[], separator: string): FormatError {
  const name = path.join(separator);
  return new FormatError(`the key "${name}" is both a value and a folder ("${name}${separator}…")`, { path });
}

function twice(path: readonly string[], separator: string): FormatError {
  return new FormatError(`the key "${path.join(separator)}" is given twice`, { path });
}
