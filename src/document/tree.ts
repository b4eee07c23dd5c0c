// A key tree as nested maps, and its flat list of keys.
import type { Entry } from '../provider.ts';
import { Fault } from './fault.ts';
import { isSyntaxFault, parseJson } from './json.ts';
import { nest } from './keys.ts';
import { decodeText } from './text.ts';
import type { Value } from './value.ts';

/** How the values of a tree are read: as text, or as JSON where they are JSON. */
export type KeysAs = 'string' | 'json';

/** One key with its value, as templates see it. */
export interface TreeEntry {
  readonly key: string;
  readonly value: Value;
}

/** Entries in the order of their keys' code units. Stores tell them in that order already, so it is looked at first. */
export function sortEntries(entries: readonly Entry[]): readonly Entry[] {
  const sorted = entries.every((entry, index) => index === 0 || (entries[index - 1]?.key ?? '') <= entry.key);
  return sorted ? entries : [...entries].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

/**
 * Reads the values of a tree.
 * @throws Fault naming the key whose value is not UTF-8, or is JSON that no reader agrees on.
 */
export function readEntries(entries: readonly Entry[], keysAs: KeysAs): TreeEntry[] {
  return entries.map(({ key, value }) => {
    const text = decodeText(value);
    if (text === null) throw new Fault(`the value of the key "${key}" is not UTF-8 text`);
    return { key, value: keysAs === 'json' ? jsonOrText(key, text) : text };
  });
}

function jsonOrText(key: string, text: string): Value {
  try {
    return parseJson(text);
  } catch (fault) {
    if (isSyntaxFault(fault) || !(fault instanceof Fault)) return text;
    throw new Fault(`the value of the key "${key}" is JSON that cannot be used: ${fault.message}`);
  }
}

/**
 * The tree as nested maps, split at `/`, names of each level in the order of their code units.
 * @throws Fault naming a key that is both a value and a folder, or has an empty part.
 */
export function nestTree(entries: readonly TreeEntry[]): Value {
  // Compared part by part: as whole keys `a-b/x` would come before `a/x`.
  const ranked = entries.map(({ key, value }) => ({
    rank: key.replaceAll('/', '\0'),
    path: key.split('/'),
    value,
  }));
  return nest(
    ranked.sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0)),
    '/',
  );
}
