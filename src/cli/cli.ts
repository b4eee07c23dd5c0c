// The commands, each a few lines over the same parts. What they print goes through `print`; they return an exit code.
import { setTimeout as pause } from 'node:timers/promises';
import { SidecarError, toSidecarError } from '../lib/errors.ts';
import { EXIT, exitCodeOf } from '../lib/exit-codes.ts';
import { createLog } from '../lib/log.ts';
import { askSidecar, describeStatus } from '../server/ask-status.ts';
import { type Action, generationOf } from '../server/control.ts';
import type { Status } from '../server/status.ts';
import { explain, helpText } from '../settings/docs.ts';
import type { Environment } from '../settings/environment.ts';
import { separateArguments } from '../settings/flags.ts';
import { sourceOf } from '../settings/secrets.ts';
import { type Loaded, loadPartialSettings, loadSettings, type Settings } from '../settings/settings.ts';
import { SOURCE_NAMES } from '../settings/source.ts';
import { once } from './once.ts';
import { type Configured, run } from './run.ts';

/** What the process is given and may do; `main.ts` fills it from the real one. */
export interface Cli {
  readonly argv: readonly string[];
  readonly env: Environment;
  readonly cwd: string;
  readonly version: string;
  readonly instance: string;
  readonly isTerminal: boolean;
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
  /** Aborts when the process is asked to end. */
  readonly ending: AbortSignal;
  /** Calls back whenever the process is asked to look again (SIGHUP). */
  readonly onSync: (listener: () => void) => void;
}

const OWN_FLAGS = ['json', 'exit-code', 'retry', 'no-wait', 'help', 'version'];

const HELP = `config-sidecar keeps an application's configuration in step with ${SOURCE_NAMES}.

Usage: config-sidecar [command] [--setting value ...]

Commands:
  run        follow the source until SIGTERM (the default); SIGHUP: read the source and the settings file again
  once       one pass, then exit
  diff       print what would change, writing nothing; --exit-code: exit with 7 when something would
  check      try everything that would be needed, telling nobody, and say what would fail and how to mend it; --json
  status     ask the sidecar that runs here; --json; exit with 8 when it is not ready
  history    what it could go back to, what is blocked, what became of the latest changes; --json
  sync       have it read the source now; --retry: and try again what was rejected or blocked
  rollback   have it go back to a generation of the history, and stay there: rollback [generation];
             without a number: the one confirmed last that is not on the volume
  resume     have it follow the source again
  settings   print each effective setting and where it came from

status, history, sync, rollback and resume find the sidecar by OUTPUT and STATE_DIR, the same as it has. The last
three wait for what comes of it, up to a minute; --no-wait: they do not.

Exit codes: 0 done, 1 unexpected, 2 settings, 3 source not reachable, 4 refused, 5 publishing failed,
6 reload or confirmation failed, 7 differences, 8 not ready, or no sidecar there.

`;

/** The command line without the command. */
interface Words {
  readonly flags: readonly string[];
  /** Those of the command's own flags that were given. */
  readonly own: readonly string[];
  readonly words: readonly string[];
}

interface Command {
  readonly run: (cli: Cli, words: Words) => Promise<number>;
  /** Flags that are no settings. */
  readonly takes?: readonly string[];
  /** How many further words it takes; default none. */
  readonly maxWords?: number;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  run: { run: runUntilEnd },
  once: { run: runOnce },
  diff: { run: runDiff, takes: ['exit-code'] },
  check: { run: runCheck, takes: ['json'] },
  status: { run: status, takes: ['json'] },
  history: { run: history, takes: ['json'] },
  sync: { run: (cli, words) => steer(cli, 'sync', words), takes: ['retry', 'no-wait'] },
  rollback: { run: (cli, words) => steer(cli, 'rollback', words), takes: ['no-wait'], maxWords: 1 },
  resume: { run: (cli, words) => steer(cli, 'resume', words), takes: ['no-wait'] },
  settings: { run: settings },
};

