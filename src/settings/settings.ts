// Settings as the program uses them: gathered from flags, environment and file, checked all at once, secrets kept apart.
import { dirname, join } from 'node:path';
import { customCleanEnv, makeExactValidator } from 'envalid';
import { SidecarError } from '../lib/errors.ts';
import { InvalidValue } from '../lib/invalid-value.ts';
import { crossCheck, type Facts, givesHook, missing, namesProcess, suspicious } from './checks.ts';
import {
  type Environment,
  misspeltVariables,
  readEnvironment,
  readPrefixedEnvironment,
  unreadVariables,
} from './environment.ts';
import { readSettingsFile } from './file.ts';
import { readFlags } from './flags.ts';
import { complaint, describe, type Given, type Layer } from './given.ts';

import type { Place } from './paths.ts';
import { readPreset } from './preset.ts';
import { currentText } from './secrets.ts';
import { isName, NAMES, type Name, rowOf, type Values } from './table.ts';

/** Every setting by its name, with what follows from others filled in. Ask `secretOf` or `currentOf` for secrets. */
export type Settings = Omit<Values, 'OUTPUT' | 'STATE_DIR'> & {
  readonly OUTPUT: Place;
  /** Absolute path. */
  readonly STATE_DIR: string;
};

/** Settings that were accepted. */
export interface Loaded<S = Settings> {
  readonly settings: S;
  /** What was given, and where; names that are missing have their default. */
  readonly given: ReadonlyMap<Name, Given>;
  /** Sentences for what is legal but probably not meant. */
  readonly warnings: readonly string[];
  /** Relative paths start here. */
  readonly cwd: string;
}

export interface LoadOptions {
  /** Flags that are settings, as on the command line: `['--output', '/srv/app.json']`. */
  readonly flags: readonly string[];
  readonly env: Environment;
  /** Relative paths start here, also those in the settings file. */
  readonly cwd: string;
  /** Flags of the command, without dashes, that a misspelt flag may be meant for. */
  readonly otherFlags?: readonly string[];
}

/** Every mistake at once, a sentence on each line of the message, warnings last: they often say why. Exit code 2. */
export class SettingsError extends SidecarError {
  readonly problems: readonly string[];

  constructor(problems: readonly string[], warnings: readonly string[] = []) {
    super([...problems, ...warnings].join('\n'), { code: 'settings', stage: 'settings' });
    this.name = 'SettingsError';
    this.problems = problems;
  }
}

/**
 * Reads and checks every setting. Flag beats environment beats file beats preset beats default; a name with the prefix
 * `CONFIG_SIDECAR_` beats the plain one. Touches no network. Throws a SettingsError.
 */
export async function loadSettings(options: LoadOptions): Promise<Loaded> {
  const { loaded, problems } = await load(options, missing);
  if (problems.length > 0) throw new SettingsError(problems, loaded.warnings);
  return loaded as Loaded;
}

/** The same for commands that follow no source and write no output: nothing is required, what is given must be right. */
export async function loadPartialSettings(options: LoadOptions): Promise<Loaded<Partial<Settings>>> {
  const { loaded, problems } = await load(options, () => []);
  if (problems.length > 0) throw new SettingsError(problems, loaded.warnings);
  return loaded;
}

interface Outcome {
  readonly loaded: Loaded<Partial<Settings>>;
  readonly problems: readonly string[];
}

async function load(options: LoadOptions, required: (facts: Facts) => readonly string[]): Promise<Outcome> {
  const { env, cwd } = options;
  const { given, problems, warnings } = await gather(options);
  const checked = parseAll(given, cwd);
  const facts = { values: derive(checked.values, given), given };
  const { SOURCE, CONFIG_FILE } = facts.values;
  const kinds = new Set(CONFIG_FILE === undefined ? SOURCE?.map(({ url }) => url.kind) : []);
  const unread = [...kinds].flatMap((kind) => unreadVariables(env, kind));
  return {
    loaded: {
      settings: facts.values as Partial<Settings>,
      given,
      warnings: [...misspeltVariables(env), ...unread, ...warnings, ...suspicious(facts)],
      cwd,
    },
    problems: [...problems, ...checked.problems, ...required(facts), ...crossCheck(facts)],
  };
}

interface Gathered {
  readonly given: ReadonlyMap<Name, Given>;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** From every place, the strongest first. */
async function gather({ flags, env, cwd, otherFlags }: LoadOptions): Promise<Gathered> {
  const layers = [readFlags(flags, otherFlags), readPrefixedEnvironment(env), readEnvironment(env)];
  const file = layers.flatMap((layer) => layer.given).find(({ name }) => name === 'SETTINGS_FILE');
  if (file !== undefined) layers.push(await readSettingsFile(file, cwd));
  const given = new Map<Name, Given>();
  const problems: string[] = [];
  const warnings: string[] = [];
  const add = (layer: Layer): void => {
    problems.push(...layer.problems, ...givenBothWays(layer));
    warnings.push(...(layer.warnings ?? []));
    for (const one of layer.given) if (!given.has(one.name)) given.set(one.name, one);
  };
  for (const layer of layers) add(layer);
  add(readPreset(given, env));
  return { given, problems, warnings };
}

function givenBothWays({ given }: Layer): readonly string[] {
  return given
    .filter((one) => one.secretFile)
    .flatMap((one) => {
      const plain = given.find(({ name, secretFile }) => name === one.name && !secretFile);
      return plain === undefined
        ? []
        : [`Cannot use ${describe(one)} with ${describe(plain)}: keep one of them`];
    });
}

/** Each value alone, by envalid: defaults go the same way as what was given, since it would not check them itself. */
function parseAll(
  given: ReadonlyMap<Name, Given>,
  cwd: string,
): { values: Partial<Values>; problems: string[] } {
  const texts: Record<string, string> = {};
  const refusals = new Map<Name, InvalidValue>();
  const specs = Object.fromEntries(
    NAMES.map((name) => {
      const one = given.get(name);
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
    const one = given.get(name);
    return one === undefined ? [] : [complaint(one, refusal)];
  });
  return { values, problems };
}

/** Polls that may fail in a row before the source counts as stale. */
const POLLS_TO_STALE = 3;

/** What other settings decide: where the state lies, which hook a named process gets, when a slowly polled source is stale. */
function derive(values: Partial<Values>, given: ReadonlyMap<Name, Given>): Partial<Values> {
  const { OUTPUT, RELOAD_SIGNAL, STALE_AFTER, UPDATE_FREQUENCY } = values;
  const derived: { STATE_DIR?: string; RELOAD_SIGNAL?: 'SIGHUP'; STALE_AFTER?: number } = {};
  if (!given.has('STALE_AFTER') && STALE_AFTER !== undefined && UPDATE_FREQUENCY !== undefined)
    derived.STALE_AFTER = Math.max(STALE_AFTER, POLLS_TO_STALE * UPDATE_FREQUENCY);
  if (!given.has('STATE_DIR') && OUTPUT !== undefined) derived.STATE_DIR = stateBeside(OUTPUT);
  if (RELOAD_SIGNAL === undefined && namesProcess(given) && !givesHook(given))
    derived.RELOAD_SIGNAL = 'SIGHUP';
  return { ...values, ...derived };
}

function stateBeside({ kind, path }: Place): string {
  return kind === 'file' ? join(dirname(path), '.config-sidecar') : join(path, '..config-sidecar');
}
