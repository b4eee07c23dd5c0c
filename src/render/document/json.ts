// JSON, more strictly than the language reads it: no duplicate keys, no rounded integers, positions in every error.
import { atOnce, type Sliced } from '../../lib/slices.ts';
import { maxValues, tooManyValues } from './budget.ts';
import { FormatError, positionAt } from './format-error.ts';
import { Bytes, Decimal, exactNumber } from './special.ts';
import {
  createMap,
  isBroken,
  isList,
  isMap,
  MAX_DEPTH,
  notText,
  partsOf,
  type Value,
  type ValueMap,
} from './value.ts';

interface Cursor {
  readonly text: string;
  at: number;
  /** How many more values are believed. */
  left: number;
}

/** What keeps a text from being JSON, as opposed to JSON that we refuse: see `isSyntaxFault`. */
class SyntaxFault extends FormatError {}

/** True when the text was no JSON at all, false when it was JSON that says something we refuse. */
export function isSyntaxFault(fault: unknown): boolean {
  return fault instanceof SyntaxFault;
}

/**
 * Reads JSON (RFC 8259). Integers beyond 2^53 become bigint; decimals keep their text.
 * @throws FormatError with line and column; duplicate keys, numbers too large for any reader and half surrogate pairs too.
 */
export function parseJson(text: string): Value {
  return atOnce(parsingJson(text));
}

/** The same in slices. */
export function* parsingJson(text: string): Sliced<Value> {
  const cursor: Cursor = { text, at: 0, left: maxValues() };
  const value = opens(cursor, 0) ? yield* readParts(cursor, 0) : readScalar(cursor);
  skipBlanks(cursor);
  if (cursor.at < text.length) throw unexpected(cursor, 'the end');
  return value;
}

/** Whether the next value, at this depth, is a map or a list. */
function opens(cursor: Cursor, depth: number): boolean {
  skipBlanks(cursor);
  if (depth > MAX_DEPTH) throw refused(cursor, `it is nested deeper than ${MAX_DEPTH} levels`);
  cursor.left -= 1;
  if (cursor.left < 0) throw new FormatError(tooManyValues());
  const char = cursor.text[cursor.at];
  return char === '{' || char === '[';
}

function readParts(cursor: Cursor, depth: number): Sliced<Value> {
  return cursor.text[cursor.at] === '{' ? readMap(cursor, depth) : readList(cursor, depth);
}

/** At its first character. */
function readScalar(cursor: Cursor): Value {
  const char = cursor.text[cursor.at];
  if (char === '"') return readString(cursor);
  if (char === 't') return readWord(cursor, 'true', true);
  if (char === 'f') return readWord(cursor, 'false', false);
  if (char === 'n') return readWord(cursor, 'null', null);
  return readNumber(cursor);
}

function* readMap(cursor: Cursor, depth: number): Sliced<Value> {
  const map = createMap();
  cursor.at += 1;
  if (takes(cursor, '}')) return map;
  do {
    skipBlanks(cursor);
    const start = cursor.at;
    if (cursor.text[start] !== '"') throw unexpected(cursor, 'a key in double quotes');
    const key = readString(cursor);
    if (key in map) throw refused({ ...cursor, at: start }, 'this key appears twice');
    if (!takes(cursor, ':')) throw unexpected(cursor, 'a colon');
    map[key] = opens(cursor, depth + 1) ? yield* readParts(cursor, depth + 1) : readScalar(cursor);
    yield;
  } while (takes(cursor, ','));
  if (!takes(cursor, '}')) throw unexpected(cursor, 'a comma or a closing brace');
  return map;
}

function* readList(cursor: Cursor, depth: number): Sliced<Value> {
  const list: Value[] = [];
  cursor.at += 1;
  if (takes(cursor, ']')) return list;
  do {
    list.push(opens(cursor, depth + 1) ? yield* readParts(cursor, depth + 1) : readScalar(cursor));
    yield;
  } while (takes(cursor, ','));
  if (!takes(cursor, ']')) throw unexpected(cursor, 'a comma or a closing bracket');
  return list;
}

