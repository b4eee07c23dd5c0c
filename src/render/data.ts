// What a snapshot says, in the shape that templates, formats and guards see. Nothing is parsed before it is needed.
import { createHash } from 'node:crypto';
import { SidecarError } from '../lib/errors.ts';
import { inSlices, type Sliced, sorting } from '../lib/slices.ts';
import { kindOf } from '../settings/source.ts';
import type { Content, Entry, Merged, Snapshot } from '../source/provider.ts';
import { formatOfDocument, type ParsedFormat, type SourceFormat } from './document/format.ts';
import { FormatError } from './document/format-error.ts';
import { type KeysAs, nestingTree, readingEntries, sortEntries, type TreeEntry } from './document/tree.ts';
import { collectingLeaves, type Value } from './document/value.ts';
import { type DocumentContent, openDocument } from './read-document.ts';

export interface DataOptions {
  /** KEYS_AS: how leaf values of a key tree are read. */
  readonly keysAs: KeysAs;
  /** SOURCE_FORMAT: what a document is when neither its name nor its content type says it. */
  readonly sourceFormat?: SourceFormat | undefined;
  /** ALLOW_EMPTY: whether a source may say that there is nothing. */
  readonly allowEmpty: boolean;
  /** The source as it may be shown in errors: without credentials. */
  readonly source: string;
}

export interface Data {
  readonly kind: 'tree' | 'document';
  /** The source as it may be shown. */
  readonly source: string;
  /**
   * The whole: nested maps for a tree, the parsed document (its JSON Pointer applied) otherwise. Read once.
   * @throws SidecarError `render.document`, `render.pointer`, `render.format`, `render.key` or `render.text`.
   */
  readonly value: () => Promise<Value>;
  /** Every key with its value, sorted: a tree's keys as given, the paths of a document's leaves joined with `/`. */
  readonly entries: () => Promise<readonly TreeEntry[]>;
  /** A tree's entries as they came, sorted by key; null for a document. */
  readonly tree: readonly Entry[] | null;
  /**
   * A document as it came, when all of it counts, or the text a pointer leads to when that is a document of its own;
   * empty when the source said there is nothing.
   */
  readonly bytes: Uint8Array | null;
  /** The document's format; null for a tree, and for a document that cannot be looked into. */
  readonly format: ParsedFormat | null;
  readonly revision: string;
  /** `sha256:…` of the content: see `digestOf`. */
  readonly digest: string;
  /** The sources, of several, of what stands at a path: one of a value, all that have a part of a map. */
  readonly origins?: (path: readonly string[]) => Promise<readonly string[]>;
}

/**
 * The digest of a snapshot's content, without parsing it. The order of a tree's entries plays no part; a document's
 * format and pointer do, since they change what the bytes mean.
 */
export function digestOf(content: Content | Merged): string {
  const known = digests.get(content);
  if (known !== undefined) return known;
  const digest = computeDigest(content);
  digests.set(content, digest);
  return digest;
}

/** Contents are never changed, and asked for theirs several times. */
const digests = new WeakMap<Content | Merged, string>();

function computeDigest(content: Content | Merged): string {
  const hash = createHash('sha256');
  if (content.kind === 'merged') {
    const parts = content.parts.map(({ name, optional, format, snapshot }) => {
      return [name, optional, format ?? null, digestOf(snapshot.content)];
    });
    hash.update(JSON.stringify(['merged', parts]));
  } else if (content.kind === 'tree') {
    const entries = sortEntries(content.entries);
    hash.update(JSON.stringify(['tree', entries.length]));
    for (let from = 0; from < entries.length; from += GROUP) hash.update(digestOfGroup(entries, from));
  } else if (content.kind === 'document') {
    hash.update(
      JSON.stringify(['document', formatOfDocument(content, undefined) ?? null, content.pointer ?? '']),
    );
    hash.update(content.bytes);
  } else {
    hash.update('nothing');
  }
  return `sha256:${hash.digest('hex')}`;
}

