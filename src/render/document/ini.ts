// INI, written so that C readers (inih, GLib) and Python's configparser without interpolation read back what was meant.
import { atOnce, type Sliced } from '../../lib/slices.ts';
import { FormatError, positionAt, showPath } from './format-error.ts';
import { type Named, nesting } from './keys.ts';
import { linesOf } from './lines.ts';
import { isMap, refuseControls, scalarText, type Value, type ValueMap } from './value.ts';

/**
 * Reads an INI document. Keys before the first section stand at the top, `[a.b]` is `b` in `a`, every value is text.
 * Comments are whole lines that begin with `;` or `#`.
 * @throws FormatError with the line; duplicate keys and sections, and lines some readers take for a continuation, too.
 */
export function parseIni(text: string): Value {
  return atOnce(parsingIni(text));
}

/** The same in slices. */
export function* parsingIni(text: string): Sliced<Value> {
  const named: Named[] = [];
  const seen = new Set<string>();
  let section: readonly string[] = [];
  for (const { line, offset } of linesOf(text)) {
    yield;
    const read = readLine(line, () => positionAt(text, offset));
    if (read?.kind === 'section') section = read.name.split('.');
    if (read !== null) {
      const path = read.kind === 'section' ? section : [...section, read.key];
      once(seen, `${read.kind} ${path.join('.')}`, () => positionAt(text, offset));
      named.push(read.kind === 'section' ? { path } : { path, value: read.value });
    }
  }
  return yield* nesting(named, '.');
}

type Position = () => { line: number; column: number };

type Line =
  | { readonly kind: 'section'; readonly name: string }
  | { readonly kind: 'key'; readonly key: string; readonly value: string };

function readLine(line: string, position: Position): Line | null {
  const content = line.trim();
  if (content === '' || /^[;#]/.test(content)) return null;
  if (/^\s/.test(line)) {
    throw new FormatError('a line begins with a blank, which some readers take for a continuation', {
      position: position(),
    });
  }
  const section = /^\[(.+)\]$/.exec(content)?.[1];
  if (section !== undefined) return { kind: 'section', name: section };
  const split = content.search(/[=:]/);
  if (split < 1 || content.startsWith('[') || /[\r\u2028\u2029]/.test(content)) {
    throw new FormatError('a line is neither "key = value", "[section]" nor a comment', {
      position: position(),
    });
  }
  return { kind: 'key', key: content.slice(0, split).trimEnd(), value: content.slice(split + 1).trimStart() };
}

function once(seen: Set<string>, name: string, position: Position): void {
  if (seen.has(name)) throw new FormatError('this key or section appears twice', { position: position() });
  seen.add(name);
}

/**
 * Writes an INI document: single values of the top first, then a section per map, `[a.b]` for deeper ones.
 * @throws FormatError on what a reader would take for something else: lists, null, line breaks, blanks at the ends, comment
 * characters, `=` and `:` in keys, a section named `DEFAULT`.
 */
export function serialiseIni(value: Value): string {
  if (!isMap(value)) throw new FormatError('an INI document is a map', { path: [] });
  const sections = new Map<string, readonly string[]>();
  const texts: string[] = [];
  collectSections(value, [], (path, map) => {
    const text = writeSection(map, path, sections);
    if (text !== '') texts.push(text);
  });
  return texts.join('\n');
}

function collectSections(
  map: ValueMap,
  path: readonly string[],
  visit: (path: readonly string[], map: ValueMap) => void,
): void {
  visit(path, map);
  for (const [key, item] of Object.entries(map)) {
    if (isMap(item)) collectSections(item, [...path, key], visit);
  }
}

function writeSection(
  map: ValueMap,
  path: readonly string[],
  sections: Map<string, readonly string[]>,
): string {
  const lines = Object.entries(map)
    .filter(([, item]) => !isMap(item))
    .map(([key, item]) => writeLine([...path, key], key, item));
  const needed = lines.length > 0 || Object.keys(map).length === 0;
  if (path.length > 0 && needed) lines.unshift(writeHeader(path, sections));
  return lines.map((line) => `${line}\n`).join('');
}

function writeHeader(path: readonly string[], sections: Map<string, readonly string[]>): string {
  const name = path.join('.');
  const other = sections.get(name);
  if (other !== undefined)
    throw new FormatError(`it would be the same section as "${showPath(other)}"`, { path });
  sections.set(name, path);
  checkText(name, path, 'name');
  if (/[[\]]/.test(name))
    throw new FormatError('a bracket in a section name is read differently by readers', { path });
  if (name === 'DEFAULT')
    throw new FormatError('a section named DEFAULT is special to some readers', { path });
  if (path.includes('')) throw new FormatError('a part of its name is empty', { path });
  return `[${name}]`;
}

function writeLine(path: readonly string[], key: string, item: Value): string {
  if (key === '') throw new FormatError('a key is empty', { path });
  checkText(key, path, 'name');
  if (/[=:]/.test(key)) throw new FormatError('its name holds "=" or ":", which ends a key', { path });
  if (key.startsWith('[')) throw new FormatError('its name begins like a section', { path });
  const text = scalarText(item, path);
  checkText(text, path, 'value');
  return text === '' ? `${key} =` : `${key} = ${text}`;
}

function checkText(text: string, path: readonly string[], what: 'name' | 'value'): void {
  refuseControls(text, '\t', path);
  if (text !== text.trim())
    throw new FormatError(`its ${what} begins or ends with a blank, which readers cut`, { path });
  if (/(?:^|\s)[;#]/.test(text)) {
    throw new FormatError(`its ${what} holds ";" or "#" where some readers begin a comment`, { path });
  }
}
