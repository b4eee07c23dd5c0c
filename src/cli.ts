// The commands, each a few lines over the same parts. What they print goes through `print`; they return an exit code.
import { setTimeout as pause } from 'node:timers/promises';
import { askStatus, describeStatus } from './ask-status.ts';
import { SidecarError } from './errors.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { createLog } from './log.ts';
import { once } from './once.ts';
import type { OpenProvider } from './provider.ts';
import { type Configured, run } from './run.ts';
import { explain, helpText } from './settings/docs.ts';
import type { Environment } from './settings/environment.ts';
import { separateArguments } from './settings/flags.ts';
import { sourceOf } from './settings/secrets.ts';
import { type SourceScheme, schemeOf } from './settings/source.ts';
import { loadPartialSettings, loadSettings } from './settings.ts';

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
  /** Loads the provider of a scheme. */
  readonly provider: (scheme: SourceScheme) => Promise<OpenProvider>;
  /** Aborts when the process is asked to end. */
  readonly ending: AbortSignal;
  /** Calls back whenever the process is asked to look again (SIGHUP). */
  readonly onSync: (listener: () => void) => void;
}

const OWN_FLAGS = ['json', 'exit-code', 'help', 'version'];

const HELP = `config-sidecar keeps an application's configuration in step with etcd, Consul, an HTTP API or a file.

Usage: config-sidecar [command] [--setting value ...]

Commands:
  run        follow the source until SIGTERM (the default); SIGHUP: read the source and the settings file again
  once       one pass, then exit
  diff       print what would change, writing nothing; --exit-code: exit with 7 when something would
  status     ask the sidecar that runs here; --json; exit with 8 when it is not ready
  settings   print each effective setting and where it came from

Exit codes: 0 done, 1 unexpected, 2 settings, 3 source not reachable, 4 refused, 5 publishing failed,
6 reload failed, 7 differences, 8 not ready.

`;

type Command = (cli: Cli, flags: readonly string[], own: readonly string[]) => Promise<number>;

const COMMANDS: Readonly<Record<string, Command>> = {
  run: (cli, flags) => run(cli, () => load(cli, flags)),
  once: runOnce,
  diff: runDiff,
  status,
  settings,
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
    if (rest.length > 0) await refuseWords(cli, flags, rest);
    const done = command(cli, flags, own);
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
  throw new SidecarError(
    `Cannot use "${words.join(' ')}": a command takes no further words; settings are given as --name value.`,
    { code: 'settings', stage: 'settings' },
  );
}

function unknownCommand(name: string): SidecarError {
  const known = Object.keys(COMMANDS).join(', ');
  return new SidecarError(`Cannot run "${name}": there is no such command. There are ${known}; see --help.`, {
    code: 'settings',
    stage: 'settings',
  });
}

async function load(cli: Cli, flags: readonly string[]): Promise<Configured> {
  const loaded = await loadSettings({ flags, env: cli.env, cwd: cli.cwd });
  const { LOG_LEVEL, LOG_FORMAT } = loaded.settings;
  const log = createLog({ level: LOG_LEVEL, format: LOG_FORMAT ?? (cli.isTerminal ? 'pretty' : 'json') });
  for (const message of loaded.warnings) log.warn('setting suspicious', { message });
  return { loaded, log };
}

async function runOnce(cli: Cli, flags: readonly string[]): Promise<number> {
  const { loaded, log } = await load(cli, flags);
  const open = await cli.provider(schemeOf(sourceOf(loaded)));
  return await once({ name: 'default', loaded, log, open, env: cli.env, instance: cli.instance }, cli.ending);
}

async function runDiff(cli: Cli, flags: readonly string[], own: readonly string[]): Promise<number> {
  const { loaded } = await load(cli, flags);
  const open = await cli.provider(schemeOf(sourceOf(loaded)));
  const { diff } = await import('./diff.ts');
  const patch = await diff({ loaded, env: cli.env, open });
  cli.print(patch);
  return patch !== '' && own.includes('exit-code') ? EXIT.differences : EXIT.done;
}

async function status(cli: Cli, flags: readonly string[], own: readonly string[]): Promise<number> {
  const { settings: given } = await loadPartialSettings({ flags, env: cli.env, cwd: cli.cwd });
  const found = await askStatus(given.LISTEN ?? 'off');
  if (typeof found === 'string') {
    cli.printError(`${found}\n`);
    return EXIT.notReady;
  }
  cli.print(own.includes('json') ? `${JSON.stringify(found, null, 2)}\n` : describeStatus(found));
  return found.ready ? EXIT.done : EXIT.notReady;
}

async function settings(cli: Cli, flags: readonly string[]): Promise<number> {
  const rows = explain(await loadPartialSettings({ flags, env: cli.env, cwd: cli.cwd }));
  const width = Math.max(...rows.map(({ name }) => name.length));
  const valueWidth = Math.min(60, Math.max(...rows.map(({ value }) => value.length)));
  const lines = rows.map(
    ({ name, value, from }) => `${name.padEnd(width)}  ${value.padEnd(valueWidth)}  ${from}`,
  );
  return printed(cli, `${lines.join('\n')}\n`);
}
