// dotenv: written so that a POSIX shell (`set -a; . file`) and line-wise readers read back what was meant.
import { Fault, positionAt, showPath } from './fault.ts';
import { createMap, isMap, leavesOf, refuseControls, scalarText, type Value } from './value.ts';

/**
 * Reads a dotenv document into one flat map of text. `export` before a name, comments, single quotes (literal) and
 * double quotes (with escapes) are understood; nothing is expanded, `$NAME` stays as it stands.
 * @throws Fault with the line; duplicate names and quotes that stay open too.
 */
export function parseEnv(text: string): Value {
  const map = createMap();
  let offset = 0;
  for (const line of text.split('\n')) {
    const fault = (reason: string) => new Fault(reason, { position: positionAt(text, offset) });
    const content = line.trim();
    if (content !== '' && !content.startsWith('#')) {
      const [, name = '', rest = ''] = ASSIGNMENT.exec(content) ?? [];
      if (name === '') throw fault('a line is neither "NAME=value" nor a comment');
      if (name in map) throw fault('this name stands here for the second time');
      const value = readValue(rest);
      if (value === null) throw fault('a quote is not closed on its line, or something stands behind it');
      map[name] = value;
    }
    offset += line.length + 1;
  }
  return map;
}

const ASSIGNMENT = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*)$/;

/** One quoted or escaped piece, as a shell joins them: `'it'\''s'`. */
const PIECE = /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/y;

function readValue(text: string): string | null {
  if (!/^['"]/.test(text)) return text.replace(/(^|\s+)#.*$/, '');
  let value = '';
  PIECE.lastIndex = 0;
  let end = 0;
  for (let match = PIECE.exec(text); match !== null; match = PIECE.exec(text)) {
    value += match[1] ?? match[3] ?? undoEscapes(match[2] ?? '');
    end = PIECE.lastIndex;
  }
  return /^\s*(?:#.*)?$/.test(text.slice(end)) ? value : null;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

function undoEscapes(text: string): string {
  return text.replace(
    /\\(.)/g,
    (all, char: string) => ESCAPES[char] ?? ('"\\$`'.includes(char) ? char : all),
  );
}

/**
 * Writes a dotenv document: the parts of a path joined with `_`, what no name may hold becoming `_`.
 * @throws Fault on lists, null, control characters (a line break could be taken for the next variable), and on two
 * paths that make one name.
 */
export function serialiseEnv(value: Value): string {
  if (!isMap(value)) throw new Fault('a dotenv document is a map', { path: [] });
  const names = new Map<string, readonly string[]>();
  const lines: string[] = [];
  for (const { path, value: leaf } of leavesOf(value, { lists: false })) {
    const name = nameOf(path);
    if (!/[A-Za-z0-9]/.test(name)) throw new Fault('nothing of its name is left for a variable', { path });
    const other = names.get(name);
    if (other !== undefined) {
      throw new Fault(`it would be the same variable "${name}" as "${showPath(other)}"`, { path });
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

/** A shell has only `'\''` for a quote within quotes; double quotes are used where every other reader agrees on them. */
function quote(text: string): string {
  if (!text.includes("'")) return `'${text}'`;
  return /["$`\\]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : `"${text}"`;
}
