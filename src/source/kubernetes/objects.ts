// The ConfigMaps or Secrets of one source as last known: replaced by a list, moved on by events, given out as a snapshot.
import { shownKey } from '../../lib/bounds.ts';
import type { Content, Entry, Snapshot } from '../provider.ts';
import { sizeProblem } from '../size-budget.ts';
import { KubernetesFailure } from './failure.ts';
import { isKey, type KubernetesPlace, type Resource } from './url.ts';

/** One object, as far as it counts. */
interface Held {
  readonly resourceVersion: string;
  readonly entries: readonly Entry[];
}

/** An object as JSON of the API. */
interface Given {
  readonly metadata?: { readonly name?: unknown; readonly resourceVersion?: unknown };
  readonly data?: unknown;
  readonly binaryData?: unknown;
}

/** Mutable state of one watch. */
export class KubernetesObjects {
  readonly #place: KubernetesPlace;
  readonly #maxBytes: number;
  #held = new Map<string, Held>();

  constructor(place: KubernetesPlace, maxBytes: number) {
    this.#place = place;
    this.#maxBytes = maxBytes;
  }

  /** Whether there is no object at all. */
  get isEmpty(): boolean {
    return this.#held.size === 0;
  }

  /** Begins to read a whole list, page by page. Nothing is taken for the truth before `end`, which says whether the content is another one now. */
  beginList(): { readonly add: (objects: readonly unknown[]) => void; readonly end: () => boolean } {
    const listed = new Map<string, Held>();
    return {
      add: (objects) => {
        for (const object of objects) listed.set(...this.#read(object));
        refuseTooLarge(listed, this.#maxBytes);
      },
      end: () => {
        const before = this.#held;
        this.#held = listed;
        return !isSame(before, listed);
      },
    };
  }

  /** An object that was added, changed or deleted. Says whether the content is another one now. */
  apply(object: unknown, isDeleted: boolean): boolean {
    const [name, now] = this.#read(object);
    const before = this.#held.get(name);
    if (isDeleted) return this.#held.delete(name);
    this.#held.set(name, now);
    refuseTooLarge(this.#held, this.#maxBytes);
    return before === undefined || !isSameObject(before, now);
  }

  /** The content now, under the highest version among its objects; of a selector with their number. */
  snapshot(): Snapshot {
    let highest = 0n;
    for (const { resourceVersion } of this.#held.values()) {
      if (BigInt(resourceVersion) > highest) highest = BigInt(resourceVersion);
    }
    const count = this.#place.wanted.kind === 'selector' ? `/${this.#held.size}` : '';
    return { revision: `${highest}${count}`, content: this.#content() };
  }

  #content(): Content {
    const { key, pointer } = this.#place;
    const objects = [...this.#held].sort(([a], [b]) => byText(a, b));
    const merged = new Map(objects.flatMap(([, { entries }]) => entries.map((entry) => [entry.key, entry])));
    if (key !== null) {
      const bytes = merged.get(key)?.value ?? new Uint8Array();
      if (bytes.length === 0) return { kind: 'nothing' };
      return { kind: 'document', bytes, name: key, contentType: null, pointer };
    }
    const entries = [...merged.values()].sort((a, b) => byText(a.key, b.key));
    return entries.length === 0 ? { kind: 'nothing' } : { kind: 'tree', entries };
  }

  #read(object: unknown): [name: string, held: Held] {
    const { metadata = {}, data, binaryData } = (object ?? {}) as Given;
    const { name, resourceVersion } = metadata;
    const { resource, wanted } = this.#place;
    if (
      typeof name !== 'string' ||
      typeof resourceVersion !== 'string' ||
      !/^\d{1,20}$/.test(resourceVersion)
    ) {
      throw badAnswer('an object without name and version');
    }
    // A gateway may return the answer to another request.
    if (wanted.kind === 'name' && name !== wanted.name) throw badAnswer('an object that was not asked for');
    const entries = [
      ...entriesOf(data, resource),
      ...(resource === 'configmaps' ? entriesOf(binaryData, 'secrets') : []),
    ];
    return [name, { resourceVersion, entries }];
  }
}

/** An object without keys counts as one: it costs as much. */
function refuseTooLarge(held: ReadonlyMap<string, Held>, maxBytes: number): void {
  let [keys, bytes] = [0, 0];
  for (const { entries } of held.values()) {
    keys += Math.max(1, entries.length);
    for (const { key, value } of entries) bytes += key.length + value.length;
  }
  const problem = sizeProblem(keys, bytes, maxBytes);
  if (problem !== null) throw new KubernetesFailure('source.too-large', problem);
}

/** Text in `data` of a ConfigMap; Base64 in `binaryData` and in a Secret. */
function entriesOf(data: unknown, resource: Resource): readonly Entry[] {
  if (data === undefined || data === null) return [];
  if (typeof data !== 'object') throw badAnswer('an object whose data is not a map');
  return Object.entries(data).map(([key, text]: [string, unknown]) => {
    if (!isKey(key)) {
      throw new KubernetesFailure(
        'source.bad-key',
        `the key "${shownKey(key)}" cannot be the name of a file`,
      );
    }
    if (typeof text !== 'string') throw badAnswer('a value that is not text');
    if (resource === 'configmaps') return { key, value: Buffer.from(text) };
    const value = Buffer.from(text, 'base64');
    if (value.toString('base64') !== text) throw badAnswer('a value that is not Base64');
    return { key, value };
  });
}

/** The API said something that it never says. */
export function badAnswer(what: string): KubernetesFailure {
  return new KubernetesFailure(
    'source.bad-answer',
    `the server sent ${what}; is it a Kubernetes API server?`,
  );
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isSame(a: ReadonlyMap<string, Held>, b: ReadonlyMap<string, Held>): boolean {
  if (a.size !== b.size) return false;
  for (const [name, held] of a) {
    const other = b.get(name);
    if (other === undefined || !isSameObject(held, other)) return false;
  }
  return true;
}

/** Labels and annotations may change without the data. */
function isSameObject(a: Held, b: Held): boolean {
  if (a.entries.length !== b.entries.length) return false;
  const values = new Map(b.entries.map(({ key, value }) => [key, value]));
  return a.entries.every(({ key, value }) => {
    const other = values.get(key);
    return other !== undefined && Buffer.compare(value, other) === 0;
  });
}