/** Runs the command line. Resolves to the exit code; what goes wrong is printed, never thrown. */
export async function runCli(cli: Cli): Promise<number> {
  const { positionals, own, flags } = separateArguments(cli.argv, OWN_FLAGS);
  const [name = 'run', ...rest] = positionals;
  try {
    if (own.includes('help') || name === 'help') return printed(cli, HELP + helpText());
    if (own.includes('version') || name === 'version') return printed(cli, `${cli.version}\n`);
    const command = COMMANDS[name];
    if (command === undefined) throw unknownCommand(name);
    const { takes = [], maxWords = 0 } = command;
    if (rest.length > maxWords) await refuseWords(cli, flags, rest.slice(maxWords));
    const stray = own.find((flag) => !takes.includes(flag));
    if (stray !== undefined)
      throw misuse(`Cannot use --${stray}: the command "${name}" does not take it; see --help.`);
    const done = command.run(cli, { flags, own, words: rest });
    return await (name === 'run' ? done : Promise.race([done, interrupted(cli.ending)]));
  } catch (thrown) {
    if (!(thrown instanceof SidecarError)) throw thrown;
    cli.printError(`${thrown.message}\n${thrown.output === undefined ? '' : `${thrown.output}\n`}`);
    return exitCodeOf(thrown);
  }
}

/** Time for a command to clean up when it is asked to end. */
const CLEAN_UP_MS = 700;

/** What was ended before it was done must not look done: `diff` would say that nothing differs. */
async function interrupted(ending: AbortSignal): Promise<number> {
  await new Promise((resolve) => ending.addEventListener('abort', resolve, { once: true }));
  await pause(CLEAN_UP_MS);
  return EXIT.unexpected;
}

function printed(cli: Cli, text: string): number {
  cli.print(text);
  return EXIT.done;
}

/** A stray word is often the value of a flag that does not exist: then that flag is what to speak of. */
async function refuseWords(cli: Cli, flags: readonly string[], words: readonly string[]): Promise<never> {
  await loadPartialSettings({ flags, env: cli.env, cwd: cli.cwd });
  throw misuse(
    `Cannot use "${words.join(' ')}": a command takes no further words; settings are given as --name value.`,
  );
}

function unknownCommand(name: string): SidecarError {
  const known = Object.keys(COMMANDS).join(', ');
  return misuse(`Cannot run "${name}": there is no such command. There are ${known}; see --help.`);
}

function misuse(message: string): SidecarError {
  return new SidecarError(message, { code: 'settings', stage: 'settings' });
}

function runUntilEnd(cli: Cli, { flags }: Words): Promise<number> {
  const told = new Set<string>();
  return run(cli, () => load(cli, flags, told));
}

/** @param told the warnings that were logged before. */
async function load(cli: Cli, flags: readonly string[], told = new Set<string>()): Promise<Configured> {
  const loaded = await loadSettings({ flags, env: cli.env, cwd: cli.cwd });
  const { LOG_LEVEL, LOG_FORMAT } = loaded.settings;
  const format = LOG_FORMAT ?? (cli.isTerminal ? 'pretty' : 'json');
  const colors = cli.isTerminal && !cli.env['NO_COLOR'];
  const log = createLog({ level: LOG_LEVEL, format, colors });
  for (const message of loaded.warnings) if (!told.has(message)) log.warn('setting suspicious', { message });
  for (const message of loaded.warnings) told.add(message);
  return { loaded, log };
}

async function runOnce(cli: Cli, { flags }: Words): Promise<number> {
  const { loaded, log } = await load(cli, flags);
  const open = await sourceOf(loaded).load();
  return await once({ name: 'default', loaded, log, open, env: cli.env, instance: cli.instance }, cli.ending);
}

