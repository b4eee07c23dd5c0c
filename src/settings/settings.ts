// Settings as the program uses them: gathered from flags, environment and file, checked all at once, secrets kept apart.
import { dirname, join } from 'node:path';
import { customCleanEnv, makeExactValidator } from 'envalid';
import { SidecarError } from '../lib/errors.ts';
import { InvalidValue } from '../lib/invalid-value.ts';
import { crossCheck, givesHook, missing, namesProcess, suspicious } from './checks.ts';
import { crossTargets } from './cross-targets.ts';
import {
  type Environment,
  misspeltVariables,
  readEnvironment,
  readPrefixedEnvironment,
  unreadVariables,
} from './environment.ts';
import { type FileSettings, readSettingsFile } from './file.ts';
import { readFlags } from './flags.ts';
import type { Loaded, Settings, Targets } from './loaded.ts';
import { outputsOf } from './outputs.ts';
import type { Place } from './paths.ts';
import { readPreset } from './preset.ts';
import { complaints, describe, type Layer, type LoadedValues, type RawSetting } from './raw-setting.ts';
import { currentText } from './secrets.ts';
import { isName, NAMES, type Name, rowOf, type Values } from './table.ts';

export interface LoadOptions {
  /** Flags that are settings, as on the command line: `['--output', '/srv/app.json']`. */
  readonly flags: readonly string[];
  readonly env: Environment;
  /** Relative paths start here, also those in the settings file. */
  readonly cwd: string;
  /** Flags of the command, without dashes, that a misspelt flag may be meant for. */
  readonly otherFlags?: readonly string[];
}

export type { Loaded, Settings, Targets } from './loaded.ts';

/** Every mistake at once, a sentence on each line of the message, warnings last: they often say why. Exit code 2. */
export class SettingsError extends SidecarError {
  readonly problems: readonly string[];

  constructor(problems: readonly string[], warnings: readonly string[] = []) {
    super([...problems, ...warnings].join('\n'), { code: 'settings', stage: 'settings' });
    this.name = 'SettingsError';
    this.problems = problems;
  }
}

/** The name of the target where there is one. */
export const ONLY_TARGET = 'default';

/**
 * Reads and checks every setting of every target. An entry of a target beats flag beats environment beats file beats preset
 * beats default; a name with the prefix `CONFIG_SIDECAR_` beats the plain one. Touches no network. Throws a SettingsError.
 */
export async function loadTargets(options: LoadOptions): Promise<Targets> {
  return (await load(options, missing)) as Targets;
}

/** The same for commands that follow no source and write no output: nothing is required, what is given must be right. */
export async function loadPartialTargets(options: LoadOptions): Promise<Targets<Partial<Settings>>> {
  return await load(options, () => []);
}

type Required = (facts: LoadedValues) => readonly string[];

async function load(options: LoadOptions, required: Required): Promise<Targets<Partial<Settings>>> {
  const { common, defaults, targets, isUnread = false } = await gather(options);
  const mistakes = (target: Layer | null): readonly string[] => {
    return [...(target === null ? [] : [target]), ...common, defaults].flatMap((layer) => [
      ...layer.problems,
      ...givenBothWays(layer),
    ]);
  };
  const outcomes = [...(targets ?? [[ONLY_TARGET, null] as const])].map(([name, own]) => {
    const layers = own === null ? common : [own, ...common.map((layer) => withoutRivals(layer, own))];
    const { loaded, problems } = loadOne(
      [...layers, withoutRivals(defaults, own)],
      options,
      isUnread ? () => [] : required,
    );
    return { name, loaded, problems: [...mistakes(own), ...problems] };
  });
  const loaded = new Map(outcomes.map((one) => [one.name, one.loaded]));
  const problems = [...together(outcomes), ...crossTargets(loaded)];
  const warnings = new Set(outcomes.flatMap((one) => one.loaded.warnings));
  if (problems.length > 0) throw new SettingsError(problems, [...warnings]);
  return loaded;
}

/** What is wrong with all of them is said once; the rest names its target. */
function together(
  outcomes: readonly { readonly name: string; readonly problems: readonly string[] }[],
): readonly string[] {
  const isOfAll = (sentence: string): boolean =>
    outcomes.every(({ problems }) => problems.includes(sentence));
  const [first] = outcomes;
  return [
    ...(first?.problems ?? []).filter(isOfAll),
    ...outcomes.flatMap(({ name, problems }) =>
      problems.filter((one) => !isOfAll(one)).map((one) => `Target "${name}": ${one}`),
    ),
  ];
}

/** Settings of which a target has one: what it says itself replaces the others, wherever they were given. */
const RIVALS: readonly (readonly Name[])[] = [
  ['SOURCE', 'CONFIG_FILE'],
  ['OUTPUT', 'OUTPUTS'],
  ['RELOAD_SIGNAL', 'RELOAD_URL', 'RELOAD_COMMAND'],
  ['APP_PROCESS', 'APP_PID_FILE'],
];

function withoutRivals(layer: Layer, own: Layer | null): Layer {
  if (own === null) return layer;
  const chosen = RIVALS.filter((names) => own.raw.some(({ name }) => names.includes(name))).flat();
  return { ...layer, raw: layer.raw.filter(({ name }) => !chosen.includes(name)) };
}

interface LoadResult {
  readonly loaded: Loaded<Partial<Settings>>;
  readonly problems: readonly string[];
}

