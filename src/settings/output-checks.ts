// What must be true of the outputs of a target together: each in a place of its own, and with settings that fit it.

import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from '../lib/errors.ts';
import { outputsOf, shownPlace } from './outputs.ts';
import type { Place } from './paths.ts';
import { describe, type LoadedValues } from './raw-setting.ts';

/** `OUTPUT "/srv/app.json"`, or `outputs[1].output in "/etc/settings.yaml" "/srv/app.json"`. */
export function saidOutput({ raw, values }: LoadedValues, place: Place): string {
  const all = raw.get('OUTPUTS');
  const at = values.OUTPUTS?.findIndex(({ OUTPUT }) => OUTPUT === place) ?? -1;
  if (all !== undefined && at >= 0) return `${partOf(all.spelled, `[${at}].output`)} "${shownPlace(place)}"`;
  const one = raw.get('OUTPUT');
  return one === undefined ? `OUTPUT "${shownPlace(place)}"` : describe(one);
}

/** The setting's own spelling of a part of it. */
function partOf(spelled: string, at: string): string {
  return spelled.replace(/^\S+/, (key) => key + at);
}

export function outputsFit(facts: LoadedValues): readonly string[] {
  return [...eitherWay(facts), ...apart(facts), ...templatesFit(facts), ...modesFit(facts)];
}

function eitherWay({ raw }: LoadedValues): readonly string[] {
  const [one, all] = [raw.get('OUTPUT'), raw.get('OUTPUTS')];
  if (one === undefined || all === undefined) return [];
  return [
    `Cannot use ${describe(one)} with ${all.spelled}: every entry has an output of its own; keep one of the two`,
  ];
}

/** Two outputs that are one, or of which one lies in the other, would overwrite each other. */
function apart(facts: LoadedValues): readonly string[] {
  const places = outputsOf(facts.values).map(({ place }) => place);
  const disk = lookUps();
  return places.flatMap((place, at) =>
    places.slice(0, at).flatMap((before) => {
      const how = relationOf(place, before, disk);
      if (how === null) return [];
      return [`Cannot use ${saidOutput(facts, place)} with ${saidOutput(facts, before)}: ${HOW[how]}`];
    }),
  );
}

const HOW = {
  same: 'both are the same place',
  'first-inside': 'the first lies inside the second',
  'second-inside': 'the second lies inside the first',
} as const;

/** How two outputs are in each other's way, also by links, `..` or a mount; null: they are not. */
export function relationOf(one: Place, other: Place, { identities }: LookUps): keyof typeof HOW | null {
  const [first, second] = [identities(one), identities(other)];
  if (first[0] === second[0]) return 'same';
  if (other.kind === 'directory' && first.includes(second[0] ?? '')) return 'first-inside';
  if (one.kind === 'directory' && second.includes(first[0] ?? '')) return 'second-inside';
  return null;
}

/** Names of the place and of every directory above it that are the same however they are reached. */
function identitiesOf({ kind, path }: Place): readonly string[] {
  const real = realPath(kind === 'file' ? dirname(path) : path);
  const places = [real];
  for (let at = real; at !== '/'; at = dirname(at)) places.push(dirname(at));
  const above = places.map(identityOf);
  return kind === 'file' ? [`${above[0]}/${basename(path)}`, ...above] : above;
}

/** What the disk says of places and paths. */
export interface LookUps {
  readonly identities: (place: Place) => readonly string[];
  readonly real: (path: string) => string;
}

/** Asks the disk once for each: of a thousand targets every two are compared. */
export function lookUps(): LookUps {
  return {
    identities: remembering(identitiesOf, ({ kind, path }) => `${kind} ${path}`),
    real: remembering(realPath, (path) => path),
  };
}

function remembering<T, R>(ask: (of: T) => R, keyOf: (of: T) => string): (of: T) => R {
  const known = new Map<string, R>();
  return (of) => {
    const key = keyOf(of);
    const answer = known.get(key) ?? ask(of);
    known.set(key, answer);
    return answer;
  };
}

/** The path with its links resolved, as far as it is there; what is not there yet keeps its name. */
function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch (error) {
    if (errnoOf(error) === undefined || path === '/') throw error;
    return join(realPath(dirname(path)), basename(path));
  }
}

/** One directory may be mounted at two places. */
function identityOf(path: string): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    if (errnoOf(error) === undefined || path === '/') throw error;
    return `${identityOf(dirname(path))}/${basename(path)}`;
  }
}

function templatesFit(facts: LoadedValues): readonly string[] {
  return outputsOf(facts.values).flatMap(({ place, template }) => {
    if (template?.kind !== 'directory' || place.kind !== 'file') return [];
    const raw = facts.raw.get('TEMPLATE');
    const isOwn = facts.values.OUTPUTS?.some(
      ({ OUTPUT, TEMPLATE }) => OUTPUT === place && TEMPLATE !== undefined,
    );
    const said = raw === undefined || isOwn ? `TEMPLATE "${template.path}"` : describe(raw);
    return [
      `Cannot use ${said} with ${saidOutput(facts, place)}: a directory of templates needs an OUTPUT that is a directory and ends with a slash`,
    ];
  });
}

/** Modes by name need names: a file output has OUTPUT_MODE. */
function modesFit(facts: LoadedValues): readonly string[] {
  const { values, raw } = facts;
  const all = outputsOf(values);
  const shared = raw.get('MODES');
  const mistakes = (values.OUTPUTS ?? []).flatMap(({ OUTPUT, MODES }) =>
    MODES !== undefined && OUTPUT?.kind === 'file' ? [`modes with ${saidOutput(facts, OUTPUT)}`] : [],
  );
  if (shared !== undefined && all.length > 0 && all.every(({ place }) => place.kind === 'file'))
    mistakes.push(`${describe(shared)} with ${all.map(({ place }) => saidOutput(facts, place)).join(', ')}`);
  return mistakes.map((what) => `Cannot use ${what}: modes are for a directory; set OUTPUT_MODE for a file`);
}
