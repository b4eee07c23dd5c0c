// The one shape that every format is read into and written from.
import { atOnce, type Sliced } from '../../lib/slices.ts';
import { maxValues, tooManyValues } from './budget.ts';
import { FormatError, showPath } from './format-error.ts';
import { Bytes, Decimal, Special } from './special.ts';

/**
 * A parsed value. Maps have no prototype, so a key named `__proto__` or `constructor` is a key like any other.
 * Integers beyond 2^53 are bigint and never rounded; a Date comes from TOML only. Bytes are a key's value that is not UTF-8,
 * a Decimal a number with a text of its own. All text is well-formed Unicode.
 */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Date
  | Bytes
  | Decimal
  | readonly Value[]
  | ValueMap;

export interface ValueMap {
  readonly [key: string]: Value;
}

/** Deepest nesting that is read or written. Reading and writing recurse, and no configuration is deeper. */
export const MAX_DEPTH = 100;

/** A map to be filled: safe for any key. */
export function createMap(): Record<string, Value> {
  return Object.create(null) as Record<string, Value>;
}

export function isMap(value: Value | undefined): value is ValueMap {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return !(value instanceof Special || value instanceof Date);
}

export function isList(value: Value | undefined): value is readonly Value[] {
  return Array.isArray(value);
}

/** True when a text has half of a surrogate pair: no encoding can carry that. */
export function isBroken(text: string): boolean {
  // Under the flag `u` a whole pair is one code point and does not match.
  return /[\ud800-\udfff]/u.test(text);
}

/** The parts with their names, one after the other: `Object.entries` of a large map holds the loop up four times as long. */
export function* partsOf(
  parts: ValueMap | readonly Value[],
): Generator<readonly [string, Value], void, void> {
  if (isList(parts)) for (const [index, part] of parts.entries()) yield [`${index}`, part];
  else for (const key of Object.keys(parts)) yield [key, parts[key] as Value];
}

/**
 * Copies what a library parsed into our shape. Aliases of YAML can stand for far more values than there is text.
 * @throws FormatError on lone surrogates, on too many values, too deep nesting, and on what is no value.
 */
export function toValue(parsed: unknown): Value {
  return toValueAt(parsed, [], { left: maxValues() });
}

function toValueAt(parsed: unknown, path: readonly string[], budget: { left: number }): Value {
  budget.left -= 1;
  if (budget.left < 0) throw new FormatError(tooManyValues());
  if (path.length > MAX_DEPTH) throw new FormatError(`it is nested deeper than ${MAX_DEPTH} levels`);
  if (typeof parsed === 'string') return checked(parsed, path);
  if (parsed === null || typeof parsed === 'boolean' || typeof parsed === 'number') return parsed;
  if (typeof parsed === 'bigint' || parsed instanceof Date || parsed instanceof Decimal) return parsed;
  if (Array.isArray(parsed))
    return parsed.map((item, index) => toValueAt(item, [...path, `${index}`], budget));
  if (typeof parsed !== 'object') throw new FormatError(`the entry at "${showPath(path)}" is not a value`);
  const map = createMap();
  for (const [key, item] of Object.entries(parsed)) {
    map[checked(key, path)] = toValueAt(item, [...path, key], budget);
  }
  return map;
}

function checked(text: string, path: readonly string[]): string {
  if (isBroken(text)) throw new FormatError(`a text at "${showPath(path)}" has half of a surrogate pair`);
  return text;
}

/** The same value with dates as text, for readers that know none. */
export function datesAsText(value: Value): Value {
  return atOnce(writingDates(value));
}

/** The same in slices. */
export function writingDates(value: Value): Sliced<Value> {
  return replacing(value, (one) => (one instanceof Date ? one.toISOString() : one));
}

/** A copy with another value in the place of each that is neither a map nor a list, in slices. */
export function* replacing(value: Value, replacementOf: (one: Value) => Value): Sliced<Value> {
  if (isList(value)) {
    const list: Value[] = [];
    for (const item of value) list.push(yield* replacing(item, replacementOf));
    return list;
  }
  if (!isMap(value)) return replacementOf(value);
  const map = createMap();
  for (const [key, item] of partsOf(value)) {
    map[key] = yield* replacing(item, replacementOf);
    yield;
  }
  return map;
}

/** How many values there are, maps and lists included; no further than `limit`. */
export function countValues(value: Value, limit: number): number {
  let count = 1;
  if (!isMap(value) && !isList(value)) return count;
  for (const [, part] of partsOf(value)) {
    if (count >= limit) return limit;
    count += countValues(part, limit - count);
  }
  return count;
}

/** One value and where it is. */
export interface Leaf {
  readonly path: readonly string[];
  readonly value: Value;
}

/**
 * Every value that has no parts, in the order of the value. What is empty has no leaves, as a folder without keys.
 * With `lists: false` a list is a leaf.
 */
export function leavesOf(value: Value, options: { readonly lists: boolean }): Leaf[] {
  return atOnce(collectingLeaves(value, options));
}

/** The same in slices. */
export function* collectingLeaves(value: Value, options: { readonly lists: boolean }): Sliced<Leaf[]> {
  const leaves: Leaf[] = [];
  const hasParts = (item: Value): boolean => isMap(item) || (options.lists && isList(item));
  function* collect(parts: ValueMap | readonly Value[], path: readonly string[]): Sliced<void> {
    for (const [key, part] of partsOf(parts)) {
      const at = [...path, key];
      if (hasParts(part)) yield* collect(part as ValueMap, at);
      else leaves.push({ path: at, value: part });
      yield;
    }
  }
  if (hasParts(value)) yield* collect(value as ValueMap, []);
  else leaves.push({ path: [], value });
  return leaves;
}

/** Bytes stand where a format, a template or a filter needs text. */
export function notText(path: readonly string[]): FormatError {
  return new FormatError('it is not UTF-8 text; publish it as a file, or write it with the filter base64', {
    path,
  });
}

/**
 * A single value as text, as JSON would print it but for the quotes of a string.
 * @throws FormatError on null, lists, maps, and numbers that JSON has not.
 */
export function scalarText(value: Value, path: readonly string[]): string {
  if (value === null) throw new FormatError('it is null, which this format cannot express', { path });
  if (value instanceof Bytes) throw notText(path);
  if (value instanceof Date) return value.toISOString();
  if (isList(value)) throw new FormatError('it is a list, which this format cannot hold', { path });
  if (isMap(value)) throw new FormatError('it is a map, which this format cannot hold here', { path });
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new FormatError('it is not a finite number, which this format cannot express', { path });
  }
  return String(value);
}

/**
 * Refuses control characters other than those allowed, and what some readers take for the end of a line (U+0085,
 * U+2028, U+2029): a value must never become a second line.
 * @throws FormatError naming the character.
 */
export function refuseControls(text: string, allowed: string, path: readonly string[]): void {
  for (const [found] of text.matchAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g)) {
    if (allowed.includes(found)) continue;
    const name = found === '\n' ? 'a line break' : `the control character ${codeName(found)}`;
    throw new FormatError(`it holds ${name}, which this format cannot carry safely`, { path });
  }
}

function codeName(char: string): string {
  return `U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}
