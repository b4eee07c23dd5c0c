// Settings given as environment variables, misspelt ones among them, and the environment that commands of ours get.
import { holdsSecret } from '../lib/mask.ts';
import type { SourceKind } from '../source/provider.ts';
import { distance, nearest } from './nearest.ts';
import { didYouMean, type Layer, type RawSetting } from './raw-setting.ts';
import { SOURCE_KINDS } from './sources.ts';
import { rowOf, SPELLINGS } from './table.ts';

/** Environment variables by name, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Before a setting's name, for where the plain name is taken by something else; beats the plain one. */
const PREFIX = 'CONFIG_SIDECAR_';

/** What Kubernetes sets in every pod when a Service of ours is named `config-sidecar`. */
const SERVICE_LINK =
  /^(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$/;

/** Variables of other programs that are near a setting's name but mean something else. */
const WELL_KNOWN = new Set([
  ...SOURCE_KINDS.flatMap(({ unread }) => Object.keys(unread)),
  ...['HTTP_HOST', 'HTTP_PORT', 'HTTP_PROXY', 'HTTPS_PORT', 'HTTPS_PROXY'],
]);

/** The settings under their plain names. An empty variable counts as not set: manifests leave such behind. */
export function readEnvironment(env: Environment): Layer {
  return { raw: settingsOf(env, ''), problems: [] };
}

/** The settings under our prefix. An unknown name with that prefix is a mistake. */
export function readPrefixedEnvironment(env: Environment): Layer {
  const unknown = Object.keys(env).filter((variable) => {
    const name = variable.slice(PREFIX.length);
    return variable.startsWith(PREFIX) && !SPELLINGS.has(name) && !SERVICE_LINK.test(name);
  });
  const problems = unknown.map((variable) => {
    const meant = nearest(variable.slice(PREFIX.length), [...SPELLINGS.keys()]);
    return `Cannot use ${variable}: unknown setting${didYouMean(meant && PREFIX + meant)}`;
  });
  return { raw: settingsOf(env, PREFIX), problems };
}

function settingsOf(env: Environment, prefix: string): readonly RawSetting[] {
  return [...SPELLINGS].flatMap(([written, spelling]) => {
    const text = env[prefix + written];
    if (text === undefined || isEmpty(text, rowOf(spelling.name).kind.verbatim === true)) return [];
    return [{ ...spelling, from: 'environment', spelled: prefix + written, text }];
  });
}

function isEmpty(text: string, verbatim: boolean): boolean {
  return (verbatim ? text : text.trim()) === '';
}

/** A sentence for every variable that is one or two letters away from a setting and is not itself known. */
export function misspeltVariables(env: Environment): readonly string[] {
  return Object.keys(env)
    .filter((variable) => variable.length >= 5 && !variable.startsWith(PREFIX))
    .filter((variable) => !SPELLINGS.has(variable) && !WELL_KNOWN.has(variable))
    .flatMap((variable) => {
      const meant = closest(variable);
      return meant === undefined
        ? []
        : [`The environment variable ${variable} is not a setting and is ignored; did you mean ${meant}?`];
    });
}

/** A sentence for every variable of the store's own tools that is set and has no effect here. */
export function unreadVariables(env: Environment, { unread }: SourceKind): readonly string[] {
  return Object.entries(unread)
    .filter(([variable]) => !isEmpty(env[variable] ?? '', false))
    .map(([variable, advice]) => `The environment variable ${variable} has no effect here. ${advice}`);
}

/** Short names are near too many others, so only one letter may differ there. */
function closest(variable: string): string | undefined {
  const ranked = [...SPELLINGS.keys()]
    .map((name) => ({ name, letters: distance(variable, name, 2), limit: name.length < 8 ? 1 : 2 }))
    .filter(({ name, letters, limit }) => name.length >= 5 && letters <= limit)
    .sort((a, b) => a.letters - b.letters);
  return ranked[0]?.name;
}

/**
 * The environment for hooks and validators: without secret settings under any of their spellings, and without URLs
 * of ours that hold credentials.
 */
export function environmentForCommands(env: Environment): Record<string, string> {
  const kept = Object.entries(env).filter(
    ([variable, value]) => value !== undefined && !isSecret(variable, value),
  );
  return Object.fromEntries(kept as Array<[string, string]>);
}

function isSecret(variable: string, value: string): boolean {
  const spelling = SPELLINGS.get(variable.startsWith(PREFIX) ? variable.slice(PREFIX.length) : variable);
  if (spelling === undefined) return false;
  const { secret } = rowOf(spelling.name);
  if (secret === 'url' && !spelling.secretFile) return value.trim().split(/\s+/).some(holdsSecret);
  return secret !== undefined;
}
