// The keys of one etcd source as last known: replaced by a listing, moved on by events, given out as a snapshot.
import { isUtf8 } from 'node:buffer';
import type { Content, Entry, Snapshot } from '../provider.ts';
import { sizeProblem } from '../size-budget.ts';
import { EtcdFailure } from './failure.ts';

/** One key as etcd gave it: its whole name, its value, and the revision that wrote it. */
export interface EtcdKey {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly mod_revision: string;
}

/** A put (with the new value) or a delete of one key. */
export interface EtcdEvent {
  readonly type: string;
  readonly kv: EtcdKey;
}

/** Every key of the source at one revision of the store. */
export interface EtcdListing {
  readonly revision: bigint;
  readonly keys: readonly EtcdKey[];
}

/** What of the store the source is made of. */
export interface EtcdRange {
  /** First key; of a tree the prefix. */
  readonly start: Buffer;
  /** The first key after a tree; null for a single key. */
  readonly end: Buffer | null;
  readonly isTree: boolean;
}

/** A range as etcd's requests spell it. An *empty* end sent along would mean every key from the first on. */
export function rangeRequest({ start, end }: EtcdRange): {
  readonly key: Buffer;
  readonly range_end?: Buffer;
} {
  return end === null ? { key: start } : { key: start, range_end: end };
}

const SLASH = '/'.charCodeAt(0);

/** The range of a key, or of everything below a prefix that ends in a slash. */
export function etcdRange(key: string): EtcdRange {
  const start = Buffer.from(key);
  if (!key.endsWith('/')) return { start, end: null, isTree: false };
  const end = Buffer.from(start);
  end[end.length - 1] = SLASH + 1;
  return { start, end, isTree: true };
}

interface Held {
  readonly entry: Entry;
  readonly modRevision: bigint;
}

/** Mutable state of one watch. Every method leaves it whole at one revision of the store. */
export class EtcdKeys {
  readonly #range: EtcdRange;
  readonly #maxBytes: number;
  #held = new Map<string, Held>();
  #bytes = 0;
  #sorted: boolean = true;
  #revision = 0n;

  constructor(range: EtcdRange, maxBytes: number) {
    this.#range = range;
    this.#maxBytes = maxBytes;
  }

  /** Everything the store did up to this revision is contained. */
  get revision(): bigint {
    return this.#revision;
  }

  /**
   * Takes a listing for the truth, and `since` (events that came while it was under way) on top of it. Says whether
   * the content is another one now.
   */
  replace(listing: EtcdListing, since: readonly EtcdEvent[]): boolean {
    const before = this.#held;
    this.#held = new Map();
    this.#bytes = 0;
    this.#sorted = true;
    this.#revision = listing.revision;
    for (const kv of listing.keys) if (!this.#isFolder(kv.key)) this.#put(kv);
    this.apply(since);
    return !sameKeys(before, this.#held);
  }

  /** Applies events in order; those that are contained already change nothing. Says whether any did. */
  apply(events: readonly EtcdEvent[]): boolean {
    const contained = this.#revision;
    let changed = false;
    for (const { type, kv } of events) {
      const modRevision = BigInt(kv.mod_revision);
      if (modRevision <= contained) continue;
      if (modRevision > this.#revision) this.#revision = modRevision;
      if (this.#isFolder(kv.key)) continue;
      changed = true;
      if (type.toLowerCase() === 'delete') this.#remove(this.#name(kv.key));
      else this.#put(kv);
    }
    refuseTooLarge(this.#held.size, this.#bytes, this.#maxBytes);
    return changed;
  }

  /** The content now, under the highest revision among its keys. */
  snapshot(): Snapshot {
    this.#sort();
    let highest = 0n;
    for (const { modRevision } of this.#held.values()) if (modRevision > highest) highest = modRevision;
    return { revision: String(highest), content: this.#content() };
  }

  #content(): Content {
    const entries = Array.from(this.#held.values(), (held) => held.entry);
    const first = entries[0];
    if (first === undefined) return { kind: 'nothing' };
    if (this.#range.isTree) return { kind: 'tree', entries };
    if (first.value.length === 0) return { kind: 'nothing' };
    const name = first.key.slice(first.key.lastIndexOf('/') + 1);
    return { kind: 'document', bytes: first.value, name, contentType: null, pointer: null };
  }

  #put(kv: EtcdKey): void {
    const key = this.#name(kv.key);
    const before = this.#held.get(key);
    if (before === undefined) this.#sorted = false;
    else this.#bytes -= this.#size(before.entry);
    // A copy: the value is a view that would keep the whole message it came in alive.
    const entry = { key, value: Buffer.from(kv.value) };
    this.#bytes += this.#size(entry);
    this.#held.set(key, { entry, modRevision: BigInt(kv.mod_revision) });
  }

  #remove(key: string): void {
    const before = this.#held.get(key);
    if (before === undefined) return;
    this.#bytes -= this.#size(before.entry);
    this.#held.delete(key);
  }

  /** A key that ends in a slash marks a folder for some tools; it says nothing. */
  #isFolder(key: Buffer): boolean {
    return this.#range.isTree && key.at(-1) === SLASH;
  }

  /** Below the prefix for a tree, whole for a single key. */
  #name(key: Buffer): string {
    if (!isUtf8(key)) {
      throw new EtcdFailure(
        'source.bad-key',
        `the key ${JSON.stringify(key.toString('latin1'))} is not UTF-8`,
      );
    }
    return this.#range.isTree ? key.toString('utf8', this.#range.start.length) : key.toString('utf8');
  }

  /** What an entry counts for in MAX_SIZE; the name of a single key is no part of its document. */
  #size({ key, value }: Entry): number {
    return value.length + (this.#range.isTree ? key.length : 0);
  }

  // Equal content must be given out in an equal order, however it came about.
  #sort(): void {
    if (this.#sorted) return;
    this.#held = new Map([...this.#held].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
    this.#sorted = true;
  }
}

/** Throws the failure of a snapshot beyond MAX_SIZE. `bytes` counts names and values. */
export function refuseTooLarge(keys: number, bytes: number, maxBytes: number): void {
  const problem = sizeProblem(keys, bytes, maxBytes);
  if (problem !== null) throw new EtcdFailure('source.too-large', problem);
}

function sameKeys(a: ReadonlyMap<string, Held>, b: ReadonlyMap<string, Held>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, held] of a) {
    const other = b.get(key);
    if (other?.modRevision !== held.modRevision) return false;
    if (Buffer.compare(other.entry.value, held.entry.value) !== 0) return false;
  }
  return true;
}
