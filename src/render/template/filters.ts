// What templates can do with a value besides Liquid's own filters: write it in a format, quote it for a shell or nginx.
import { Buffer, isUtf8 } from 'node:buffer';
import { describeFormatError, FormatError } from '../document/format-error.ts';
import { parseJson, serialiseJson } from '../document/json.ts';
import { Bytes } from '../document/special.ts';
import { isList, isMap, refuseControls, scalarText, type Value } from '../document/value.ts';
import { kindOf } from './operands.ts';

/** The parsers that are loaded only when a template names them. */
export interface FormatFilters {
  readonly inlineYaml: (value: Value) => string;
  readonly blockYaml: (value: Value, indent: number) => string;
  readonly inlineToml: (value: Value) => string;
  readonly parseYaml: (text: string) => Value;
}

type Filter = (value: Value | undefined, argument?: unknown) => unknown;

/**
 * The filters by name. Each throws a FormatError on what it cannot write; a value is never quoted half.
 *
 * `json` one line; `json: 2` indented · `yaml` one line (flow style); `yaml: 4` a block whose lines but the first are
 * indented by 4 · `toml` one line · `base64`, `base64decode` · `parse_json`, `parse_yaml` the document that a text holds · `shell` one word for a POSIX shell · `nginx` one
 * argument of an nginx directive · `size` of text, lists and also maps.
 */
export function createFilters(formats: FormatFilters | null): Readonly<Record<string, Filter>> {
  const loaded = () => {
    if (formats === null) throw new Error('a format filter runs without its format');
    return formats;
  };
  return {
    json: writeJson,
    jsonify: writeJson,
    inspect: writeJson,
    yaml: (value, indent) =>
      indent === undefined
        ? loaded().inlineYaml(given(value))
        : loaded().blockYaml(given(value), blanks(indent)),
    toml: (value) => loaded().inlineToml(given(value)),
    base64: encodeBase64,
    base64_encode: encodeBase64,
    base64decode: decodeBase64,
    base64_decode: decodeBase64,
    parse_json: (value) => parsed(parseJson, value, 'JSON'),
    parse_yaml: (value) => parsed(loaded().parseYaml, value, 'YAML'),
    shell: quoteForShell,
    nginx: quoteForNginx,
    size: countParts,
  };
}

/** Filters of Liquid that give something else at every rendering; using one is an error. */
export const UNSTEADY_FILTERS: readonly string[] = ['sample'];

/** The document that a text holds. */
function parsed(parse: (text: string) => Value, value: Value | undefined, title: string): Value {
  const text = textOf(value);
  try {
    return parse(text);
  } catch (thrown) {
    if (!(thrown instanceof FormatError)) throw thrown;
    throw new FormatError(`the text cannot be read as ${title}: ${describeFormatError(thrown)}`);
  }
}

const writeJson: Filter = (value, indent) =>
  serialiseJson(given(value), indent === undefined ? 0 : blanks(indent));

const encodeBase64: Filter = (value) =>
  (value instanceof Bytes ? Buffer.from(value.get()) : Buffer.from(textOf(value), 'utf8')).toString('base64');

const decodeBase64: Filter = (value) => {
  const text = textOf(value).replace(/[\t\n\f\r ]/g, '');
  const bytes = Buffer.from(text, 'base64');
  if (withoutPadding(bytes.toString('base64')) !== withoutPadding(text))
    throw new FormatError('it is not base64');
  if (!isUtf8(bytes)) throw new FormatError('the decoded base64 is not UTF-8 text');
  return bytes.toString('utf8');
};

function withoutPadding(base64: string): string {
  let end = base64.length;
  while (base64[end - 1] === '=') end -= 1;
  return base64.slice(0, end);
}

const quoteForShell: Filter = (value) => {
  const text = textOf(value);
  if (text.includes('\0')) throw new FormatError('it holds a NUL, which a shell cannot take');
  return `'${text.replaceAll("'", "'\\''")}'`;
};

const quoteForNginx: Filter = (value) => {
  const text = textOf(value);
  refuseControls(text, '', []);
  // nginx has no escape for it: in most directives what follows would be replaced by a variable.
  if (text.includes('$')) throw new FormatError('it holds "$", which nginx cannot quote');
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
};

const countParts: Filter = (value) => {
  if (typeof value === 'string' || isList(value)) return value.length;
  if (isMap(value)) return Object.keys(value).length;
  throw new FormatError(`a list, a map or a text is needed, and this is ${kindOf(value)}`);
};

function textOf(value: Value | undefined): string {
  return scalarText(given(value), []);
}

function given(value: Value | undefined): Value {
  if (value === undefined) throw new FormatError('there is no value');
  return value;
}

function blanks(indent: unknown): number {
  if (typeof indent === 'number' && Number.isInteger(indent) && indent >= 0 && indent <= 80) return indent;
  throw new FormatError('the indentation must be a whole number from 0 to 80');
}
