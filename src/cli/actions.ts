// What each command does, in a few lines over the other folders. Each resolves to an exit code.
import { toSidecarError } from '../lib/errors.ts';
import { EXIT } from '../lib/exit-codes.ts';
import { createLog } from '../lib/log.ts';
import { askSidecar, describeStatus } from '../server/ask-status.ts';
import { type Action, generationOf } from '../server/control.ts';
import type { SeenStatus } from '../server/status.ts';
import { explain } from '../settings/docs.ts';
import { alternatives } from '../settings/kind.ts';
import { sourceOf } from '../settings/secrets.ts';
import {
  type Loaded,
  type LoadOptions,
  loadPartialSettings,
  loadSettings,
  type Settings,
} from '../settings/settings.ts';
import type { CommandName } from './commands.ts';
import { helpOn } from './help.ts';
import { misuse, unknownWord } from './misuse.ts';
import { once } from './once.ts';
import { type Configured, run } from './run.ts';
import { colorDiff, colorFindings, counting, shownTo, wantsColors } from './terminal.ts';
import type { Cli, Words } from './types.ts';

type Act = (cli: Cli, words: Words) => Promise<number>;

export const ACTIONS: Readonly<Record<CommandName, Act>> = {
  run: runUntilEnd,
  once: runOnce,
  check: runCheck,
  diff: runDiff,
  status,
  history,
  sync: (cli, words) => control(cli, 'sync', words),
  rollback: (cli, words) => control(cli, 'rollback', words),
  resume: (cli, words) => control(cli, 'resume', words),
  settings,
  completion,
  help: async (cli) => printed(cli, helpOn(undefined) ?? ''),
};

/** Prints, and is done. */
export function printed(cli: Cli, text: string): number {
  cli.print(shownTo(cli, text));
  return EXIT.done;
}

function optionsOf({ env, cwd }: Cli, { flags, ownNames }: Words): LoadOptions {
  return { flags, env, cwd, otherFlags: ownNames };
}

/** Shows on a terminal that a command still waits. */
function waiting<T>(cli: Cli, what: string, work: Promise<T>): Promise<T> {
  return counting(what, work, { isTerminal: cli.isErrorTerminal, print: cli.printError });
}

function runUntilEnd(cli: Cli, words: Words): Promise<number> {
  const said = new Set<string>();
  return run(cli, () => load(cli, words, said));
}

/** @param said the warnings that were logged before. */
async function load(cli: Cli, words: Words, said = new Set<string>()): Promise<Configured> {
  const loaded = await loadSettings(optionsOf(cli, words));
  const { LOG_LEVEL, LOG_FORMAT, LOG_COMMAND_OUTPUT } = loaded.settings;
  const format = LOG_FORMAT ?? (cli.isTerminal ? 'pretty' : 'json');
  const log = createLog({
    ...{ level: LOG_LEVEL, format, commandOutput: LOG_COMMAND_OUTPUT },
    colors: wantsColors(cli.isTerminal, cli.env),
  });
  for (const message of loaded.warnings) if (!said.has(message)) log.warn('setting suspicious', { message });
  for (const message of loaded.warnings) said.add(message);
  return { loaded, log };
}

async function runOnce(cli: Cli, words: Words): Promise<number> {
  const { loaded, log } = await load(cli, words);
  const open = await sourceOf(loaded).load();
  return await once({ name: 'default', loaded, log, open, env: cli.env, instance: cli.instance }, cli.ending);
}

async function runDiff(cli: Cli, words: Words): Promise<number> {
  const { loaded } = await load(cli, words);
  const open = await sourceOf(loaded).load();
  const { diff } = await import('./diff.ts');
  const patch = await waiting(cli, 'Reading the source', diff({ loaded, env: cli.env, open }));
  const shown = shownTo(cli, patch);
  cli.print(wantsColors(cli.isTerminal, cli.env) ? colorDiff(shown) : shown);
  return patch !== '' && words.own.has('exit-code') ? EXIT.differences : EXIT.done;
}

async function runCheck(cli: Cli, words: Words): Promise<number> {
  const loaded = await loadSettings(optionsOf(cli, words));
  const open = await sourceOf(loaded).load();
  const { check } = await import('../check/check.ts');
  const json = words.own.has('json');
  const checking = check({ loaded, env: cli.env, open, json, signal: cli.ending });
  const { text, exitCode } = await waiting(cli, 'Checking', checking);
  const shown = shownTo(cli, text);
  cli.print(!json && wantsColors(cli.isTerminal, cli.env) ? colorFindings(shown) : shown);
  return exitCode;
}

