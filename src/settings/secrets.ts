// The value a setting has now: a secret that is given as a file is read again at every use, so that rotation works.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { SidecarError } from '../lib/errors.ts';
import { InvalidValue } from '../lib/invalid-value.ts';
import { secretsInQuery } from '../lib/mask.ts';
import { groupOf } from '../source/merge.ts';
import type { Observation, OpenProvider, Provider } from '../source/provider.ts';
import type { Loaded, Settings } from './loaded.ts';
import { readSecretFile } from './paths.ts';
import { describe, type RawSetting } from './raw-setting.ts';
import { type OwnSetting, type SourceEntry, sources } from './source-list.ts';
import { type RawSource, safely } from './source-text.ts';
import { isName, type Name, rowOf, SPELLINGS } from './table.ts';

/**
 * The text of a setting as it is now. Of a secret file one trailing newline is dropped; it holds at most 64 KiB.
 * Throws a InvalidValue.
 */
export function currentText({ name, text, secretFile }: RawSetting, cwd: string): string {
  const { verbatim = false } = rowOf(name).kind;
  if (!secretFile) return verbatim ? text : text.trim();
  const secret = readSecretFile(resolve(cwd, text.trim()));
  return verbatim ? secret : secret.trim();
}

/**
 * The setting's text as it is now, or undefined when it is not set. Throws a SidecarError (`settings.secret`) when
 * its file cannot be read any more, or holds what is not accepted.
 */
export function secretOf(loaded: Loaded<unknown>, name: Name): string | undefined {
  return current(loaded, name)?.text;
}

/** The setting's value as it is now, or its default. Errors as `secretOf`. */
export function currentOf<N extends keyof Settings>(loaded: Loaded, name: N): Settings[N] {
  if (loaded.raw.get(name)?.secretFile !== true) return loaded.settings[name];
  return current(loaded, name)?.value as Settings[N];
}

function current({ raw, cwd }: Loaded<unknown>, name: Name): { text: string; value: unknown } | undefined {
  const one = raw.get(name);
  return one === undefined ? undefined : textAndValue(one, cwd);
}

function textAndValue(one: RawSetting, cwd: string): { text: string; value: unknown } {
  try {
    const text = currentText(one, cwd);
    return { text, value: rowOf(one.name).kind.parse(text, cwd) };
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    throw new SidecarError(`Cannot use ${describe(one)}: ${error.message}`, {
      code: 'settings.secret',
      stage: 'settings',
      cause: error,
    });
  }
}

/** What a target follows: `CONFIG_FILE` where it is set, else `SOURCE` as it is now. Errors as `secretOf`. */
export function sourceOf(loaded: Loaded): FollowedSource {
  const entries = entriesOf(loaded);
  return { entries, load: () => loadSources(entries, loaded) };
}

/** Everything that a target follows, but for its templates. */
export interface FollowedSource {
  /** At least one. */
  readonly entries: readonly SourceEntry[];
  /** Loads what it takes to follow them, client libraries included. */
  readonly load: () => Promise<OpenProvider>;
}

function entriesOf(loaded: Loaded): readonly SourceEntry[] {
  const { CONFIG_FILE } = loaded.settings;
  // As a URL, so that a `#` in the path is part of the path.
  if (CONFIG_FILE !== undefined) return sources.parse(pathToFileURL(CONFIG_FILE).href, loaded.cwd);
  const found = currentOf(loaded, 'SOURCE');
  if (found === undefined) throw new Error('Neither SOURCE nor CONFIG_FILE is set');
  return found;
}

async function loadSources(entries: readonly SourceEntry[], loaded: Loaded): Promise<OpenProvider> {
  const ready = await Promise.all(entries.map(async (entry) => ({ entry, open: await entry.url.load() })));
  return (options) => {
    const parts = ready.map(({ entry, open }) => {
      const { own, ...place } = entry;
      const setting =
        own.size === 0 ? options.setting : (name: string) => ownSetting(own.get(name), name, loaded.cwd);
      const provider = open({ ...options, setting });
      const watch = (signal: AbortSignal) => withoutSecretsIn(provider.watch(signal), loaded);
      return { ...place, provider: { source: provider.source, watch, identity: identityOf(entry, loaded) } };
    });
    const [only] = parts;
    // One source that says nothing of its place needs none.
    const isPlain = parts.length === 1 && only?.name === null && !only.optional && only.format === undefined;
    return isPlain ? only.provider : groupOf(parts);
  };
}

