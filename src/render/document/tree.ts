// A key tree as nested maps, and its flat list of keys.

import { type Sliced, sorting } from '../../lib/slices.ts';
import type { Entry } from '../../source/provider.ts';
import { FormatError } from './format-error.ts';
import { isSyntaxFault, parseJson } from './json.ts';
import { nestingKeys } from './keys.ts';
import { Bytes } from './special.ts';
import { decodeText } from './text.ts';
import type { Value } from './value.ts';

/** How the values of a tree are read: as text, or as JSON where they are JSON. */
export type KeysAs = 'string' | 'json';

/** One key with its value, as templates see it. */
export interface TreeEntry {
  readonly key: string;
  readonly value: Value;
}

/** Entries in the order of their keys' code units. Stores list them in that order already, so that is checked first. */
export function sortEntries(entries: readonly Entry[]): readonly Entry[] {
  if (known.has(entries)) return entries;
  const isSorted = entries.every(
    (entry, index) => index === 0 || (entries[index - 1]?.key ?? '') <= entry.key,
  );
  const sorted = isSorted
    ? entries
    : [...entries].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  known.add(sorted);
  return sorted;
}

/** Lists that are in order. They are never changed, and asked about at each use. */
const known = new WeakSet<readonly Entry[]>();

/**
 * Reads the values of a tree, in slices. What is not UTF-8 stays bytes, which only those must be able to use who do.
 * @throws FormatError naming the key whose value is JSON on which readers do not agree.
 */
export function* readingEntries(entries: readonly Entry[], keysAs: KeysAs): Sliced<TreeEntry[]> {
  const read: TreeEntry[] = [];
  for (const { key, value } of entries) {
    const text = decodeText(value);
    if (text === null) read.push({ key, value: new Bytes(value) });
    else read.push({ key, value: keysAs === 'json' ? jsonOrText(key, text) : text });
    yield;
  }
  return read;
}

function jsonOrText(key: string, text: string): Value {
  try {
    return parseJson(text);
  } catch (fault) {
    if (isSyntaxFault(fault) || !(fault instanceof FormatError)) return text;
    throw new FormatError(`the value of the key "${key}" is JSON that cannot be used: ${fault.message}`);
  }
}

/**
 * The tree as nested maps, split at `/`, names of each level in the order of their code units; in slices.
 * @throws FormatError naming a key that is both a value and a folder, or has an empty part.
 */
export function* nestingTree(entries: readonly TreeEntry[]): Sliced<Value> {
  const ordered = (yield* areInOrder(entries)) ? entries : yield* inOrder(entries);
  return yield* nestingKeys(ordered, SEPARATOR);
}

const SEPARATOR = '/';
const SEPARATOR_CODE = SEPARATOR.charCodeAt(0);

function* areInOrder(entries: readonly TreeEntry[]): Sliced<boolean> {
  let before = '';
  let folder = '';
  for (const { key } of entries) {
    const end = key.lastIndexOf(SEPARATOR) + 1;
    // In one folder the engine's own comparison, which is faster, says the same.
    const isBeside = end === folder.length && key.startsWith(folder);
    if (isBeside ? key < before : comesBefore(key, before)) return false;
    if (!isBeside) folder = key.slice(0, end);
    before = key;
    yield;
  }
  return true;
}

/** Whether a key comes before another, part by part: as whole keys `a-b/x` would come before `a/x`. */
function comesBefore(key: string, other: string): boolean {
  const shorter = Math.min(key.length, other.length);
  for (let at = 0; at < shorter; at += 1) {
    const [code, otherCode] = [key.charCodeAt(at), other.charCodeAt(at)];
    if (code === otherCode) continue;
    return code === SEPARATOR_CODE || (otherCode !== SEPARATOR_CODE && code < otherCode);
  }
  return key.length < other.length;
}

function* inOrder(entries: readonly TreeEntry[]): Sliced<TreeEntry[]> {
  return yield* sorting(entries, (a, b) =>
    comesBefore(a.key, b.key) ? -1 : comesBefore(b.key, a.key) ? 1 : 0,
  );
}
