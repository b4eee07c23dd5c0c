// One set of data of several: maps merged deeply, everything else replaced by the later source; and which source a key
// came from.
import { SidecarError } from '../lib/errors.ts';
import type { Sliced } from '../lib/slices.ts';
import type { Entry } from '../source/provider.ts';
import { showPath } from './document/format-error.ts';
import { sortEntries } from './document/tree.ts';
import { createMap, isMap, partsOf, type Value, type ValueMap } from './document/value.ts';

/** The data of one source, in its place: below its name where it has one. */
export interface MergeLayer {
  /** The source as it may be shown, with its name. */
  readonly source: string;
  readonly value: Value;
}

/**
 * Merges in order, in slices: the later one wins.
 * @throws SidecarError `render.conflict` where one source has a map and another a value that is no map, with the path and
 * both sources; and for data that is no map at the top.
 */
export function* mergingLayers(layers: readonly MergeLayer[]): Sliced<ValueMap> {
  let merged: ValueMap = createMap();
  for (const [at, { source, value }] of layers.entries()) {
    if (!isMap(value)) throw notAtTop(source, value);
    merged = yield* mergeMaps(merged, value, { path: [], source, before: layers.slice(0, at) });
  }
  return merged;
}

interface Place {
  readonly path: readonly string[];
  readonly source: string;
  /** What was merged already, to name the other source of a conflict. */
  readonly before: readonly MergeLayer[];
}

function* mergeMaps(earlier: ValueMap, later: ValueMap, place: Place): Sliced<ValueMap> {
  const merged = createMap();
  for (const [key, value] of partsOf(earlier)) {
    merged[key] = value;
    yield;
  }
  for (const [key, value] of partsOf(later)) {
    const path = [...place.path, key];
    const known = earlier[key];
    if (known !== undefined && isMap(known) !== isMap(value)) throw conflict(known, path, place);
    const isDeep = known !== undefined && isMap(known) && isMap(value);
    merged[key] = isDeep ? yield* mergeMaps(known, value, { ...place, path }) : value;
    yield;
  }
  return merged;
}

function conflict(earlier: Value, path: readonly string[], { source, before }: Place): SidecarError {
  const others = originsOf(before, path);
  const [map, value] = isMap(earlier) ? [others.at(-1), source] : [source, others.at(-1)];
  return refuse(
    `Cannot merge the sources at "${showPath(path)}": it is a map in "${map}" and a value in "${value}"; rename one of the two keys, or give one source a NAME`,
  );
}

function notAtTop(source: string, value: Value): SidecarError {
  if (value === null) {
    return refuse(
      `Cannot merge "${source}" with other sources: it holds nothing; write {} into it, or set optional: true for it in the settings file`,
    );
  }
  return refuse(
    `Cannot merge "${source}" with other sources: its data is not a map; give it a NAME (NAME=URL), which becomes its key`,
  );
}

function refuse(message: string): SidecarError {
  return new SidecarError(message, { code: 'render.conflict', stage: 'render' });
}

/**
 * The sources of what stands at a path: of a value the last one that has it, of a map all that have a part of it; none
 * where nothing is.
 */
export function originsOf(layers: readonly MergeLayer[], path: readonly string[]): readonly string[] {
  const parts: string[] = [];
  for (const { source, value } of [...layers].reverse()) {
    const found = walk(value, path);
    if (found === 'value') return [source];
    if (found === 'map') parts.unshift(source);
  }
  return parts;
}

/** What a path ends at, or leads through: inside a list or a text it is part of that value. */
function walk(value: Value, path: readonly string[]): 'value' | 'map' | 'nothing' {
  let at = value;
  for (const name of path) {
    if (!isMap(at)) return 'value';
    const next = at[name];
    if (next === undefined) return 'nothing';
    at = next;
  }
  return isMap(at) ? 'map' : 'value';
}

/** The entries of several trees by key, the later one's where both have it, sorted. */
export function mergeTrees(trees: readonly (readonly Entry[])[]): readonly Entry[] {
  const merged = new Map<string, Entry>();
  for (const entries of trees) for (const entry of entries) merged.set(entry.key, entry);
  return sortEntries([...merged.values()]);
}
