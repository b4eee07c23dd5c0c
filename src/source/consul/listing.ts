// Reads the listings a Consul agent answers with: a slice at a time, so that many keys hold nothing else up, and of the
// next listing only what differs, so that a change of one key costs about one key.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { countJsonParts } from '../../lib/json-parts.ts';
import type { Entry } from '../provider.ts';
import { sizeProblem } from '../size-budget.ts';
import { ConsulFailure } from './failure.ts';

export interface ConsulItem {
  /** Under the key's whole name. */
  readonly key: string;
  /** Under its name below the prefix; the same object as in the listing before where nothing has changed. */
  readonly entry: Entry;
  /** The store's index when the value was put. */
  readonly modifyIndex: number;
}

/**
 * The items of an answer's body. Throws a ConsulFailure `source.bad-answer` for what is not JSON, no list, or a list
 * of something other than keys, `source.too-large` for too many. Looks at the signal between two slices and throws its reason.
 */
export type ListingReader = (body: Buffer, signal: AbortSignal) => Promise<ConsulItem[]>;

/** Some items that stand one after the other in a list, which is without its brackets here. */
interface Slice {
  readonly from: number;
  /** Where the comma stands, or the list ends. */
  readonly to: number;
  readonly items: readonly ConsulItem[];
}

interface Listing {
  readonly bytes: Buffer;
  readonly slices: readonly Slice[];
}

/** Parsed in one turn of the event loop: about a millisecond of work. */
const SLICE_BYTES = 16 * 1024;
/** Listings are compared in blocks of this many bytes. */
const BLOCK_BYTES = 4 * 1024;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPENING = 0x7b;
const CLOSING = 0x7d;

/** What a reader needs to know. */
export interface ListingOptions {
  /** Entries are named without so many characters. */
  readonly prefixLength: number;
  /** `MAX_SIZE`, which bounds the number of keys too. */
  readonly maxBytes: number;
}

/** A reader that keeps the listing before to compare with. */
export function createListingReader({ prefixLength, maxBytes }: ListingOptions): ListingReader {
  let known: Listing = { bytes: Buffer.alloc(0), slices: [] };
  return async (body, signal) => {
    const bytes = withoutBrackets(body);
    const { head, tail } = unchanged(known, bytes);
    const from = (head.at(-1)?.to ?? -1) + 1;
    const to = tail[0] === undefined ? bytes.length : tail[0].from - 1;
    const middle: Slice[] = [];
    let count = 0;
    // Nothing is between two slices that meet; a list without items has nothing either.
    if (from <= to && bytes.length > 0) {
      for (let at = from; at <= to; at = (middle.at(-1)?.to ?? to) + 1) {
        if (at > from) await nextTurn();
        signal.throwIfAborted();
        const slice = readSlice(bytes, at, to, prefixLength);
        middle.push(slice);
        count += slice.items.length;
        refuseTooMany(count, maxBytes);
      }
    }
    known = { bytes, slices: [...head, ...middle, ...tail] };
    return known.slices.flatMap(({ items }) => items);
  };
}

/** A listing has eight values for a hundred bytes; each costs memory, however short it is. */
const MANY_PARTS = 10_000;
const LEAST_PART_BYTES = 8;

/** While it is read: a million small keys take far more memory than their text. */
function refuseTooMany(count: number, maxBytes: number): void {
  const problem = sizeProblem(count, 0, maxBytes);
  if (problem !== null) throw new ConsulFailure('source.too-large', problem);
}

/**
 * The slices at the front and at the back that stand in the new listing as they did. What lies between is parsed as
 * a list of its own: when that works, the slices behind it begin where an item begins.
 */
function unchanged(known: Listing, bytes: Buffer): { readonly head: Slice[]; readonly tail: Slice[] } {
  const { front, back } = equalEnds(known.bytes, bytes);
  const moved = bytes.length - known.bytes.length;
  const head = known.slices.filter(({ to }) => to < front);
  const taken = head.at(-1)?.to ?? -1;
  const tail = known.slices
    .slice(head.length)
    .filter(({ from }) => from > known.bytes.length - back && from + moved > taken)
    .map(({ from, to, items }) => ({ from: from + moved, to: to + moved, items }));
  return { head, tail };
}

