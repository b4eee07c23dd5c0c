// Settings given in a file (YAML or JSON): the same names in lower case, at the top or under `defaults:`.
import { resolve } from 'node:path';
import { InvalidValue } from '../lib/invalid-value.ts';
import { didYouMean, type Given, type Layer } from './given.ts';

import { nearest } from './nearest.ts';
import { readSmallText } from './paths.ts';
import { rowOf, SPELLINGS, type Spelling } from './table.ts';

const LARGEST_BYTES = 2 ** 20;

const KEYS = new Map([...SPELLINGS].map(([written, spelling]) => [written.toLowerCase(), spelling]));

type Mapping = Readonly<Record<string, unknown>>;

/** Reads the settings file named by `given`. Every mistake in it is reported with the key's name. */
export async function readSettingsFile(given: Given, cwd: string): Promise<Layer> {
  const file = resolve(cwd, given.text.trim());
  const failed = (reason: string): Layer => ({
    given: [],
    problems: [`Cannot use ${given.spelled} "${file}": ${reason}`],
  });
  try {
    const content = await parse(readSmallText(file, LARGEST_BYTES, '1MiB'));
    return readKeys(settingsIn(content), file);
  } catch (error) {
    if (error instanceof InvalidValue) return failed(error.message);
    throw error;
  }
}

/** Scalars stay as they are written: `output_mode: 0644` is a mode and no number, and `60` stays `60`. */
async function parse(text: string): Promise<unknown> {
  const { load, FAILSAFE_SCHEMA, YAMLException } = await import('js-yaml');
  if (/^\s*(?:#[^\n]*\s*)*$/.test(text)) return {};
  try {
    return load(text, { schema: FAILSAFE_SCHEMA });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const where = error.mark ? ` in line ${error.mark.line + 1}` : '';
    throw new InvalidValue(`it is not valid YAML or JSON${where}: ${withoutQuotes(error.reason)}`);
  }
}

/** The library quotes what it met (an alias, a tag), and that may be a password: `token: *secret`. */
function withoutQuotes(reason: string): string {
  return reason.replace(/\s*["'!<*&].*$/s, '');
}

function settingsIn(content: unknown): Mapping {
  if (!isMapping(content))
    throw new InvalidValue('it must hold a map of settings, such as output: /srv/app.json');
  if ('targets' in content)
    throw new InvalidValue('several targets are not supported by this version; remove targets:');
  if (!('defaults' in content)) return content;
  if (Object.keys(content).length > 1) {
    throw new InvalidValue('settings stand either at the top or under defaults:, not at both places');
  }
  const { defaults } = content;
  if (!isMapping(defaults)) throw new InvalidValue('defaults: must be a map of settings');
  return defaults;
}

function readKeys(content: Mapping, file: string): Layer {
  const given: Given[] = [];
  const problems: string[] = [];
  for (const [key, value] of Object.entries(content)) {
    const spelled = `${key} in "${file}"`;
    const spelling = KEYS.get(key);
    if (spelling === undefined) {
      const meant = nearest(key, [...KEYS.keys()]);
      problems.push(`Cannot use ${spelled}: unknown setting${didYouMean(meant)}`);
      continue;
    }
    const text = textOf(spelling, value);
    if (text === undefined) problems.push(`Cannot use ${spelled}: ${expected(spelling)}`);
    else given.push({ ...spelling, from: 'file', spelled, text });
  }
  return { given, problems };
}

function expected({ name, secretFile }: Spelling): string {
  if (name === 'SETTINGS_FILE') return 'a settings file cannot name another one';
  const { fromList, fromMap, fromItems } = rowOf(name).kind;
  if (fromItems !== undefined && !secretFile)
    return 'it must be one value, a map with url, or a list of such; nothing in it may be empty';
  const shapes = [
    'one value',
    ...(fromList ? ['a list of values'] : []),
    ...(fromMap ? ['a map of values'] : []),
  ];
  return `it must be ${(secretFile ? ['one value'] : shapes).join(' or ')}, and not empty`;
}

function textOf({ name, secretFile }: Spelling, value: unknown): string | undefined {
  if (name === 'SETTINGS_FILE') return undefined;
  if (typeof value === 'string') return value.trim() === '' ? undefined : value;
  const { fromList, fromMap, fromItems } = rowOf(name).kind;
  if (secretFile) return undefined;
  if (fromItems !== undefined) return fromItems(Array.isArray(value) ? value : [value]);
  if (Array.isArray(value)) {
    return fromList && value.length > 0 && value.every(isText) ? fromList(value) : undefined;
  }
  if (!isMapping(value) || fromMap === undefined) return undefined;
  const items = Object.entries(value).filter((item): item is [string, string] => isText(item[1]));
  return items.length > 0 && items.length === Object.keys(value).length ? fromMap(items) : undefined;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
