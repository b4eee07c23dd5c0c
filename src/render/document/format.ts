// The formats by name, and how a document is recognised: by its file name's extension, or its content type.

import { type FORMATS, SOURCE_FORMATS } from '../../settings/formats.ts';

export { FORMATS } from '../../settings/formats.ts';

/** Every format, in the spelling of the setting FORMAT. `raw` is bytes that are not looked into. */
export type Format = (typeof FORMATS)[number];

/** What a document can be, in the spelling of the setting SOURCE_FORMAT. */
export type SourceFormat = (typeof SOURCE_FORMATS)[number];

/** A format that has an inside. */
export type ParsedFormat = Exclude<Format, 'raw'>;

const TITLES: Readonly<Record<Format, string>> = {
  json: 'JSON',
  yaml: 'YAML',
  toml: 'TOML',
  ini: 'INI',
  env: 'dotenv',
  properties: 'properties',
  raw: 'raw bytes',
};

const EXTENSIONS: ReadonlyMap<string, ParsedFormat> = new Map([
  ['json', 'json'],
  ['yaml', 'yaml'],
  ['yml', 'yaml'],
  ['toml', 'toml'],
  ['ini', 'ini'],
  ['env', 'env'],
  ['properties', 'properties'],
]);

const CONTENT_TYPES: ReadonlyMap<string, ParsedFormat> = new Map([
  ['application/json', 'json'],
  ['text/json', 'json'],
  ['application/yaml', 'yaml'],
  ['application/x-yaml', 'yaml'],
  ['text/yaml', 'yaml'],
  ['text/x-yaml', 'yaml'],
  ['application/toml', 'toml'],
  ['text/toml', 'toml'],
  ['text/x-java-properties', 'properties'],
]);

/** The format's name in a sentence. */
export function titleOf(format: Format): string {
  return TITLES[format];
}

/** The format a file name's extension stands for; `.env` and `.env.NAME` are dotenv files. */
export function formatOfName(name: string): ParsedFormat | undefined {
  const base = name.slice(name.lastIndexOf('/') + 1).toLowerCase();
  if (base === '.env' || base.startsWith('.env.')) return 'env';
  const dot = base.lastIndexOf('.');
  return dot === -1 ? undefined : EXTENSIONS.get(base.slice(dot + 1));
}

/** The format a media type (without parameters) stands for, structured suffixes (`+json`) included. */
export function formatOfContentType(contentType: string): ParsedFormat | undefined {
  const type = contentType.toLowerCase();
  const suffix = type.slice(type.lastIndexOf('+') + 1);
  return CONTENT_TYPES.get(type) ?? (type.includes('+') ? SUFFIXES.get(suffix) : undefined);
}

const SUFFIXES: ReadonlyMap<string, ParsedFormat> = new Map([
  ['json', 'json'],
  ['yaml', 'yaml'],
]);

/** A document, as far as it says what it is. */
export interface Described {
  readonly name: string;
  readonly contentType: string | null;
}

/** What a document is: by its name, else by its content type, else what SOURCE_FORMAT says. */
export function formatOfDocument(
  { name, contentType }: Described,
  declared: SourceFormat | undefined,
): SourceFormat | undefined {
  return formatOfName(name) ?? formatOfContentType(contentType ?? '') ?? declared;
}

/** Whether a format has an inside. */
export function isParsed(format: SourceFormat | undefined): format is ParsedFormat {
  return format !== undefined && format !== 'text' && format !== 'bytes';
}

/** Half a sentence: why it is not known what a document is, and what to do about that. */
export function explainUnknown({ contentType }: Described): string {
  const what =
    contentType === null
      ? 'its name does not say what it is'
      : `neither its name nor its content type "${contentType}" says what it is`;
  return `${what}; set SOURCE_FORMAT (${SOURCE_FORMATS.join(', ')}), or give it a name that ends in ${ENDINGS}`;
}

const ENDINGS = '.json, .yaml, .yml, .toml, .ini, .env or .properties';
