// Settings that name the application's process, and the signal or command that reloads it.

import { InvalidValue } from '../lib/invalid-value.ts';
import { findUnsupported } from '../lib/linear-regexp.ts';
import { choice, type Kind } from './kind.ts';
import { PRESET_NAMES, type PresetName } from './presets/table.ts';
import { quoteWord, splitWords, WordsError } from './words.ts';

/** How a process is recognised: by its name, or by a regular expression on its command line. */
export type ProcessMatch =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'pattern'; readonly pattern: RegExp; readonly text: string };

/** `nginx`, or `/regex/`. */
export const processMatch: Kind<ProcessMatch> = {
  type: 'name or `/regex/`',
  parse: (text) => {
    if (text.length > 1 && text.startsWith('/') && text.endsWith('/')) return parsePattern(text);
    if (text.includes('/')) {
      const name = text.slice(text.lastIndexOf('/') + 1);
      throw new InvalidValue(
        'it must be the name of a process without a path, or a regular expression on its command line between slashes, such as /app\\.jar/',
        /^[\w.-]+$/.test(name) && !/^[a-z]{0,3}$/.test(name) ? name : undefined,
      );
    }
    return { kind: 'name', name: text };
  },
};

function parsePattern(text: string): ProcessMatch {
  const source = text.slice(1, -1);
  let pattern: RegExp;
  try {
    pattern = new RegExp(source);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split(': ').at(-1) : String(error);
    throw new InvalidValue(`the regular expression is broken: ${reason}`);
  }
  const unsupported = findUnsupported(source);
  if (unsupported !== null) throw new InvalidValue(`${unsupported}, which a search in linear time cannot do`);
  if (pattern.test('')) throw new InvalidValue('the regular expression matches every process');
  return { kind: 'pattern', pattern, text: source };
}

const RELOAD_SIGNALS = ['SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGTERM', 'none'] as const;

/** A signal that may be sent, or `none`: the process is watched, but gets no signal. */
export type ReloadSignal = (typeof RELOAD_SIGNALS)[number];

/** Spellings that other tools take; they are not accepted here, but lead to the one that is. */
const SIGNAL_SYNONYMS: Readonly<Record<string, ReloadSignal>> = {
  hup: 'SIGHUP',
  1: 'SIGHUP',
  usr1: 'SIGUSR1',
  10: 'SIGUSR1',
  usr2: 'SIGUSR2',
  12: 'SIGUSR2',
  winch: 'SIGWINCH',
  28: 'SIGWINCH',
  term: 'SIGTERM',
  15: 'SIGTERM',
  off: 'none',
  false: 'none',
};

export const reloadSignal: Kind<ReloadSignal> = choice(RELOAD_SIGNALS, SIGNAL_SYNONYMS);

/** A command, split into words as a shell would; in the settings file also a list of words. */
export const command: Kind<readonly string[]> = {
  type: 'command',
  fromList: (items) => items.map(quoteWord).join(' '),
  parse: (text) => {
    try {
      const words = splitWords(text);
      if (words[0] === undefined || words[0] === '') throw new WordsError('it names no program');
      return words;
    } catch (error) {
      if (error instanceof WordsError) throw new InvalidValue(error.message);
      throw error;
    }
  },
};

/** Names people try; they are not accepted here, but lead to the one that is. */
const PRESET_SYNONYMS: Readonly<Record<string, PresetName>> = {
  apache2: 'apache',
  bind9: 'bind',
  fluentbit: 'fluent-bit',
  httpd: 'apache',
  named: 'bind',
  nodejs: 'node',
  php: 'php-fpm',
  postgres: 'postgresql',
  rsyslogd: 'rsyslog',
  syslog: 'syslog-ng',
};

/** A known application by its name. */
export const presetName: Kind<PresetName> = { ...choice(PRESET_NAMES, PRESET_SYNONYMS), type: 'name' };
