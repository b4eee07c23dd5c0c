// The SOURCE setting: one or more sources, each with its place in the data and, in a settings file, credentials of its own.
import { resolve } from 'node:path';
import { InvalidValue } from '../lib/invalid-value.ts';
import type { DocumentFormat, SourceSetting, SourceUrl } from '../source/provider.ts';
import { SOURCE_FORMATS } from './formats.ts';
import { boolean, choice, type Kind } from './kind.ts';
import { nearest } from './nearest.ts';
import { readSecretFile } from './paths.ts';
import { kindOfValue, source } from './source.ts';
import { type RawSource, readRawSources, writeRawSources } from './source-text.ts';

/** One of the sources that are followed. */
export interface SourceEntry {
  readonly url: SourceUrl;
  /** The top-level key under which its data stands; null: at the top. */
  readonly name: string | null;
  /** That it holds nothing counts as an empty map. */
  readonly optional: boolean;
  readonly format: DocumentFormat | undefined;
  /** Settings of this source alone, which replace all of its kind's; empty: those given to all count. */
  readonly own: ReadonlyMap<string, OwnSetting>;
}

/** A setting of one source: `HTTP_TOKEN`, or the path that `HTTP_TOKEN_FILE` names. */
export interface OwnSetting {
  readonly text: string;
  readonly secretFile: boolean;
  /** As messages name it: `http_token of source 2`. */
  readonly spelled: string;
}

/** One or more sources, separated by white space; in the settings file also a list of texts and maps. */
export const sources: Kind<readonly SourceEntry[]> = {
  type: 'list of URLs',
  fromItems: writeRawSources,
  parse: (text, cwd) => {
    const raw = readRawSources(text);
    const entries = raw.map((one, at) => readEntry(one, { cwd, at, count: raw.length }));
    const twice = entries.find(({ name }, at) => name !== null && nameOf(entries, name) !== at);
    if (twice !== undefined) throw new InvalidValue(`the name "${twice.name}" is given to two sources`);
    return entries;
  },
};

function nameOf(entries: readonly SourceEntry[], name: string): number {
  return entries.findIndex((one) => one.name === name);
}

interface Position {
  readonly cwd: string;
  readonly at: number;
  readonly count: number;
}

/** What is wrong with one of several sources names it by its number: its URL may hold a secret. */
function readEntry(raw: RawSource, position: Position): SourceEntry {
  try {
    return read(raw, position);
  } catch (error) {
    if (!(error instanceof InvalidValue) || position.count === 1) throw error;
    throw new InvalidValue(`source ${position.at + 1}: ${error.message}`, error.suggestion);
  }
}

function read({ url: text, name, optional, format, own }: RawSource, { cwd, at }: Position): SourceEntry {
  if (name !== undefined && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    throw new InvalidValue(
      `the name "${name}" is not an identifier: use letters, digits and _, and begin with no digit`,
    );
  }
  const url = source.parse(text, cwd);
  return {
    url,
    name: name ?? null,
    optional: optional !== undefined && boolean.parse(optional, cwd),
    format: format === undefined ? undefined : choice(SOURCE_FORMATS).parse(format, cwd),
    own: new Map(
      Object.entries(own).map(([key, value]) => {
        const [setting, secretFile] = settingOf(key, url);
        const own = { text: value, secretFile, spelled: `${key} of source ${at + 1}` };
        checkOwn(own, url.kind.settings[setting], cwd);
        return [setting, own];
      }),
    ),
  };
}

/** `http_token_file` is the setting `HTTP_TOKEN`, given as a file. */
function settingOf(key: string, { kind }: SourceUrl): readonly [name: string, secretFile: boolean] {
  const known = Object.entries(kind.settings).flatMap(([name, { secret }]) => {
    const plain = [name.toLowerCase(), name, false] as const;
    return secret === undefined ? [plain] : [plain, [`${name.toLowerCase()}_file`, name, true] as const];
  });
  const found = known.find(([written]) => written === key);
  if (found !== undefined) return [found[1], found[2]];
  const accepted = [...KEYS, ...known.map(([written]) => written)];
  throw new InvalidValue(
    `it has an unknown key "${key}"; accepted are ${accepted.join(', ')}`,
    nearest(key, accepted),
  );
}

function checkOwn({ text, secretFile }: OwnSetting, setting: SourceSetting | undefined, cwd: string): void {
  if (setting === undefined) return;
  const value = secretFile ? readSecretFile(resolve(cwd, text.trim())) : text;
  kindOfValue(setting.kind).parse(value, cwd);
}

const KEYS = ['url', 'name', 'optional', 'format'];
