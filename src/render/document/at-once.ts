// Every format read, written and checked in one go. The heavy parsers are loaded when the first document needs them.
import { parseEnv, serialiseEnv } from './env.ts';
import type { ParsedFormat } from './format.ts';
import { parseIni, serialiseIni } from './ini.ts';
import { parseJson, serialiseJson } from './json.ts';
import { parseProperties, serialiseProperties } from './properties.ts';
import type { Value } from './value.ts';

/** @throws FormatError as `parseDocument` does. */
export async function parseAtOnce(text: string, format: ParsedFormat): Promise<Value> {
  switch (format) {
    case 'json':
      return parseJson(text);
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

/** @throws FormatError as `serialiseDocument` does. */
export async function serialiseAtOnce(value: Value, format: ParsedFormat): Promise<string> {
  switch (format) {
    case 'json':
      return `${serialiseJson(value)}\n`;
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

/** @throws FormatError as `checkDocument` does. */
export async function checkAtOnce(text: string, format: ParsedFormat): Promise<void> {
  if (format === 'yaml') (await import('./yaml.ts')).checkYaml(text);
  else if (format === 'json' || format === 'toml') await parseAtOnce(text, format);
}
