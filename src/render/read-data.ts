// The data of a target: of one source as it is, of several merged.
import { inSlices } from '../lib/slices.ts';
import { labelOf } from '../source/merge.ts';
import type { Merged, MergedPart, TargetSnapshot } from '../source/provider.ts';
import {
  type Data,
  type DataOptions,
  digestOf,
  listingEntries,
  once,
  readData,
  readEntries,
} from './data.ts';
import { createMap, type Value } from './document/value.ts';
import { type MergeLayer, mergeTrees, mergingLayers, originsOf } from './merge.ts';

/**
 * Makes data of what a target's sources hold.
 * @throws SidecarError as `readData`, for each source alone; `render.conflict` when they cannot be merged.
 */
export async function readTargetData(
  { revision, content }: TargetSnapshot,
  options: DataOptions,
): Promise<Data> {
  if (content.kind !== 'merged') return readData({ revision, content }, options);
  const { parts } = content;
  const [only] = parts;
  if (only !== undefined && parts.length === 1 && only.name === null) {
    const data = await readPart(only, options);
    return { ...data, revision, digest: digestOf(content) };
  }
  return mergeParts(content, revision, options);
}

async function mergeParts(content: Merged, revision: string, options: DataOptions): Promise<Data> {
  const { parts } = content;
  const read = await Promise.all(parts.map(async (part) => ({ part, data: await readPart(part, options) })));
  const layers = once(() =>
    Promise.all(
      read.map(async ({ part, data }): Promise<MergeLayer> => {
        return { source: labelOf(part), value: placed(await data.value(), part, options) };
      }),
    ),
  );
  const value = once(async () => inSlices(mergingLayers(await layers())));
  // A conflict refuses, whatever is rendered.
  await value();
  const trees = read.flatMap(({ part, data: { tree } }) => (tree === null ? [] : [prefixed(part, tree)]));
  const tree = trees.length === parts.length ? mergeTrees(trees) : null;
  return {
    kind: tree === null ? 'document' : 'tree',
    source: options.source,
    revision,
    digest: digestOf(content),
    value,
    tree,
    entries: once(async () =>
      tree === null ? inSlices(listingEntries(await value())) : readEntries(tree, options),
    ),
    bytes: null,
    // TOML has dates, which a template sees as text.
    format: read.some(({ data }) => data.format === 'toml') ? 'toml' : null,
    origins: async (path) => originsOf(await layers(), path),
  };
}

function readPart({ snapshot, source, format, optional }: MergedPart, options: DataOptions): Promise<Data> {
  return readData(snapshot, {
    ...options,
    source,
    sourceFormat: format ?? options.sourceFormat,
    allowEmpty: options.allowEmpty || optional,
  });
}

/** A document of nothing but comments is an empty map where nothing is accepted. */
function placed(value: Value, { name, optional }: MergedPart, { allowEmpty }: DataOptions): Value {
  if (name === null) return value === null && (optional || allowEmpty) ? createMap() : value;
  const map = createMap();
  map[name] = value;
  return map;
}

function prefixed({ name }: MergedPart, tree: NonNullable<Data['tree']>): NonNullable<Data['tree']> {
  return name === null ? tree : tree.map((entry) => ({ ...entry, key: `${name}/${entry.key}` }));
}
