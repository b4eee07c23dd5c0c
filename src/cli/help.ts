// The help texts: the program, one command, the settings, the known applications. Each but the settings fits a screen.
import { wrap } from '../lib/wrap.ts';
import { settingsHelp } from '../settings/docs.ts';
import { presetsHelp } from '../settings/presets/describe.ts';
import { flagOf } from '../settings/table.ts';
import {
  COMMAND_NAMES,
  COMMON_FLAGS,
  type CommandName,
  type CommandRow,
  commandOf,
  EXIT_MEANINGS,
  isCommand,
  PURPOSE,
} from './commands.ts';

const WIDTH = 80;
const NAME_WIDTH = Math.max(...COMMAND_NAMES.map((name) => name.length));

/** What `help` explains besides commands. */
const TOPICS: Readonly<Record<string, () => string>> = { settings: settingsHelp, presets: presetsHelp };

/** Everything `help` takes. The command `settings` is explained by `settings --help`. */
export const HELP_WORDS: readonly string[] = [...new Set([...COMMAND_NAMES, ...Object.keys(TOPICS)])];

/** The text for `help WORD`; undefined for a word that is not known. */
export function helpOn(word: string | undefined): string | undefined {
  if (word === undefined) return overview();
  if (Object.hasOwn(TOPICS, word)) return TOPICS[word]?.();
  return isCommand(word) ? helpOfCommand(word) : undefined;
}

function overview(): string {
  const commands = COMMAND_NAMES.map((name) => `  ${name.padEnd(NAME_WIDTH)}  ${commandOf(name).summary}`);
  return `${wrap(PURPOSE, 0, WIDTH)}

Usage: config-sidecar [COMMAND] [--setting VALUE ...]

${commands.join('\n')}

Start with: config-sidecar check --source ./app.yaml --output /tmp/app.json
"config-sidecar help COMMAND" explains a command, "help settings" every setting,
"help presets" the known applications. -h, --help; -v, --version.
`;
}

/** Usage, what it does, flags, settings, exit codes and an example. */
export function helpOfCommand(name: CommandName): string {
  const command = commandOf(name);
  const parts = [
    usageLines(name),
    ...command.about.map((paragraph) => wrap(paragraph, 0, WIDTH)),
    `Flags:\n${flagLines(command).join('\n')}`,
    ...settingsPart(command),
    `Exit codes:\n${exitLines(command).join('\n')}`,
    `Example:\n  ${command.example}`,
  ];
  return `${parts.join('\n\n')}\n`;
}

/** No line ends within brackets. */
function usageLines(name: CommandName): string {
  const held = usageOf(name).replace(/\[[^\]]*\]/g, (part) => part.replaceAll(' ', '\u00a0'));
  return wrap(`Usage: ${held}`, 2, WIDTH).trimStart().replaceAll('\u00a0', ' ');
}

/** `config-sidecar rollback [GENERATION] [--no-wait] [--setting VALUE ...]` */
export function usageOf(name: CommandName): string {
  const { words, flags = {}, settings } = commandOf(name);
  const own = Object.entries(flags).map(([flag, { value }]) => `[--${flag}${value ? ` ${value}` : ''}]`);
  return [
    'config-sidecar',
    name,
    ...(words === undefined ? [] : [words]),
    ...own,
    ...(settings.length === 0 ? [] : ['[--setting VALUE ...]']),
  ].join(' ');
}

/** A command's flags with those that all have: `--json`, `-h, --help`. */
export function flagsOf({
  flags = {},
}: CommandRow): readonly (readonly [spelled: string, meaning: string])[] {
  return [
    ...Object.entries(flags).map(([name, { value, meaning }]) => {
      return [`--${name}${value ? ` ${value}` : ''}`, meaning] as const;
    }),
    ...Object.entries(COMMON_FLAGS).map(([name, { short, meaning }]) => {
      return [`-${short}, --${name}`, meaning] as const;
    }),
  ];
}

function flagLines(command: CommandRow): readonly string[] {
  const flags = flagsOf(command);
  const width = Math.max(...flags.map(([spelled]) => spelled.length));
  return flags.map(([spelled, meaning]) => `  ${spelled.padEnd(width)}  ${meaning}`);
}

function settingsPart({ settings }: CommandRow): readonly string[] {
  if (settings.length === 0) return [];
  const text = `Settings, among others: ${settings.map(flagOf).join(' ')}. Each is also an environment variable (${settings[0]}) and a key of the settings file; "config-sidecar help settings" explains all.`;
  return [wrap(text, 0, WIDTH)];
}

function exitLines({ exits }: CommandRow): readonly string[] {
  return ([0, 1, 2, ...exits] as const).map((code) => `  ${code}  ${EXIT_MEANINGS[code]}`);
}
