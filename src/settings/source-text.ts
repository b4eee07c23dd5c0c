// How SOURCE is written: words in the environment and on the command line, and one JSON text for what a settings file says
// in maps. And what of it may be shown.
import { InvalidValue } from '../lib/invalid-value.ts';
import { maskUrl } from '../lib/mask.ts';

/** One source as it was written. */
export interface RawSource {
  readonly url: string;
  readonly name?: string;
  readonly optional?: string;
  readonly format?: string;
  /** Everything else, by its key. */
  readonly own: Readonly<Record<string, string>>;
}

/** Reads the text of SOURCE. Throws an InvalidValue, without what may be secret. */
export function readRawSources(text: string): readonly RawSource[] {
  if (text.startsWith('[{')) return readJson(text).map(fromMap);
  const words = text.split(/\s+/).filter((word) => word !== '');
  if (words.length === 0) throw new InvalidValue('it names no source');
  return words.map(fromWord);
}

function readJson(text: string): readonly Record<string, string>[] {
  const items: unknown = parseJson(text);
  if (Array.isArray(items) && items.every(isTexts)) return items;
  throw new InvalidValue('as JSON it must be a list of maps of texts, as in the settings file');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** `NAME=URL`: the name ends before anything that a URL or path begins with. */
function fromWord(word: string): RawSource {
  const [, name, url = ''] = /^([^=/:?#]*)=(.*)$/s.exec(word) ?? [];
  return name === undefined ? { url: word, own: {} } : { name, url, own: {} };
}

function fromMap({ url = '', name, optional, format, ...own }: Record<string, string>): RawSource {
  return {
    url,
    own,
    ...(name !== undefined && { name }),
    ...(optional !== undefined && { optional }),
    ...(format !== undefined && { format }),
  };
}

/** The text for a list in the settings file, of texts and maps of texts; undefined when it is something else. */
export function writeRawSources(items: readonly unknown[]): string | undefined {
  const maps = items.map((item) => {
    if (typeof item !== 'string') return isTexts(item) && 'url' in item ? item : undefined;
    const { own: _none, ...raw } = fromWord(item.trim());
    return raw.url === '' || /\s/.test(raw.url) ? undefined : raw;
  });
  return maps.length === 0 || maps.includes(undefined) ? undefined : JSON.stringify(maps);
}

function isTexts(item: unknown): item is Record<string, string> {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return false;
  return Object.values(item).every((value) => typeof value === 'string' && value.trim() !== '');
}

/** SOURCE as it may be shown: `tls=/certs/ https://host/app.json (with http_token)`. */
export function maskSources(text: string): string {
  return safely(text)
    .map(({ name, url, own }) => {
      const keys = Object.keys(own);
      const shown = (name === undefined ? '' : `${name}=`) + maskUrl(url);
      return keys.length === 0 ? shown : `${shown} (with ${keys.join(', ')})`;
    })
    .join(' ');
}

/** Also of a text that is not accepted. */
export function safely(text: string): readonly RawSource[] {
  try {
    return readRawSources(text.trim());
  } catch {
    return [];
  }
}
