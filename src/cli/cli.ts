// The command line: which command, which flags, help, and the exit code. What the commands do is in `actions.ts`.
import { setTimeout as pause } from 'node:timers/promises';
import { SidecarError, withCode } from '../lib/errors.ts';
import { EXIT, exitCodeOf } from '../lib/exit-codes.ts';
import { type Arguments, isSettingFlag, type OwnFlag, separateArguments } from '../settings/flags.ts';
import { nearest } from '../settings/nearest.ts';
import { loadPartialTargets } from '../settings/settings.ts';
import { ACTIONS } from './actions.ts';
import { COMMAND_NAMES, COMMON_FLAGS, type CommandName, commandOf, isCommand } from './commands.ts';
import { HELP_WORDS, helpOfCommand, helpOn } from './help.ts';
import { misuse, unknownWord } from './misuse.ts';
import { printed } from './printed.ts';
import { shownTo } from './terminal.ts';
import type { Cli } from './types.ts';

const OWN_FLAGS: readonly OwnFlag[] = [
  ...Object.entries(COMMON_FLAGS).map(([name, { short }]) => ({ name, short })),
  ...COMMAND_NAMES.flatMap(flagsOf).filter(({ name }) => !isSettingFlag(name)),
];

function flagsOf(command: CommandName): readonly OwnFlag[] {
  const flags = Object.entries(commandOf(command).flags ?? {});
  return flags.map(([name, { value }]) => ({ name, takesValue: value !== undefined }));
}

/** A flag with the name of a setting is a command's own only there: `settings --schema`, but `once --schema FILE`. */
function takeApart(argv: readonly string[]): Arguments {
  const found = separateArguments(argv, OWN_FLAGS);
  const [command] = found.positionals;
  if (command === undefined || !isCommand(command)) return found;
  const settings = flagsOf(command).filter(({ name }) => isSettingFlag(name));
  return settings.length === 0 ? found : separateArguments(argv, [...OWN_FLAGS, ...settings]);
}

/** Runs the command line. Resolves to the exit code; what goes wrong is printed, never thrown. */
export async function runCli(cli: Cli): Promise<number> {
  try {
    return await runCommand(cli);
  } catch (thrown) {
    if (!(thrown instanceof SidecarError)) throw thrown;
    const text = `${withCode(thrown.message, thrown.code)}\n${thrown.output === undefined ? '' : `${thrown.output}\n`}`;
    cli.printError(shownTo({ isTerminal: cli.isErrorTerminal }, text));
    return exitCodeOf(thrown);
  }
}

async function runCommand(cli: Cli): Promise<number> {
  const { positionals, own, flags, problems } = takeApart(cli.argv);
  const [name, ...words] = positionals;
  if (name === 'help' || own.has('help'))
    return help(cli, name === 'help' ? words[0] : name, name !== 'help');
  if (own.has('version') || name === 'version') return printed(cli, `${cli.version}\n`);
  const command = name ?? 'run';
  if (!isCommand(command)) throw unknownWord('command', command, COMMAND_NAMES);
  if (problems.length > 0) throw misuse(problems.join('\n'));
  const { flags: known = {}, maxWords = 0 } = commandOf(command);
  const ownNames = Object.keys(known);
  refuseStrayFlags(command, own, ownNames);
  if (words.length > maxWords) await refuseWords(cli, command, { flags, words: words.slice(maxWords) });
  const done = ACTIONS[command](cli, { flags, own, ownNames, words });
  return await (command === 'run' ? done : Promise.race([done, interrupted(cli.ending)]));
}

/** `help WORD`, or `COMMAND --help`: of `settings` the first explains all settings, the second the command. */
function help(cli: Cli, word: string | undefined, isFlag: boolean): number {
  const text = isFlag && word !== undefined && isCommand(word) ? helpOfCommand(word) : helpOn(word);
  if (text === undefined) throw unknownWord('command', word ?? '', HELP_WORDS);
  return printed(cli, text);
}

function refuseStrayFlags(
  command: CommandName,
  own: ReadonlyMap<string, string | true>,
  known: readonly string[],
): void {
  const stray = [...own.keys()].find((flag) => !known.includes(flag));
  if (stray === undefined) return;
  const meant = nearest(stray, known);
  const advice = meant === undefined ? `See "config-sidecar help ${command}".` : `Did you mean --${meant}?`;
  throw misuse(`Cannot use --${stray} with "${command}". ${advice}`);
}

/** Time for a command to clean up when it is asked to end. */
const CLEAN_UP_MS = 700;

/** What was ended before it was done must not look done: `diff` would say that nothing differs. */
async function interrupted(ending: AbortSignal): Promise<number> {
  await new Promise((resolve) => ending.addEventListener('abort', resolve, { once: true }));
  await pause(CLEAN_UP_MS);
  return EXIT.unexpected;
}

/** A stray word is often the value of a flag that does not exist: then that flag is what to speak of. */
async function refuseWords(
  cli: Cli,
  command: CommandName,
  { flags, words }: { readonly flags: readonly string[]; readonly words: readonly string[] },
): Promise<never> {
  await loadPartialTargets({ flags, env: cli.env, cwd: cli.cwd });
  throw misuse(
    `Cannot use "${words.join(' ')}": "${command}" takes no further words. A setting is given as --name value; see "config-sidecar help ${command}".`,
  );
}