/** What stands in a string for itself: found at once, and not character by character. */
const PLAIN = /[^"\\\u0000-\u001f]*/y;

function readString(cursor: Cursor): string {
  const { text, at: start } = cursor;
  PLAIN.lastIndex = start + 1;
  PLAIN.test(text);
  let end = PLAIN.lastIndex;
  let plain = true;
  for (let code = text.charCodeAt(end); code !== 0x22; code = text.charCodeAt(end)) {
    // NaN, the code beyond the end, compares false with everything.
    if (!(code >= 0x20)) throw syntax({ ...cursor, at: end }, endOrControl(end, text));
    if (code === 0x5c) plain = false;
    end += code === 0x5c ? 2 : 1;
  }
  cursor.at = end + 1;
  if (plain) return text.slice(start + 1, end);
  return undoEscapes(cursor, start, end + 1);
}

function undoEscapes(cursor: Cursor, start: number, end: number): string {
  let string: string;
  try {
    string = JSON.parse(cursor.text.slice(start, end)) as string;
  } catch {
    throw syntax({ ...cursor, at: start }, 'this string has an escape that JSON does not know');
  }
  if (isBroken(string)) throw refused({ ...cursor, at: start }, 'this string has half of a surrogate pair');
  return string;
}

function endOrControl(at: number, text: string): string {
  return at >= text.length
    ? 'a string is not closed'
    : 'a string holds a control character that is not escaped';
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;

function readNumber(cursor: Cursor): number | bigint | Decimal {
  NUMBER.lastIndex = cursor.at;
  const match = NUMBER.exec(cursor.text);
  if (match === null) throw unexpected(cursor, 'a value');
  const number = Number(match[0]);
  if (!Number.isFinite(number)) throw refused(cursor, 'this number is too large');
  cursor.at = NUMBER.lastIndex;
  const whole = match[1] === undefined && match[2] === undefined;
  if (!whole) return exactNumber(match[0]);
  return Number.isSafeInteger(number) ? number : BigInt(match[0]);
}

function readWord<T extends Value>(cursor: Cursor, word: string, value: T): T {
  if (!cursor.text.startsWith(word, cursor.at)) throw unexpected(cursor, 'a value');
  cursor.at += word.length;
  return value;
}

function skipBlanks(cursor: Cursor): void {
  const { text } = cursor;
  for (let code = text.charCodeAt(cursor.at); ; code = text.charCodeAt(cursor.at)) {
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
    cursor.at += 1;
  }
}

function takes(cursor: Cursor, char: string): boolean {
  skipBlanks(cursor);
  if (cursor.text[cursor.at] !== char) return false;
  cursor.at += 1;
  return true;
}

function unexpected(cursor: Cursor, expected: string): FormatError {
  const what = cursor.at >= cursor.text.length ? 'the text ends' : 'unexpected text';
  return syntax(cursor, `${what} where ${expected} is expected`);
}

function syntax({ text, at }: Cursor, reason: string): FormatError {
  return new SyntaxFault(reason, { position: positionAt(text, at) });
}

function refused({ text, at }: Cursor, reason: string): FormatError {
  return new FormatError(reason, { position: positionAt(text, at) });
}

/**
 * Writes JSON, `indent` blanks per level; 0 gives one line. No line break at the end.
 * @throws FormatError on numbers that are not finite.
 */
export function serialiseJson(value: Value, indent = 2): string {
  return atOnce(writingJson(value, indent));
}

/** JSON for a value that JSON has no form of its own for; null: none. */
type Special = (value: Value) => string | null;

/** The same in slices. */
export function* writingJson(value: Value, indent = 2, special: Special = () => null): Sliced<string> {
  const layout = { step: ' '.repeat(indent), path: [], special };
  return hasParts(value)
    ? yield* writeParts(value, indent === 0 ? '' : '\n', layout)
    : writeScalar(value, layout);
}

interface Layout {
  /** What every level is further to the right. */
  readonly step: string;
  readonly path: string[];
  readonly special: Special;
}

function hasParts(value: Value): value is ValueMap | readonly Value[] {
  return isMap(value) || isList(value);
}

function writeScalar(value: Exclude<Value, ValueMap | readonly Value[]>, layout: Layout): string {
  if (value instanceof Decimal) return value.text;
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return value.toString();
  const special = typeof value === 'object' || typeof value === 'number' ? layout.special(value) : null;
  if (special !== null) return special;
  if (value instanceof Bytes) throw notText([...layout.path]);
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new FormatError('it is not a finite number, which JSON cannot express', { path: [...layout.path] });
  }
  return JSON.stringify(value);
}

function* writeParts(parts: ValueMap | readonly Value[], newline: string, layout: Layout): Sliced<string> {
  const isNamed = isMap(parts);
  const inner = newline + layout.step;
  const colon = newline === '' ? ':' : ': ';
  let text = '';
  for (const [key, part] of partsOf(parts)) {
    layout.path.push(key);
    const name = isNamed ? JSON.stringify(key) + colon : '';
    const written = hasParts(part) ? yield* writeParts(part, inner, layout) : writeScalar(part, layout);
    text += `${text === '' ? '' : ','}${inner}${name}${written}`;
    layout.path.pop();
    yield;
  }
  const end = text === '' ? '' : newline;
  return isNamed ? `{${text}${end}}` : `[${text}${end}]`;
}
