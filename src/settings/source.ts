// The SOURCE setting: which kinds of source there are, and how the settings of each become rows of the table.
import { InvalidValue } from '../lib/invalid-value.ts';
import { maskUrl } from '../lib/mask.ts';
import type { SourceKind, SourceSetting, SourceUrl } from '../source/provider.ts';
import { alternatives, text as anyText, type Kind, token, word } from './kind.ts';
import { nearest } from './nearest.ts';
import { path } from './paths.ts';
import { SOURCE_KINDS } from './sources.ts';
import { headers } from './web.ts';

const SCHEMES: readonly string[] = SOURCE_KINDS.flatMap(({ schemes }) => schemes);

/** `a file, an HTTP API, etcd or Consul` */
export const SOURCE_NAMES = alternatives(SOURCE_KINDS.map(({ name }) => name));

/** What the reference says of all kinds: `` `file:///path` or a path, `http(s)://…` ``. Markdown. */
export const SOURCE_FORMS = SOURCE_KINDS.map(({ form }) => form).join(', ');

const VALUES = { text: anyText, token, word, path, headers } as const;

/** How the text of a source's own setting is read. */
export function kindOfValue(kind: SourceSetting['kind']): Kind<unknown> {
  return VALUES[kind] as Kind<unknown>;
}

/** One source: a URL, or a path beginning with `/`, `./` or `../`. */
export const source: Kind<SourceUrl> = {
  type: 'URL',
  parse: (text, cwd) => {
    const scheme = isPath(text) ? '' : checkedScheme(text);
    return kindOf(text).parseUrl(scheme + text.slice(scheme.length), cwd);
  },
};

function isPath(text: string): boolean {
  return /^\.{0,2}\//.test(text);
}

/** The kind of source that a URL or path names, as it was given or as it is shown. */
export function kindOf(url: string): SourceKind {
  const scheme = isPath(url) ? 'file' : url.slice(0, url.indexOf(':')).toLowerCase();
  const found = SOURCE_KINDS.find(({ schemes }) => schemes.includes(scheme));
  if (found === undefined) throw new Error(`No kind of source has the scheme "${scheme}"`);
  return found;
}

const ACCEPTED = `a URL beginning with ${alternatives(
  SCHEMES.map((scheme) => `${scheme}://`),
)}, or a path beginning with /, ./ or ../`;

function checkedScheme(text: string): string {
  const [, written, slashes] = /^([a-z][a-z0-9+.-]*):(\/*)/i.exec(text) ?? [];
  if (written === undefined || slashes === undefined) {
    const kinds: readonly SourceKind[] = SOURCE_KINDS;
    const meant = kinds.flatMap(({ suggestUrl }) => suggestUrl?.(text) ?? []);
    const path = /^[\w.-]+(?:\/[\w.-]+)*$/.test(text) ? `./${text}` : undefined;
    throw new InvalidValue(`it must be ${ACCEPTED}`, meant[0] ?? path);
  }
  const scheme = written.toLowerCase();
  if (SCHEMES.includes(scheme) && slashes.length >= 2) return scheme;
  const meant = nearest(written, SCHEMES);
  const rest = text.slice(written.length + 1 + slashes.length);
  throw new InvalidValue(
    `it must be ${ACCEPTED}`,
    meant && maskUrl(`${meant}://${meant === 'file' ? '/' : ''}${rest}`),
  );
}
