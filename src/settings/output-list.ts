// The OUTPUTS setting: several outputs of one target, each with settings of its own.

import { InvalidValue, InvalidValues, type Mistake } from '../lib/invalid-value.ts';
import { FORMAT_ALIASES, FORMATS } from './formats.ts';
import { choice, type Kind, textFrom } from './kind.ts';
import { fileModes, type ModeRule } from './modes.ts';
import { nearest } from './nearest.ts';
import { output, type Place, readablePlace } from './paths.ts';
import { command } from './process.ts';
import type { Owner } from './types.ts';
import { mode, owner } from './units.ts';

/** What an output may have for itself. What it leaves out is as the settings of these names say. */
interface OwnSettings {
  readonly TEMPLATE?: Place;
  readonly FORMAT?: (typeof FORMATS)[number];
  readonly OUTPUT_MODE?: number;
  readonly OUTPUT_OWNER?: Owner;
  readonly MODES?: readonly ModeRule[];
  readonly VALIDATE_COMMAND?: readonly string[];
}

/** One of several outputs. */
export interface OutputEntry extends OwnSettings {
  readonly OUTPUT: Place;
}

/** The keys of an entry, with the kind of each. */
const KINDS: { readonly [N in keyof OutputEntry]-?: Kind<NonNullable<OutputEntry[N]>> } = {
  OUTPUT: output,
  TEMPLATE: readablePlace,
  FORMAT: choice(FORMATS, FORMAT_ALIASES),
  OUTPUT_MODE: mode,
  OUTPUT_OWNER: owner,
  MODES: fileModes,
  VALIDATE_COMMAND: command,
};

const KEYS: ReadonlyMap<string, keyof OutputEntry> = new Map(
  (Object.keys(KINDS) as readonly (keyof OutputEntry)[]).map((name) => [name.toLowerCase(), name]),
);

type Item = Readonly<Record<string, unknown>>;

/** A list of maps, each with `output`; in the environment and as a flag the same as JSON. */
export const outputs: Kind<readonly OutputEntry[]> = {
  type: 'list of outputs',
  itemKinds: Object.fromEntries([...KEYS].map(([key, name]) => [key, KINDS[name]])),
  requiredKeys: ['output'],
  fromItems: (items) => JSON.stringify(items),
  parse: (text, cwd) => {
    const items = itemsOf(text);
    const mistakes: Mistake[] = [];
    const entries = items.map((item, at) => readEntry(item, { at: `[${at}]`, cwd, mistakes }));
    if (mistakes.length > 0) throw new InvalidValues(mistakes);
    return entries;
  },
};

function itemsOf(text: string): readonly Item[] {
  const items = parseJson(text);
  if (Array.isArray(items) && items.length > 0 && items.every(isMap)) return items;
  throw new InvalidValue('it must be a list of maps, each with output, and not empty');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isMap(value: unknown): value is Item {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

interface Reading {
  /** Where the entry is in the list, for messages. */
  readonly at: string;
  readonly cwd: string;
  readonly mistakes: Mistake[];
}

/** Every mistake is noted; an entry with one is not whole. */
function readEntry(item: Item, { at, cwd, mistakes }: Reading): OutputEntry {
  const entry: Record<string, unknown> = {};
  if (!('output' in item)) mistakes.push({ at, value: null, reason: 'it has no output' });
  for (const [key, value] of Object.entries(item)) {
    const name = KEYS.get(key);
    const place = `${at}.${key}`;
    if (name === undefined) {
      const suggestion = nearest(key, [...KEYS.keys()]);
      const reason = `unknown key; accepted are ${[...KEYS.keys()].join(', ')}`;
      mistakes.push({ at: place, value: null, reason, suggestion });
      continue;
    }
    const text = textFrom(KINDS[name], value)?.trim();
    try {
      if (text === undefined) throw new InvalidValue('it has a shape that is not accepted, or is empty');
      entry[name] = KINDS[name].parse(text, cwd);
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error;
      const { message: reason, suggestion } = error;
      mistakes.push({ at: place, value: text ?? null, reason, suggestion });
    }
  }
  return entry as unknown as OutputEntry;
}