/** A server may repeat in its answer what it was sent. */
async function* withoutSecretsIn(
  watch: ReturnType<Provider['watch']>,
  loaded: Loaded,
): AsyncGenerator<Observation, void, void> {
  try {
    yield* watch;
  } catch (thrown) {
    throw thrown instanceof SidecarError ? thrown.said((text) => withoutSecrets(loaded, text)) : thrown;
  }
}

/** What it reads, how often and how, and with which credentials as they were given. */
function identityOf({ url, own }: SourceEntry, { raw, settings }: Loaded): string {
  const { UPDATE_FREQUENCY, FETCH_TIMEOUT, MAX_SIZE } = settings;
  const shared = Object.keys(url.kind.settings).map((name) => {
    const one = isName(name) ? raw.get(name) : undefined;
    return one && [name, one.text, one.secretFile];
  });
  const credentials =
    own.size === 0 ? shared : [...own].map(([name, one]) => [name, one.text, one.secretFile]);
  return JSON.stringify([url.text, credentials, UPDATE_FREQUENCY, FETCH_TIMEOUT, MAX_SIZE]);
}

/** The text of a setting that one source has for itself. Errors as `secretOf`. */
function ownSetting(own: OwnSetting | undefined, name: string, cwd: string): string | undefined {
  if (own === undefined || !isName(name)) return undefined;
  const found = textAndValue({ ...own, name, from: 'file' }, cwd);
  return rowOf(name).kind.type === 'path' ? String(found.value) : found.text;
}

/** What a provider asks for its settings: texts, paths absolute, secrets read again at every question. */
export function settingsForProvider(loaded: Loaded): (name: string) => string | undefined {
  return (name) => {
    if (!isName(name) || !loaded.raw.has(name)) return undefined;
    const found = current(loaded, name);
    return found !== undefined && rowOf(name).kind.type === 'path' ? String(found.value) : found?.text;
  };
}

/** Shorter ones would mask half of any text. */
const SHORTEST_MASKED = 4;

/** A foreign text, such as what a hook printed, with every secret in use now replaced by `***`. */
export function withoutSecrets(loaded: Loaded<unknown>, text: string): string {
  const secrets = [...loaded.raw.values()].flatMap((one) => secretsIn(one, loaded.cwd));
  const masked = secrets
    .filter((secret) => secret.length >= SHORTEST_MASKED)
    .sort((a, b) => b.length - a.length);
  return masked.reduce((rest, secret) => rest.replaceAll(secret, '***'), text);
}

/** The parts of a setting that are secret, as they are written and as they may be repeated. */
function secretsIn(one: RawSetting, cwd: string): readonly string[] {
  const { secret } = rowOf(one.name);
  if (secret === undefined) return [];
  try {
    const text = currentText(one, cwd);
    if (secret === 'user') return [text.split(':').slice(1).join(':')];
    if (secret === 'url') return safely(text).flatMap((raw) => secretsOfSource(raw, cwd));
    const lines = text.split('\n').map((line) => line.trim());
    // Of headers the values, and of `Bearer abc` the last word too.
    const values = one.name.endsWith('_HEADERS')
      ? lines.map((line) => line.replace(/^[^:]*:\s*/, ''))
      : lines;
    return values.flatMap((value) => [value, value.split(' ').at(-1) ?? '']);
  } catch {
    return [];
  }
}

/** What its URL holds before `@` and in its query, and every secret of its own. */
function secretsOfSource({ url, own }: RawSource, cwd: string): readonly string[] {
  const settings = Object.entries(own).flatMap(([key, text]) => {
    const spelling = SPELLINGS.get(key.toUpperCase());
    if (spelling === undefined) return [];
    return secretsIn({ ...spelling, from: 'file', spelled: key, text }, cwd);
  });
  return [...userInfoOf(url), ...secretsInQuery(url), ...settings];
}

function userInfoOf(url: string): readonly string[] {
  const userInfo = /^[a-z+]+:\/\/([^/]*)@/i.exec(url)?.[1];
  if (userInfo === undefined) return [];
  const password = userInfo.split(':').slice(1).join(':');
  return [password, Buffer.from(userInfo).toString('base64')];
}
