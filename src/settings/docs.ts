// The table of settings in words: what is in effect, the help text, and the reference in `docs/settings.md`.

import { wrap } from '../lib/wrap.ts';
import type { Loaded, Settings } from './loaded.ts';
import { type From, shown } from './raw-setting.ts';
import { flagOf, NAMES, type Name, rowOf, SECTIONS, type Section } from './table.ts';

/** One setting as it is in effect. */
export interface Explained {
  readonly name: Name;
  /** In the setting's own spelling, secrets masked; empty when it is not set. */
  readonly value: string;
  readonly from: From;
  /** Where it was given, as the user would look for it; null for a default. */
  readonly where: string | null;
  readonly meaning: string;
}

/** Every setting with its value and where that came from. */
export function explain({ settings, raw }: Loaded<Partial<Settings>>): readonly Explained[] {
  return NAMES.map((name) => {
    const one = raw.get(name);
    const { meaning, kind } = rowOf(name);
    const value = settings[name];
    const text = one?.text ?? rowOf(name).fallback ?? (typeof value === 'string' ? value : '');
    const printed = value !== undefined && kind.print !== undefined ? kind.print(value) : text;
    return {
      name,
      // A mask where nothing is set would say that there is a secret.
      value: one?.secretFile ? `(the content of ${one.text})` : printed && shown(name, printed),
      from: one?.from ?? 'default',
      where: one?.spelled ?? null,
      meaning: plain(meaning),
    };
  });
}

const HELP_INDENT = 6;

/** Each flag with its default and meaning, by section. */
export function settingsHelp(): string {
  const sections = SECTIONS.map((section) => {
    const entries = namesIn(section).map(
      (name) => `  ${headline(name)}\n${wrap(plain(helpMeaning(name)), HELP_INDENT)}`,
    );
    return `${section}:\n${entries.join('\n')}`;
  });
  return `${HELP_INTRODUCTION}\n\n${sections.join('\n\n')}\n`;
}

const HELP_INTRODUCTION = `Every setting has three spellings: --reload-signal SIGHUP, the environment variable RELOAD_SIGNAL (or
CONFIG_SIDECAR_RELOAD_SIGNAL), and the key reload_signal in the settings file. Flag beats environment beats
file beats PRESET; an empty variable counts as not given. Durations carry a unit (500ms, 30s, 5m, 1h; a
bare number means seconds), sizes too (64KiB, 16MiB). A setting marked "secret" can also be given as a
file: --http-token-file PATH, HTTP_TOKEN_FILE, http_token_file.`;

/** `--reload-signal SIGHUP|SIGUSR1`: a setting's flag with its value. */
export function headline(name: Name): string {
  const { type, bareFlag } = rowOf(name).kind;
  if (bareFlag) return `${flagOf(name)}[=true|false]`;
  // Words in backticks are written as they stand; others stand for a value.
  const value = type.includes('`') ? plain(type) : type.toUpperCase().replaceAll(' ', '-');
  return `${flagOf(name)} ${value.replaceAll(' or ', '|').replaceAll(' ', '|')}`;
}

/** The meaning with default and secrecy. Markdown. */
export function helpMeaning(name: Name): string {
  const { meaning, secret } = rowOf(name);
  const fallback = defaultOf(name);
  const notes = [
    ...(secret ? ['secret'] : []),
    ...(fallback === '' || fallback === 'required' ? [fallback] : [`default: ${fallback}`]),
  ].filter((note) => note !== '');
  return notes.length === 0 ? meaning : `${meaning} (${notes.join('; ')})`;
}

/** The reference in `docs/settings.md`: one Markdown table for each section, as it stands between its two markers. */
export function readmeTable(): string {
  return SECTIONS.map((section) => {
    const rows = namesIn(section).map((name) => {
      const { kind, meaning, secret } = rowOf(name);
      return `| \`${name}\` | ${kind.type}${secret ? ', secret' : ''} | ${defaultOf(name) || '–'} | ${meaning} |`;
    });
    return [
      `### ${section}`,
      '',
      '| Setting | Type | Default | Meaning |',
      '|---|---|---|---|',
      ...rows,
    ].join('\n');
  }).join('\n\n');
}

function defaultOf(name: Name): string {
  const { fallback, fallbackShown } = rowOf(name);
  return fallbackShown ?? (fallback === undefined ? '' : `\`${fallback}\``);
}

function namesIn(section: Section): readonly Name[] {
  return NAMES.filter((name) => rowOf(name).section === section);
}

/** Markdown as a terminal shows it. */
export function plain(markdown: string): string {
  return markdown.replace(/[`*]/g, '');
}