async function runDiff(cli: Cli, { flags, own }: Words): Promise<number> {
  const { loaded } = await load(cli, flags);
  const open = await sourceOf(loaded).load();
  const { diff } = await import('./diff.ts');
  const patch = await diff({ loaded, env: cli.env, open });
  cli.print(patch);
  return patch !== '' && own.includes('exit-code') ? EXIT.differences : EXIT.done;
}

async function runCheck(cli: Cli, { flags, own }: Words): Promise<number> {
  const loaded = await loadSettings({ flags, env: cli.env, cwd: cli.cwd });
  const open = await sourceOf(loaded).load();
  const { check } = await import('../check/check.ts');
  const json = own.includes('json');
  const { text, exitCode } = await check({ loaded, env: cli.env, open, json, signal: cli.ending });
  cli.print(text);
  return exitCode;
}

async function status(cli: Cli, { flags, own }: Words): Promise<number> {
  const found = await find(cli, flags);
  if (found === null) return EXIT.notReady;
  cli.print(own.includes('json') ? `${JSON.stringify(found, null, 2)}\n` : describeStatus(found));
  return found.ready ? EXIT.done : EXIT.notReady;
}

async function history(cli: Cli, { flags, own }: Words): Promise<number> {
  const found = await find(cli, flags);
  if (found === null) return EXIT.notReady;
  const { describeHistory, historyOf } = await import('./history.ts');
  const text = own.includes('json')
    ? `${JSON.stringify(historyOf(found), null, 2)}\n`
    : describeHistory(found, Date.now());
  return printed(cli, text);
}

/** The status of the sidecar that runs here; null, which is said, when there is none. */
async function find(cli: Cli, flags: readonly string[]): Promise<Status | null> {
  const { settings: given } = await loadPartialSettings({ flags, env: cli.env, cwd: cli.cwd });
  const found = await askSidecar({ socket: await socketOf(given), listen: given.LISTEN ?? 'off' });
  if (typeof found !== 'string') return found;
  cli.printError(`${found}\n`);
  return null;
}

async function socketOf({
  OUTPUT,
  STATE_DIR,
}: Loaded<Partial<Settings>>['settings']): Promise<string | null> {
  if (OUTPUT === undefined || STATE_DIR === undefined) return null;
  return (await import('../ledger/socket-path.ts')).controlSocketOf(OUTPUT, STATE_DIR);
}

/** How long a command waits for what comes of it. */
const SETTLE_MS = 60_000;

async function steer(cli: Cli, action: Action, { flags, own, words }: Words): Promise<number> {
  const generation = chosenGeneration(words);
  const { settings: given } = await loadPartialSettings({ flags, env: cli.env, cwd: cli.cwd });
  const socket = await socketOf(given);
  if (socket === null)
    throw misuse('Cannot find the sidecar without OUTPUT: give it the same OUTPUT and STATE_DIR.');
  const { steerSidecar } = await import('./control.ts');
  const { exitCode, text } = await steerSidecar({
    ...{ socket, action, generation, signal: cli.ending },
    retry: own.includes('retry'),
    waitMs: own.includes('no-wait') ? 0 : SETTLE_MS,
  });
  if (exitCode === EXIT.done) cli.print(`${text}\n`);
  else cli.printError(`${text}\n`);
  return exitCode;
}

function chosenGeneration([word]: readonly string[]): number | null {
  try {
    return generationOf('rollback', word ?? null);
  } catch (thrown) {
    throw misuse(toSidecarError(thrown).message);
  }
}

async function settings(cli: Cli, { flags }: Words): Promise<number> {
  const rows = explain(await loadPartialSettings({ flags, env: cli.env, cwd: cli.cwd }));
  const width = Math.max(...rows.map(({ name }) => name.length));
  const valueWidth = Math.min(60, Math.max(...rows.map(({ value }) => value.length)));
  const lines = rows.map(
    ({ name, value, from }) => `${name.padEnd(width)}  ${value.padEnd(valueWidth)}  ${from}`,
  );
  return printed(cli, `${lines.join('\n')}\n`);
}
