// The formats by name, and how a document is recognised: by its file name's extension, or its content type.

/** Every format, in the spelling of the setting FORMAT. `raw` is bytes that nobody looks into. */
export const FORMATS = ['json', 'yaml', 'toml', 'ini', 'env', 'properties', 'raw'] as const;

export type Format = (typeof FORMATS)[number];

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

/** What to do about a document nobody recognises. */
export const RECOGNISED =
  'accepted are names ending in .json, .yaml, .yml, .toml, .ini, .env or .properties, and the content types of JSON, YAML, TOML and properties';