async function status(cli: Cli, words: Words): Promise<number> {
  const found = await find(cli, words);
  if (found === null) return EXIT.notReady;
  const text = words.own.has('json') ? `${JSON.stringify(found, null, 2)}\n` : describeStatus(found);
  cli.print(shownTo(cli, text));
  return found.ready ? EXIT.done : EXIT.notReady;
}

async function history(cli: Cli, words: Words): Promise<number> {
  const found = await find(cli, words);
  if (found === null) return EXIT.notReady;
  const { describeHistory, historyOf } = await import('./history.ts');
  const text = words.own.has('json')
    ? `${JSON.stringify(historyOf(found), null, 2)}\n`
    : describeHistory(found, Date.now());
  return printed(cli, text);
}

/** The status of the sidecar that runs here; null, with a message, when no sidecar answers. */
async function find(cli: Cli, words: Words): Promise<SeenStatus | null> {
  const { settings: given } = await loadPartialSettings(optionsOf(cli, words));
  const found = await askSidecar({ socket: await socketOf(given), listen: given.LISTEN ?? 'off' });
  if (typeof found !== 'string') return found;
  cli.printError(shownTo({ isTerminal: cli.isErrorTerminal }, `${found}\n`));
  return null;
}

async function socketOf({
  OUTPUT,
  STATE_DIR,
}: Loaded<Partial<Settings>>['settings']): Promise<string | null> {
  if (OUTPUT === undefined || STATE_DIR === undefined) return null;
  return (await import('../ledger/socket-path.ts')).controlSocketOf(OUTPUT, STATE_DIR);
}

/** How long a command waits for the outcome. */
const OUTCOME_MS = 60_000;

async function control(cli: Cli, action: Action, words: Words): Promise<number> {
  const generation = chosenGeneration(words.words);
  const { settings: given } = await loadPartialSettings(optionsOf(cli, words));
  const socket = await socketOf(given);
  if (socket === null)
    throw misuse('Cannot find the sidecar without OUTPUT: give it the same OUTPUT and STATE_DIR.');
  const { steerSidecar } = await import('./control.ts');
  const controlling = steerSidecar({
    ...{ socket, action, generation, signal: cli.ending },
    retry: words.own.has('retry'),
    waitMs: words.own.has('no-wait') ? 0 : OUTCOME_MS,
  });
  const { exitCode, text } = await waiting(cli, 'Waiting for the outcome', controlling);
  if (exitCode === EXIT.done) cli.print(shownTo(cli, `${text}\n`));
  else cli.printError(shownTo({ isTerminal: cli.isErrorTerminal }, `${text}\n`));
  return exitCode;
}

function chosenGeneration([word]: readonly string[]): number | null {
  try {
    return generationOf('rollback', word ?? null);
  } catch (thrown) {
    throw misuse(toSidecarError(thrown).message);
  }
}

async function settings(cli: Cli, words: Words): Promise<number> {
  if (words.own.has('schema')) {
    const { settingsSchema } = await import('../settings/schema.ts');
    return printed(cli, `${JSON.stringify(settingsSchema(), null, 2)}\n`);
  }
  const rows = explain(await loadPartialSettings(optionsOf(cli, words)));
  const width = Math.max(...rows.map(({ name }) => name.length));
  const valueWidth = Math.min(60, Math.max(...rows.map(({ value }) => value.length)));
  const lines = rows.map(
    ({ name, value, from }) => `${name.padEnd(width)}  ${value.padEnd(valueWidth)}  ${from}`,
  );
  return printed(cli, `${lines.join('\n')}\n`);
}

async function completion(cli: Cli, { words: [word] }: Words): Promise<number> {
  const { completionFor, SHELLS } = await import('./completion.ts');
  const shell = SHELLS.find((one) => one === word);
  if (shell !== undefined) return printed(cli, completionFor(shell));
  if (word !== undefined) throw unknownWord('shell', word, SHELLS);
  throw misuse(`Cannot print a completion script: name the shell (${alternatives(SHELLS)}).`);
}