/** The digest of a tree is one of digests, each over this many entries: what did not change is not computed again. */
const GROUP = 100;

/** By the first entry. Stores that report one change among many keys reuse the same objects for the others. */
const groups = new WeakMap<Entry, { readonly entries: readonly Entry[]; readonly digest: Buffer }>();

function digestOfGroup(all: readonly Entry[], from: number): Buffer {
  const entries = all.slice(from, from + GROUP);
  const [first] = entries;
  const known = first && groups.get(first);
  const isKnown = known?.entries.length === entries.length;
  if (isKnown && known.entries.every((entry, at) => entry === entries[at])) return known.digest;
  const described = entries.flatMap(({ key, value, isExecutable = false }) =>
    isExecutable ? [key, value.length, 'x'] : [key, value.length],
  );
  const hash = createHash('sha256').update(JSON.stringify(described));
  for (const { value } of entries) hash.update(value);
  const digest = hash.digest();
  if (first !== undefined) groups.set(first, { entries, digest });
  return digest;
}

/**
 * Makes data of a snapshot.
 * @throws SidecarError `source.empty` when the source says there is nothing and ALLOW_EMPTY is off; and what
 * `Data.value` throws, when a pointer has to be followed.
 */
export async function readData(snapshot: Snapshot, options: DataOptions): Promise<Data> {
  const { content, revision } = snapshot;
  const common = { source: options.source, revision, digest: digestOf(content) };
  if (content.kind === 'document') return { ...common, ...(await documentData(content, options)) };
  if (content.kind === 'tree') return { ...common, ...treeData(content.entries, options), bytes: null };
  if (!options.allowEmpty) throw empty(options.source);
  return { ...common, ...treeData([], options), bytes: new Uint8Array(0) };
}

function treeData(unsorted: readonly Entry[], options: DataOptions) {
  const tree = sortEntries(unsorted);
  const entries = once(() => readEntries(tree, options));
  const value = once(async () => {
    const read = await entries();
    return readTree(options.source, nestingTree(read));
  });
  return { kind: 'tree', tree, entries, value, format: null } as const;
}

/** Every key of a tree with its value. Throws as `Data.entries`. */
export function readEntries(
  tree: readonly Entry[],
  { source, keysAs }: Pick<DataOptions, 'source' | 'keysAs'>,
): Promise<TreeEntry[]> {
  return readTree(source, readingEntries(tree, keysAs));
}

async function readTree<T>(source: string, reading: Sliced<T>): Promise<T> {
  try {
    return await inSlices(reading);
  } catch (thrown) {
    if (!(thrown instanceof FormatError)) throw thrown;
    throw refuse('render.key', `Cannot use the keys of "${source}": ${thrown.message}`, thrown);
  }
}

async function documentData(content: DocumentContent, options: DataOptions) {
  const { bytes, format, read } = await openDocument(content, options);
  const value = once(read);
  const entries = once(async () => inSlices(listingEntries(await value())));
  return { kind: 'document', tree: null, entries, value, bytes, format } as const;
}

/** The leaves of a value by their paths, sorted; in slices. */
export function* listingEntries(value: Value): Sliced<TreeEntry[]> {
  const leaves = yield* collectingLeaves(value, { lists: true });
  const named: TreeEntry[] = [];
  for (const { path, value: leaf } of leaves) {
    named.push({ key: path.join('/'), value: leaf });
    yield;
  }
  return yield* sorting(named, (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

function empty(source: string): SidecarError {
  const reason = `it is empty; ${kindOf(source).whenEmpty}; ALLOW_EMPTY=true accepts that; set it only where an empty configuration is valid`;
  return refuse('source.empty', `Cannot use the source "${source}": ${reason}`);
}

function refuse(code: string, message: string, cause?: unknown): SidecarError {
  return new SidecarError(message, { code, stage: 'render', cause });
}

/** Reads at the first call, and gives that to all. */
export function once<T>(read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | undefined;
  return () => {
    reading ??= read();
    return reading;
  };
}
