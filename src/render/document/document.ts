// Bytes to value and back, in any format. The heavy parsers are loaded when the first document needs them.
import { inSlices } from '../../lib/slices.ts';
import { parseEnv, serialiseEnv } from './env.ts';
import { Fault } from './fault.ts';
import type { ParsedFormat } from './format.ts';
import { parseIni, serialiseIni } from './ini.ts';
import { parsingJson, writingJson } from './json.ts';
import { parseProperties, serialiseProperties } from './properties.ts';
import { decodeText, encodeText } from './text.ts';
import type { Value } from './value.ts';

/**
 * Reads a document.
 * @throws Fault when it is not UTF-8 or not of this format, with line and column where known; content is not quoted.
 */
export async function parseDocument(bytes: Uint8Array, format: ParsedFormat): Promise<Value> {
  const text = textOf(bytes);
  switch (format) {
    case 'json':
      return inSlices(parsingJson(text));
    case 'yaml':
      return (await import('./yaml.ts')).parseYaml(text);
    case 'toml':
      return (await import('./toml.ts')).parseToml(text);
    case 'ini':
      return parseIni(text);
    case 'env':
      return parseEnv(text);
    case 'properties':
      return parseProperties(text);
  }
}

/**
 * Writes a document. Line formats refuse every value that a reader could take for another line or key.
 * @throws Fault with the path of a value that the format cannot hold.
 */
export async function serialiseDocument(value: Value, format: ParsedFormat): Promise<Uint8Array> {
  return encodeText(await serialise(value, format));
}

async function serialise(value: Value, format: ParsedFormat): Promise<string> {
  switch (format) {
    case 'json':
      return `${await inSlices(writingJson(value))}\n`;
    case 'yaml':
      return (await import('./yaml.ts')).serialiseYaml(value);
    case 'toml':
      return (await import('./toml.ts')).serialiseToml(value);
    case 'ini':
      return serialiseIni(value);
    case 'env':
      return serialiseEnv(value);
    case 'properties':
      return serialiseProperties(value);
  }
}

/**
 * Makes sure that a reader of JSON, YAML or TOML can read a file; other formats are not looked at. YAML may hold
 * several documents and tags of an application's own.
 * @throws Fault with line and column where known.
 */
export async function checkDocument(bytes: Uint8Array, format: ParsedFormat): Promise<void> {
  if (format === 'yaml') (await import('./yaml.ts')).checkYaml(textOf(bytes));
  else if (format === 'json' || format === 'toml') await parseDocument(bytes, format);
}

function textOf(bytes: Uint8Array): string {
  const text = decodeText(bytes);
  if (text === null) throw new Fault('it is not UTF-8 text');
  return text;
}
