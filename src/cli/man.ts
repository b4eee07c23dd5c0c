// The man page, made from the tables of commands and settings. `man/config-sidecar.1` holds it; a test compares the two.
import { headline, helpMeaning, plain } from '../settings/docs.ts';
import { NAMES, rowOf, SECTIONS } from '../settings/table.ts';
import { COMMAND_NAMES, COMMON_FLAGS, commandOf, EXIT_MEANINGS, PURPOSE } from './commands.ts';
import { flagsOf, usageOf } from './help.ts';

/** The page in the language of `man`. */
export function manPage(): string {
  return `${[
    '.TH CONFIG-SIDECAR 1',
    '.SH NAME',
    'config-sidecar \\- keep the configuration of an application in step with its source',
    '.SH SYNOPSIS',
    '.B config-sidecar',
    '[COMMAND] [\\-\\-setting VALUE ...]',
    '.SH DESCRIPTION',
    escaped(PURPOSE),
    '.SH COMMANDS',
    ...COMMAND_NAMES.flatMap((name) => {
      const { about, flags } = commandOf(name);
      const own =
        flags === undefined ? [] : flagsOf({ ...commandOf(name) }).slice(0, Object.keys(flags).length);
      return [
        '.TP',
        `.B ${escaped(usageOf(name).replace('config-sidecar ', ''))}`,
        ...about.flatMap((text, at) => [...(at === 0 ? [] : ['.br']), escaped(text)]),
        ...own.flatMap(([spelled, meaning]) => ['.br', escaped(`${spelled}: ${meaning}.`)]),
      ];
    }),
    '.SH OPTIONS',
    ...Object.entries(COMMON_FLAGS).flatMap(([name, { short, meaning }]) => [
      '.TP',
      `.B ${escaped(`-${short}, --${name}`)}`,
      escaped(meaning),
    ]),
    '.P',
    escaped(
      'Every setting has three spellings: the flag below, the environment variable (RELOAD_SIGNAL, or CONFIG_SIDECAR_RELOAD_SIGNAL), and the key of the settings file (reload_signal). Flag beats environment beats file.',
    ),
    ...SECTIONS.flatMap((section) => [
      `.SS ${escaped(section)}`,
      ...NAMES.filter((name) => rowOf(name).section === section).flatMap((name) => [
        '.TP',
        `.B ${escaped(headline(name))}`,
        escaped(plain(helpMeaning(name))),
      ]),
    ]),
    '.SH EXIT STATUS',
    ...Object.entries(EXIT_MEANINGS).flatMap(([code, meaning]) => ['.TP', `.B ${code}`, escaped(meaning)]),
    '.SH EXAMPLES',
    ...COMMAND_NAMES.flatMap((name) => ['.nf', escaped(commandOf(name).example), '.fi']),
  ].join('\n')}\n`;
}

/** No line begins a request, no character is an escape, and a dash stays one that can be copied. */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^[.']/, '\\&$&');
}
