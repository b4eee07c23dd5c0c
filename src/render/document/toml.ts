// TOML through smol-toml. Loads the library: import it only when needed.
import { parse, stringify, TomlError } from 'smol-toml';
import { Fault } from './fault.ts';
import { Bytes } from './special.ts';
import { adopt, isList, isMap, MAX_DEPTH, notText, type Value } from './value.ts';

/**
 * Reads a TOML document.
 * @throws Fault with line and column.
 */
export function parseToml(text: string): Value {
  try {
    return adopt(parse(text, { integersAsBigInt: 'asNeeded', maxDepth: MAX_DEPTH }), text.length);
  } catch (thrown) {
    if (!(thrown instanceof TomlError)) throw thrown;
    // The library's message goes on with an excerpt of the text, which may hold secrets.
    const reason = thrown.message.split('\n')[0]?.replace('Invalid TOML document: ', '') ?? '';
    throw new Fault(reason, { position: { line: thrown.line, column: thrown.column } });
  }
}

/**
 * Writes a TOML document, line break included.
 * @throws Fault on null, on integers beyond 64 bits, and when the value is no map.
 */
export function serialiseToml(value: Value): string {
  if (!isMap(value)) throw new Fault('a TOML document is a map', { path: [] });
  refuse(value, []);
  return stringify(value, { maxDepth: MAX_DEPTH + 2 });
}

/** Writes a value on one line, for use behind a `key =` in other TOML. */
export function inlineToml(value: Value): string {
  refuse(value, []);
  return inline(value);
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

/** The library drops what TOML cannot say; here that is an error. */
function refuse(value: Value, path: readonly string[]): void {
  if (value === null) throw new Fault('it is null, which TOML cannot say', { path });
  if (value instanceof Bytes) throw notText(path);
  if (typeof value === 'bigint' && (value >= INT64 || value < -INT64)) {
    throw new Fault('it is an integer beyond 64 bits, which TOML cannot say', { path });
  }
  if (isMap(value) || isList(value)) {
    for (const [key, item] of Object.entries(value)) refuse(item, [...path, key]);
  }
}
