// dotenv: written so that a POSIX shell (`set -a; . file`) and line-wise readers read back what was meant.
import { atOnce, type Sliced } from '../../lib/slices.ts';
import { maxValues, tooManyValues } from './budget.ts';
import { FormatError, positionAt, showPath } from './format-error.ts';
import { linesOf } from './lines.ts';
import { createMap, isMap, leavesOf, refuseControls, scalarText, type Value } from './value.ts';

/**
 * Reads a dotenv document into one flat map of text. `export` before a name, comments, single quotes (literal) and
 * double quotes (with escapes) are understood; nothing is expanded, `$NAME` stays as it stands.
 * @throws FormatError with the line; duplicate names and quotes that stay open too.
 */
export function parseEnv(text: string): Value {
  return atOnce(parsingEnv(text));
}

/** The same in slices. */
export function* parsingEnv(text: string): Sliced<Value> {
  const map = createMap();
  let left = maxValues();
  for (const { line, offset } of linesOf(text)) {
    yield;
    const fault = (reason: string) => new FormatError(reason, { position: positionAt(text, offset) });
    const content = line.trim();
    if (content !== '' && !content.startsWith('#')) {
      const [head = '', name = ''] = ASSIGNMENT.exec(content) ?? [];
      if (name === '') throw fault('a line is neither "NAME=value" nor a comment');
      if (name in map) throw fault('this name appears twice');
      const value = readValue(content.slice(head.length));
      if (value === null) throw fault('a quote is not closed on its line, or something follows it');
      map[name] = value;
      left -= 1;
      if (left < 0) throw new FormatError(tooManyValues());
    }
  }
  return map;
}

const ASSIGNMENT = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=/;

/** The value after the `=`; null when a quote stays open, or something follows the last one. */
function readValue(given: string): string | null {
  const text = given.trim();
  if (!/^['"]/.test(text)) return beforeComment(text);
  let value = '';
  let at = 0;
  // Pieces stand side by side, as a shell joins them: `'it'\\''s'`.
  while (at < text.length && /['"\\]/.test(text.charAt(at))) {
    const piece = readPiece(text, at);
    if (piece === null) return null;
    value += piece.text;
    at = piece.end;
  }
  const rest = text.slice(at).trimStart();
  return rest === '' || rest.startsWith('#') ? value : null;
}

/** A comment begins at a `#` that stands first or behind a blank. */
function beforeComment(text: string): string {
  if (text.startsWith('#')) return '';
  const found = /\s#/.exec(text);
  return found === null ? text : text.slice(0, found.index).trimEnd();
}

function readPiece(text: string, start: number): { readonly text: string; readonly end: number } | null {
  const quote = text[start];
  if (quote === '\\') {
    return start + 1 < text.length ? { text: text.charAt(start + 1), end: start + 2 } : null;
  }
  let end = start + 1;
  while (end < text.length && text[end] !== quote) end += quote === '"' && text[end] === '\\' ? 2 : 1;
  if (end >= text.length) return null;
  const inside = text.slice(start + 1, end);
  return { text: quote === '"' ? undoEscapes(inside) : inside, end: end + 1 };
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

function undoEscapes(text: string): string {
  return text.replace(
    /\\(.)/gs,
    (all, char: string) => ESCAPES[char] ?? ('"\\$`'.includes(char) ? char : all),
  );
}

/**
 * Writes a dotenv document: the parts of a path joined with `_`, what no name may hold becoming `_`. Harmless values
 * are written bare, others are quoted for a shell.
 * @throws FormatError on lists, null, control characters (a line break could be taken for the next variable), and on two
 * paths that make one name.
 */
export function serialiseEnv(value: Value): string {
  if (!isMap(value)) throw new FormatError('a dotenv document is a map', { path: [] });
  const names = new Map<string, readonly string[]>();
  const lines: string[] = [];
  for (const { path, value: leaf } of leavesOf(value, { lists: false })) {
    const name = nameOf(path);
    if (!/[A-Za-z0-9]/.test(name))
      throw new FormatError('its name has no character that a variable may have', { path });
    const other = names.get(name);
    if (other !== undefined) {
      throw new FormatError(`it would be the same variable "${name}" as "${showPath(other)}"`, { path });
    }
    names.set(name, path);
    const text = scalarText(leaf, path);
    refuseControls(text, '\t', path);
    lines.push(`${name}=${quote(text)}\n`);
  }
  return lines.join('');
}

function nameOf(path: readonly string[]): string {
  const name = path.join('_').replace(/[^A-Za-z0-9_]/g, '_');
  return /^[A-Za-z_]/.test(name) ? name : `_${name}`;
}

/** What means itself to every reader: a shell, Docker's `--env-file`, which knows no quotes, and systemd. */
const HARMLESS = /^[A-Za-z0-9_@%+:,./=-]*$/;

/** A shell has only `'\''` for a quote within quotes; double quotes are used where every other reader agrees on them. */
function quote(text: string): string {
  if (HARMLESS.test(text)) return text;
  if (!text.includes("'")) return `'${text}'`;
  return /["$`\\]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : `"${text}"`;
}
