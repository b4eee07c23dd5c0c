// TOML through smol-toml. Loads the library: import it only when needed.
import { randomUUID } from 'node:crypto';
import { parse, stringify, TomlError } from 'smol-toml';
import { FormatError } from './format-error.ts';
import { Bytes, Decimal, exactNumber } from './special.ts';
import { replaceDecimals } from './toml-decimals.ts';
import { createMap, isList, isMap, MAX_DEPTH, notText, toValue, type Value } from './value.ts';

/**
 * Reads a TOML document.
 * @throws FormatError with line and column.
 */
export function parseToml(text: string): Value {
  const mark = `decimal ${randomUUID()} `;
  const marked = replaceDecimals(text, (decimal) => {
    const exact = exactNumber(decimal.replaceAll('_', '').replace('+', ''));
    return exact instanceof Decimal ? `"${mark}${exact.text}"` : undefined;
  });
  const value = toValue(parsed(marked, text));
  return marked === text ? value : withDecimals(value, mark);
}

function withDecimals(value: Value, mark: string): Value {
  if (typeof value === 'string')
    return value.startsWith(mark) ? new Decimal(value.slice(mark.length)) : value;
  if (isList(value)) return value.map((item) => withDecimals(item, mark));
  if (!isMap(value)) return value;
  const map = createMap();
  for (const [key, item] of Object.entries(value)) map[key] = withDecimals(item, mark);
  return map;
}

/** @param original what was written: an error names the position in it. */
function parsed(text: string, original: string): unknown {
  try {
    return parse(text, { integersAsBigInt: 'asNeeded', maxDepth: MAX_DEPTH });
  } catch (thrown) {
    if (text !== original) return parsed(original, original);
    if (!(thrown instanceof TomlError)) throw thrown;
    // The library's message goes on with an excerpt of the text, which may hold secrets.
    const reason = thrown.message.split('\n')[0]?.replace('Invalid TOML document: ', '') ?? '';
    throw new FormatError(reason, { position: { line: thrown.line, column: thrown.column } });
  }
}

/**
 * Writes a TOML document, line break included.
 * @throws FormatError on null, on integers beyond 64 bits, and when the value is no map.
 */
export function serialiseToml(value: Value): string {
  if (!isMap(value)) throw new FormatError('a TOML document is a map', { path: [] });
  return stringify(writable(value, []), { maxDepth: MAX_DEPTH + 2 });
}

/** Writes a value on one line, for use behind a `key =` in other TOML. */
export function inlineToml(value: Value): string {
  return inline(writable(value, []) as Value);
}

function inline(value: Value): string {
  if (isList(value)) return `[${value.map(inline).join(', ')}]`;
  if (!isMap(value)) return assigned('v', value).slice('v = '.length);
  const pairs = Object.entries(value).map(
    ([key, item]) => `${assigned(key, 0).slice(0, -4)} = ${inline(item)}`,
  );
  return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`;
}

function assigned(key: string, value: Value): string {
  const map = Object.create(null) as Record<string, Value>;
  map[key] = value;
  return stringify(map).trimEnd();
}

const INT64 = 2n ** 63n;

/** The library drops what TOML cannot say, which is an error here, and knows no decimals with a text of their own. */
function writable(value: Value, path: readonly string[]): unknown {
  if (value === null) throw new FormatError('it is null, which TOML cannot express', { path });
  if (value instanceof Bytes) throw notText(path);
  if (value instanceof Decimal) return new WrittenDecimal(value.text);
  if (typeof value === 'bigint' && (value >= INT64 || value < -INT64)) {
    throw new FormatError('it is an integer beyond 64 bits, which TOML cannot express', { path });
  }
  if (isList(value)) return value.map((item, index) => writable(item, [...path, `${index}`]));
  if (!isMap(value)) return value;
  const map: Record<string, unknown> = createMap();
  for (const [key, item] of Object.entries(value)) map[key] = writable(item, [...path, key]);
  return map;
}

/** Dates are what the library writes by a text of their own. */
class WrittenDecimal extends Date {
  readonly #text: string;

  constructor(text: string) {
    super(0);
    this.#text = text;
  }

  override toISOString(): string {
    return this.#text;
  }
}
