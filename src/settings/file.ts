// Settings given in a file (YAML or JSON): the same names in lower case, at the top or under `defaults:`, and for
// each of several targets under `targets:`.
import { resolve } from 'node:path';
import { InvalidValue } from '../lib/invalid-value.ts';
import { readSmallText } from '../lib/small-file.ts';
import { textFrom } from './kind.ts';
import { nearest } from './nearest.ts';
import { didYouMean, type Layer, type RawSetting } from './raw-setting.ts';
import { isOfTheProcess, rowOf, SPELLINGS, type Spelling } from './table.ts';

const LARGEST_BYTES = 2 ** 20;

const KEYS = new Map([...SPELLINGS].map(([written, spelling]) => [written.toLowerCase(), spelling]));

type Mapping = Readonly<Record<string, unknown>>;

/** What a target may be called. */
export const TARGET_NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,62}$/;

/** What a settings file says. */
export interface FileSettings {
  /** For every target. */
  readonly defaults: Layer;
  /** By name, in the order of the file; null without `targets:`. */
  readonly targets: ReadonlyMap<string, Layer> | null;
  /** Nothing of it could be used: what it would have given is not missing. */
  readonly isUnread?: boolean;
}

/** Reads the settings file named by `given`. Every mistake in it is reported with the key's name. */
export async function readSettingsFile(raw: RawSetting, cwd: string): Promise<FileSettings> {
  const file = resolve(cwd, raw.text.trim());
  try {
    const content = await parse(readSmallText(file, LARGEST_BYTES, '1MiB'));
    if (!isMapping(content))
      throw new InvalidValue('it must hold a map of settings, such as output: /srv/app.json');
    return 'targets' in content ? readTargets(content, file) : readDefaults(content, file);
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    const problems = [`Cannot use ${raw.spelled} "${file}": ${error.message}`];
    return { defaults: { raw: [], problems }, targets: null, isUnread: true };
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

function readDefaults(content: Mapping, file: string): FileSettings {
  if (!('defaults' in content)) return { defaults: readKeys(content, `in "${file}"`), targets: null };
  if (Object.keys(content).length > 1) {
    throw new InvalidValue('settings go either at the top or under defaults:, not both');
  }
  const { defaults } = content;
  if (!isMapping(defaults)) throw new InvalidValue('defaults: must be a map of settings');
  return { defaults: readKeys(defaults, `in "${file}"`), targets: null };
}

function readTargets({ targets, defaults, ...others }: Mapping, file: string): FileSettings {
  if (defaults !== undefined && !isMapping(defaults))
    throw new InvalidValue('defaults: must be a map of settings');
  if (!isMapping(targets) || Object.keys(targets).length === 0)
    throw new InvalidValue(
      'targets: must be a map from names to settings, such as web: {output: /srv/web.json}',
    );
  const shared = readKeys(defaults ?? {}, `in "${file}"`);
  const astray = Object.keys(others).map(
    (key) => `Cannot use ${key} in "${file}": beside targets:, settings go under defaults: or into a target`,
  );
  const read = Object.entries(targets).map(
    ([name, settings]) => [name, readTarget(name, settings, file)] as const,
  );
  return {
    defaults: { raw: shared.raw, problems: [...shared.problems, ...astray] },
    targets: new Map(read),
  };
}

function readTarget(name: string, settings: unknown, file: string): Layer {
  const where = `of targets.${name} in "${file}"`;
  const named = TARGET_NAME.test(name)
    ? []
    : [
        `Cannot use the name "${name}" ${where}: use at most 63 letters, digits, _ and -, and begin with a letter or _`,
      ];
  if (!isMapping(settings)) {
    const problem = `Cannot use targets.${name} in "${file}": it must be a map of settings`;
    return { raw: [], problems: [...named, problem] };
  }
  const { raw, problems } = readKeys(settings, where);
  const shared = raw.filter(({ name }) => isOfTheProcess(name));
  return {
    raw: raw.filter((one) => !shared.includes(one)),
    problems: [
      ...named,
      ...problems,
      ...shared.map(
        ({ spelled }) => `Cannot use ${spelled}: it is one for all targets; put it under defaults:`,
      ),
    ],
  };
}

/** @param where what messages say behind the key: `in "/etc/settings.yaml"`. */
function readKeys(content: Mapping, where: string): Layer {
  const raw: RawSetting[] = [];
  const problems: string[] = [];
  for (const [key, value] of Object.entries(content)) {
    const spelled = `${key} ${where}`;
    const spelling = KEYS.get(key);
    if (spelling === undefined) {
      const meant = nearest(key, [...KEYS.keys()]);
      problems.push(`Cannot use ${spelled}: unknown setting${didYouMean(meant)}`);
      continue;
    }
    const text = textOf(spelling, value);
    if (text === undefined) problems.push(`Cannot use ${spelled}: ${expected(spelling)}`);
    else raw.push({ ...spelling, from: 'file', spelled, text });
  }
  return { raw, problems };
}

function expected({ name, secretFile }: Spelling): string {
  if (name === 'SETTINGS_FILE') return 'a settings file cannot name another one';
  const { fromList, fromMap, fromItems, itemKinds } = rowOf(name).kind;
  if (fromItems !== undefined && itemKinds === undefined && !secretFile)
    return 'it must be one value, a map with url, or a list of such; nothing in it may be empty';
  const shapes = [
    'one value',
    ...(fromList ? ['a list of values'] : []),
    ...(fromMap ? ['a map of values'] : []),
  ];
  return `it must be ${(secretFile ? ['one value'] : shapes).join(' or ')}, and not empty`;
}

function textOf({ name, secretFile }: Spelling, value: unknown): string | undefined {
  if (name === 'SETTINGS_FILE' || (secretFile && typeof value !== 'string')) return undefined;
  return textFrom(rowOf(name).kind, value);
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
