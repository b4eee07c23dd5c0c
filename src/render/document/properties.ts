// Java properties, by the rules of java.util.Properties; written in ASCII, so that every version of Java reads the same.
import { atOnce, type Sliced } from '../../lib/slices.ts';
import { FormatError, positionAt, showPath } from './format-error.ts';
import { type Named, nesting } from './keys.ts';
import { isBroken, isMap, leavesOf, refuseControls, scalarText, type Value } from './value.ts';

/**
 * Reads a properties document; `a.b=1` is `b` in `a`, every value is text.
 * @throws FormatError with the line; duplicate keys, malformed `\u` escapes, and a key that is both value and folder too.
 */
export function parseProperties(text: string): Value {
  return atOnce(parsingProperties(text));
}

/** The same in slices. */
export function* parsingProperties(text: string): Sliced<Value> {
  const named: Named[] = [];
  const seen = new Set<string>();
  for (const { content, offset } of logicalLines(text)) {
    yield;
    const fault = (reason: string) => new FormatError(reason, { position: positionAt(text, offset) });
    const [, rawKey = '', rawValue = ''] = KEY_AND_VALUE.exec(content) ?? [];
    const key = undoEscapes(rawKey, fault);
    if (seen.has(key)) throw fault('this key appears twice');
    seen.add(key);
    named.push({ path: key.split('.'), value: undoEscapes(rawValue, fault) });
  }
  return yield* nesting(named, '.');
}

const KEY_AND_VALUE = /^((?:[^\\ \t\f=:]|\\.)*)[ \t\f]*[=:]?[ \t\f]*(.*)$/s;

interface LogicalLine {
  readonly content: string;
  readonly offset: number;
}

/** Natural lines joined where one ends in an odd number of backslashes; blank and comment lines left out. */
function* logicalLines(text: string): Generator<LogicalLine, void, void> {
  let joined: LogicalLine | null = null;
  for (const match of text.matchAll(/([^\r\n]*)(\r\n|\r|\n|$)/g)) {
    const line = (match[1] ?? '').replace(/^[ \t\f]+/, '');
    if (joined === null && (line === '' || /^[#!]/.test(line))) continue;
    const continued = /(?:^|[^\\])(?:\\\\)*\\$/.test(line);
    const { content, offset }: LogicalLine = joined ?? { content: '', offset: match.index };
    joined = { content: content + (continued ? line.slice(0, -1) : line), offset };
    if (continued && match[2] !== '') continue;
    yield joined;
    joined = null;
  }
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };

function undoEscapes(text: string, fault: (reason: string) => FormatError): string {
  const plain = text.replace(/\\(?:u([0-9A-Fa-f]{4})|(.))/gs, (_, hex: string | undefined, char: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (char === 'u') throw fault('"\\u" is not followed by four hexadecimal digits');
    return ESCAPES[char] ?? char;
  });
  if (isBroken(plain)) throw fault('a text has half of a surrogate pair');
  return plain;
}

/**
 * Writes a properties document: the parts of a path joined with `.`, the items of a list numbered from 0.
 * @throws FormatError on null, on control characters other than tab, line break, carriage return and form feed, and on two
 * paths that make one key.
 */
export function serialiseProperties(value: Value): string {
  if (!isMap(value)) throw new FormatError('a properties document is a map', { path: [] });
  const keys = new Map<string, readonly string[]>();
  const lines: string[] = [];
  for (const { path, value: leaf } of leavesOf(value, { lists: true })) {
    const key = path.join('.');
    const other = keys.get(key);
    if (other !== undefined)
      throw new FormatError(`it would be the same key "${key}" as "${showPath(other)}"`, { path });
    keys.set(key, path);
    const text = scalarText(leaf, path);
    refuseControls(key, '\t\n\r\f', path);
    refuseControls(text, '\t\n\r\f\u2028\u2029', path);
    lines.push(`${escapeText(key, /[ =:#!\\]/g)}=${escapeText(text, /^ |\\/g)}\n`);
  }
  return lines.join('');
}

const NAMED: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r', '\f': '\\f' };

function escapeText(text: string, special: RegExp): string {
  return text
    .replace(special, '\\$&')
    .replace(/[\t\n\r\f]/g, (char) => NAMED[char] ?? char)
    .replace(
      /[^\x20-\x7e]/g,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0').toUpperCase()}`,
    );
}