/** @param layers the strongest first. */
function loadOne(layers: readonly Layer[], { env, cwd }: LoadOptions, required: Required): LoadResult {
  const raw = new Map<Name, RawSetting>();
  const add = (layer: Layer): void => {
    for (const one of layer.raw) if (!raw.has(one.name)) raw.set(one.name, one);
  };
  for (const layer of layers) add(layer);
  const preset = readPreset(raw, env);
  add(preset);
  const checked = parseAll(raw, cwd);
  const facts = { values: derive(checked.values, raw), raw };
  const { SOURCE, CONFIG_FILE } = facts.values;
  const kinds = new Set(CONFIG_FILE === undefined ? SOURCE?.map(({ url }) => url.kind) : []);
  const unread = [...kinds].flatMap((kind) => unreadVariables(env, kind));
  const said = [...layers, preset].flatMap(({ warnings = [] }) => warnings);
  return {
    loaded: {
      settings: settingsOf(facts.values),
      raw,
      warnings: [...misspeltVariables(env), ...unread, ...said, ...suspicious(facts)],
      cwd,
    },
    problems: [...preset.problems, ...checked.problems, ...required(facts), ...crossCheck(facts)],
  };
}

/** With the outputs as they are used. */
function settingsOf(values: Partial<Values>): Partial<Settings> {
  const { OUTPUTS: _entries, ...others } = values;
  const outputs = outputsOf(values);
  return { ...(others as Partial<Settings>), ...(outputs.length > 0 && { OUTPUTS: outputs }) };
}

interface Gathered extends FileSettings {
  /** Of flags and environment, the strongest first. */
  readonly common: readonly Layer[];
}

async function gather({ flags, env, cwd, otherFlags }: LoadOptions): Promise<Gathered> {
  const common = [readFlags(flags, otherFlags), readPrefixedEnvironment(env), readEnvironment(env)];
  const file = common.flatMap((layer) => layer.raw).find(({ name }) => name === 'SETTINGS_FILE');
  if (file === undefined) return { common, defaults: { raw: [], problems: [] }, targets: null };
  return { common, ...(await readSettingsFile(file, cwd)) };
}

function givenBothWays({ raw }: Layer): readonly string[] {
  return raw
    .filter((one) => one.secretFile)
    .flatMap((one) => {
      const plain = raw.find(({ name, secretFile }) => name === one.name && !secretFile);
      return plain === undefined
        ? []
        : [`Cannot use ${describe(one)} with ${describe(plain)}: keep one of them`];
    });
}

/** Each value alone, by envalid: defaults go the same way as what was given, since it would not check them itself. */
function parseAll(
  raw: ReadonlyMap<Name, RawSetting>,
  cwd: string,
): { values: Partial<Values>; problems: string[] } {
  const texts: Record<string, string> = {};
  const refusals = new Map<Name, InvalidValue>();
  const specs = Object.fromEntries(
    NAMES.map((name) => {
      const one = raw.get(name);
      const text = one === undefined ? rowOf(name).fallback : '';
      if (text !== undefined) texts[name] = text;
      const parse = makeExactValidator<unknown>((fallback) => {
        return rowOf(name).kind.parse(one === undefined ? fallback : currentText(one, cwd), cwd);
      });
      return [name, parse({ default: undefined })];
    }),
  );
  const values = customCleanEnv(texts, specs, (cleaned) => cleaned as Partial<Values>, {
    // Its own reporter repeats the raw values, in colour, and ends the process.
    reporter: ({ errors }) => {
      for (const [name, error] of Object.entries(errors)) {
        if (!(error instanceof InvalidValue)) throw error;
        if (isName(name)) refusals.set(name, error);
      }
    },
  });
  const problems = [...refusals].flatMap(([name, refusal]) => {
    const one = raw.get(name);
    return one === undefined ? [] : complaints(one, refusal);
  });
  return { values, problems };
}

/** Polls that may fail in a row before the source counts as stale. */
const POLLS_TO_STALE = 3;

/** What other settings decide: where the state lies, which hook a named process gets, when a slowly polled source is stale. */
function derive(values: Partial<Values>, raw: ReadonlyMap<Name, RawSetting>): Partial<Values> {
  const { RELOAD_SIGNAL, STALE_AFTER, UPDATE_FREQUENCY } = values;
  const OUTPUT = values.OUTPUT ?? values.OUTPUTS?.[0]?.OUTPUT;
  const derived: { OUTPUT?: Place; STATE_DIR?: string; RELOAD_SIGNAL?: 'SIGHUP'; STALE_AFTER?: number } = {};
  if (OUTPUT !== undefined) derived.OUTPUT = OUTPUT;
  if (!raw.has('STALE_AFTER') && STALE_AFTER !== undefined && UPDATE_FREQUENCY !== undefined)
    derived.STALE_AFTER = Math.max(STALE_AFTER, POLLS_TO_STALE * UPDATE_FREQUENCY);
  if (!raw.has('STATE_DIR') && OUTPUT !== undefined) derived.STATE_DIR = stateBeside(OUTPUT);
  if (RELOAD_SIGNAL === undefined && namesProcess(raw) && !givesHook(raw)) derived.RELOAD_SIGNAL = 'SIGHUP';
  return { ...values, ...derived };
}

function stateBeside({ kind, path }: Place): string {
  return kind === 'file' ? join(dirname(path), '.config-sidecar') : join(path, '..config-sidecar');
}
