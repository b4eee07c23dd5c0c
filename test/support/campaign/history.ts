// What a store held, one state after the other, and whether what a follower saw can have come from that.
import { createHash } from 'node:crypto';
import type { Content } from '../../../src/source/provider.ts';
import type { Change } from './sequence.ts';

/** Keys and values; long values by `short`. */
export type State = Readonly<Record<string, string>>;

/** A state, and the revision that its snapshot must carry; null where that is not known. */
export interface Moment {
  readonly state: State;
  readonly revision: string | null;
}

/** A snapshot as it was seen. */
export interface Seen {
  readonly state: State;
  readonly revision: string;
}

/** A value that can be kept and shown: the text, or length and digest of a long one. */
function short(value: string): string {
  if (value.length <= 60) return value;
  return `${value.length} bytes, ${createHash('sha1').update(value).digest('hex').slice(0, 12)}`;
}

/** The state of a tree; of nothing, no keys. */
export function stateOfTree(content: Content): State {
  if (content.kind === 'nothing') return {};
  if (content.kind !== 'tree') throw new Error(`Expected a tree, got a ${content.kind}`);
  return shortState(content.entries.map(({ key, value }) => [key, Buffer.from(value).toString()]));
}

/** A state from keys and whole values. */
export function shortState(entries: Iterable<readonly [string, string]>): State {
  return Object.fromEntries(Array.from(entries, ([key, value]) => [key, short(value)]));
}

/** The same text for the same state. */
export function show(state: State): string {
  const entries = Object.entries(state).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(Object.fromEntries(entries));
}

/** Every state the store had, in order; where the outcome of a write is unknown, several at the same place. */
export class History {
  #moments: (readonly Moment[])[];
  #isSure: boolean = true;

  constructor(first: Moment) {
    this.#moments = [[first]];
  }

  /** What the store holds now, as far as that is known. */
  get latest(): State {
    return this.#last[0]?.state ?? {};
  }

  get #last(): readonly Moment[] {
    return this.#moments.at(-1) ?? [];
  }

  /** A write that succeeded. */
  wrote(changes: readonly Change[], revision: string | null): void {
    const known = this.#isSure ? revision : null;
    this.#moments.push(this.#last.map(({ state }) => ({ state: changed(state, changes), revision: known })));
  }

  /** A write of which it is unknown whether it was carried out. */
  mayHaveWritten(changes: readonly Change[]): void {
    this.#isSure = false;
    const after = this.#last.map(({ state }) => ({ state: changed(state, changes), revision: null }));
    this.#moments.push([...this.#last, ...after]);
  }

  /** A state that came about in another way. */
  became(state: State): void {
    this.#moments.push([{ state, revision: null }]);
  }

  /** Why these snapshots cannot be the store's states in their order; null when they can. */
  contradiction(seen: readonly Seen[]): string | null {
    let from = 0;
    for (const snapshot of seen) {
      const wanted = show(snapshot.state);
      const holds = (moment: Moment): boolean => show(moment.state) === wanted;
      const belongs = ({ revision }: Moment): boolean => revision === null || revision === snapshot.revision;
      const at = this.#moments.findIndex(
        (moments, index) => index >= from && moments.some((moment) => holds(moment) && belongs(moment)),
      );
      if (at >= 0) {
        from = at;
        continue;
      }
      const ever = this.#moments.flat().filter(holds);
      if (ever.length === 0) return `the store never held ${wanted} (seen at revision ${snapshot.revision})`;
      if (ever.some(belongs)) return `${wanted} was seen after a later state`;
      return `${wanted} was seen at revision ${snapshot.revision}, it has ${ever.map((moment) => moment.revision).join(' or ')}`;
    }
    return null;
  }

  /** The same for a source that cannot be read at one instant: every key by itself held what was seen. */
  contradictionPerKey(seen: readonly Seen[]): string | null {
    const held = new Map<string, Set<string | undefined>>();
    const keys = new Set([...this.#moments.flat(), ...seen].flatMap(({ state }) => Object.keys(state)));
    for (const key of keys) held.set(key, new Set(this.#moments.flat().map(({ state }) => state[key])));
    for (const { state } of seen) {
      for (const key of keys) {
        if (held.get(key)?.has(state[key]) !== true)
          return `"${key}" never was ${JSON.stringify(state[key])}`;
      }
    }
    return null;
  }

  /** For the report of a failure. */
  lines(): string[] {
    return this.#moments.map((moments) =>
      moments.map(({ state, revision }) => `${show(state)}${revision ? ` at ${revision}` : ''}`).join(' or '),
    );
  }
}

function changed(state: State, changes: readonly Change[]): State {
  const next: Record<string, string> = { ...state };
  for (const { key, value } of changes) {
    if (value === null) delete next[key];
    else next[key] = short(value);
  }
  return next;
}

/** The revision of each key's last write, for stores whose revision is the highest among the keys there are. */
export interface Revisions {
  /** Takes a write at this revision, and returns the highest revision there is now; null when no key is left. */
  wrote(changes: readonly Change[], revision: string): string | null;
  /** Remembers what is known now; called, the answer brings that back. */
  save(): () => void;
}

/** Knows no key. */
export function highestRevision(): Revisions {
  let revisions = new Map<string, bigint>();
  return {
    wrote: (changes, revision) => {
      for (const { key, value } of changes) {
        if (value === null) revisions.delete(key);
        else revisions.set(key, BigInt(revision));
      }
      const all = [...revisions.values()];
      return all.length === 0 ? null : String(all.reduce((a, b) => (a > b ? a : b)));
    },
    save: () => {
      const saved = new Map(revisions);
      return () => {
        revisions = new Map(saved);
      };
    },
  };
}