/** How many bytes are the same at the front and at the back, in whole blocks; the end counts as one of them. */
function equalEnds(a: Buffer, b: Buffer): { readonly front: number; readonly back: number } {
  if (a.equals(b)) return { front: a.length + 1, back: 0 };
  const shorter = Math.min(a.length, b.length);
  const isEqual = (fromA: number, fromB: number): boolean =>
    a.compare(b, fromB, fromB + BLOCK_BYTES, fromA, fromA + BLOCK_BYTES) === 0;
  let front = 0;
  while (front + BLOCK_BYTES <= shorter && isEqual(front, front)) front += BLOCK_BYTES;
  let back = BLOCK_BYTES;
  while (front + back <= shorter && isEqual(a.length - back, b.length - back)) back += BLOCK_BYTES;
  return { front, back: back - BLOCK_BYTES };
}

function withoutBrackets(body: Buffer): Buffer {
  const end = body.at(-1) === 0x0a ? body.length - 1 : body.length;
  if (body[0] === 0x5b && body[end - 1] === 0x5d) return body.subarray(1, end - 1);
  parse(body.toString());
  throw new ConsulFailure('source.bad-answer', 'answered 200 with something other than keys');
}

function readSlice(bytes: Buffer, from: number, end: number, prefixLength: number): Slice {
  const seam = findSeam(bytes, from + SLICE_BYTES);
  const to = seam === -1 || seam >= end ? end : seam;
  if (countJsonParts(bytes.subarray(from, to)) > MANY_PARTS + (to - from) / LEAST_PART_BYTES) {
    throw new ConsulFailure('source.bad-answer', 'the answer holds something that is no key');
  }
  const items = parse(`[${bytes.toString('utf8', from, to)}]`).map((item) => readItem(item, prefixLength));
  // A comma too many: between two commas, or a comma and the end, there is nothing.
  if (items.length === 0) throw notJson();
  return { from, to, items };
}

/**
 * The first comma behind `from` that stands between two items, or -1: `}`, the comma, `{`, a quote and a letter, with or
 * without white space. Inside a string a bare quote ends it, and what follows is never a letter: so no key and no value
 * can hold this.
 */
function findSeam(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(OPENING, from); at !== -1; at = bytes.indexOf(OPENING, at + 1)) {
    const quote = skipSpace(bytes, at + 1, 1);
    const comma = skipSpace(bytes, at - 1, -1);
    const isSeam =
      bytes[quote] === QUOTE &&
      isLetter(bytes[quote + 1] ?? 0) &&
      bytes[comma] === COMMA &&
      bytes[skipSpace(bytes, comma - 1, -1)] === CLOSING;
    if (isSeam && comma >= from) return comma;
  }
  return -1;
}

function skipSpace(bytes: Buffer, from: number, step: 1 | -1): number {
  let at = from;
  while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at += step;
  return at;
}

function isLetter(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}

function parse(text: string): readonly unknown[] {
  try {
    return JSON.parse(text);
  } catch {
    throw notJson();
  }
}

/** Without the parser's own words, which quote the text. */
function notJson(): ConsulFailure {
  return new ConsulFailure('source.bad-answer', 'the answer is not the JSON it says it is');
}

function readItem(item: unknown, prefixLength: number): ConsulItem {
  const { Key: key, Value: text, ModifyIndex: modifyIndex } = Object(item) as Record<string, unknown>;
  const value = text === null ? Buffer.alloc(0) : decode(text);
  if (typeof key !== 'string' || value === null || !Number.isSafeInteger(modifyIndex)) {
    throw new ConsulFailure('source.bad-answer', 'the answer has an entry that is not a key');
  }
  return { key, entry: { key: key.slice(prefixLength), value }, modifyIndex: Number(modifyIndex) };
}

/** Node.js silently skips what is not base64; the length shows it. */
function decode(text: unknown): Buffer | null {
  if (typeof text !== 'string') return null;
  const bytes = Buffer.from(text, 'base64');
  return text.length % 4 === 0 && bytes.length === Buffer.byteLength(text, 'base64') ? bytes : null;
}
