// What each command does, in a few lines over the other folders. Each resolves to an exit code.

import type { Checked } from '../check/check.ts';
import { toSidecarError } from '../lib/errors.ts';
import { EXIT } from '../lib/exit-codes.ts';
import { createLog } from '../lib/log.ts';
import { askSidecar, describeStatus } from '../server/ask-status.ts';
import { type Asker, type ControlAction, generationOf } from '../server/control.ts';
import type { SeenStatus } from '../server/status.ts';
import { explain } from '../settings/docs.ts';
import { alternatives } from '../settings/kind.ts';
import { sourceOf } from '../settings/secrets.ts';
import {
  type Loaded,
  type LoadOptions,
  loadPartialTargets,
  loadTargets,
  type Settings,
  type Targets,
} from '../settings/settings.ts';
import type { CommandName } from './commands.ts';
import type { KeptHistory } from './generations.ts';
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
  const targets = chosen(words, await loadTargets(optionsOf(cli, words)));
  const { LOG_LEVEL, LOG_FORMAT, LOG_COMMAND_OUTPUT } = firstOf(targets).settings;
  const format = LOG_FORMAT ?? (cli.isTerminal ? 'pretty' : 'json');
  const log = createLog({
    ...{ level: LOG_LEVEL, format, commandOutput: LOG_COMMAND_OUTPUT },
    colors: wantsColors(cli.isTerminal, cli.env),
  });
  for (const { warnings } of targets.values()) {
    for (const message of warnings) if (!said.has(message)) log.warn('setting suspicious', { message });
    for (const message of warnings) said.add(message);
  }
  return { targets, log };
}

/** Settings of the process are the same in every target. */
function firstOf(targets: Targets): Loaded {
  const [first] = targets.values();
  if (first === undefined) throw new Error('There is no target');
  return first;
}

/** The target that --target names, or all. */
function chosen<S>(words: Words, targets: Targets<S>): Targets<S> {
  const name = targetNamed(words);
  if (name === null) return targets;
  const found = targets.get(name);
  if (found === undefined)
    throw misuse(`Cannot use --target ${name}: there is ${[...targets.keys()].join(', ')}.`);
  return new Map([[name, found]]);
}

function targetNamed({ own }: Words): string | null {
  const name = own.get('target');
  return typeof name === 'string' ? name : null;
}

/** Every target is worked on, even after another has failed; the gravest exit code counts. */
async function worst(codes: readonly Promise<number>[]): Promise<number> {
  return Math.max(...(await Promise.all(codes)));
}

async function runOnce(cli: Cli, words: Words): Promise<number> {
  const { targets, log } = await load(cli, words);
  const passes = [...targets].map(async ([name, loaded]) => {
    const open = await sourceOf(loaded).load();
    return await once({ name, loaded, log, open, env: cli.env, instance: cli.instance }, cli.ending);
  });
  return await worst(passes);
}

async function runDiff(cli: Cli, words: Words): Promise<number> {
  if (words.words.length > 0) return await diffKept(cli, words);
  const { targets } = await load(cli, words);
  const { diff } = await import('./diff.ts');
  const reading = [...targets].map(async ([name, loaded]) => {
    const open = await sourceOf(loaded).load();
    const patch = await diff({ loaded, env: cli.env, open });
    return patch === '' || targets.size === 1 ? patch : `# target ${name}\n${patch}`;
  });
  const patch = (await waiting(cli, 'Reading the source', Promise.all(reading))).join('');
  return printedDiff(cli, words, patch);
}

function printedDiff(cli: Cli, { own }: Words, patch: string): number {
  const shown = shownTo(cli, patch);
  cli.print(wantsColors(cli.isTerminal, cli.env) ? colorDiff(shown) : shown);
  return patch !== '' && own.has('exit-code') ? EXIT.differences : EXIT.done;
}

/** `diff N [M]`: of generations that are kept here. */
async function diffKept(cli: Cli, words: Words): Promise<number> {
  const [from = 0, to = null] = words.words.map((word) => numberOf(word, 'compare'));
  const { diffGenerations } = await import('./generations.ts');
  return printedDiff(cli, words, diffGenerations(from, to, await keepingOf(cli, words)));
}

/** Where the one target keeps its generations. */
async function keepingOf(cli: Cli, words: Words): Promise<KeptHistory> {
  const targets = chosen(words, await loadPartialTargets(optionsOf(cli, words)));
  const [only, ...others] = targets.values();
  if (others.length > 0)
    throw misuse(
      `Cannot choose between several targets: name one with --target (${[...targets.keys()].join(', ')}).`,
    );
  const { OUTPUT, OUTPUTS = [], STATE_DIR, MAX_SIZE = 0 } = only?.settings ?? {};
  if (OUTPUT === undefined || STATE_DIR === undefined)
    throw misuse(
      'Cannot find the generations without OUTPUT: give the same OUTPUT and STATE_DIR as the sidecar.',
    );
  return { output: OUTPUT, outputs: OUTPUTS, stateDir: STATE_DIR, maxBytes: MAX_SIZE };
}

function numberOf(word: string, verb: string): number {
  if (/^[1-9]\d{0,14}$/.test(word)) return Number(word);
  throw misuse(
    `Cannot ${verb} "${word}": it is not the number of a generation; "config-sidecar history" lists them.`,
  );
}

async function runCheck(cli: Cli, words: Words): Promise<number> {
  const targets = chosen(words, await loadTargets(optionsOf(cli, words)));
  const { check } = await import('../check/check.ts');
  const json = words.own.has('json');
  const checked: (readonly [name: string, Checked])[] = [];
  for (const [name, loaded] of targets) {
    const open = await sourceOf(loaded).load();
    const checking = check({ loaded, env: cli.env, open, json, signal: cli.ending });
    checked.push([name, await waiting(cli, 'Checking', checking)]);
  }
  const text = json ? findingsAsJson(checked) : findingsAsText(checked);
  const shown = shownTo(cli, text);
  cli.print(!json && wantsColors(cli.isTerminal, cli.env) ? colorFindings(shown) : shown);
  return Math.max(...checked.map(([, { exitCode }]) => exitCode));
}

type CheckedTargets = readonly (readonly [name: string, Checked])[];

function findingsAsText(checked: CheckedTargets): string {
  return checked
    .map(([name, { text }]) => (checked.length === 1 ? text : `target ${name}\n${text}`))
    .join('\n');
}

/** The findings; of several targets, by name. */
function findingsAsJson(checked: CheckedTargets): string {
  const [first] = checked;
  if (first !== undefined && checked.length === 1) return first[1].text;
  const byName = checked.map(([name, { text }]) => [name, JSON.parse(text)] as const);
  return `${JSON.stringify(Object.fromEntries(byName), null, 2)}\n`;
}

async function status(cli: Cli, words: Words): Promise<number> {
  const found = await find(cli, words);
  if (found === null) return EXIT.notReady;
  const text = words.own.has('json')
    ? `${JSON.stringify(found, null, 2)}\n`
    : describeStatus(found, { instance: cli.instance, now: Date.now() });
  cli.print(shownTo(cli, text));
  return found.ready ? EXIT.done : EXIT.notReady;
}

async function history(cli: Cli, words: Words): Promise<number> {
  const [word, number, ...others] = words.words;
  if (word !== undefined) {
    if (word !== 'show') throw unknownWord('word', word, ['show']);
    if (number === undefined || others.length > 0)
      throw misuse('Cannot show a generation without its number: config-sidecar history show NUMBER.');
    const { showGeneration } = await import('./generations.ts');
    return printed(cli, showGeneration(numberOf(number, 'show'), await keepingOf(cli, words)));
  }
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
  const targets = await loadPartialTargets(optionsOf(cli, words));
  const [first] = targets.values();
  const listen = first?.settings.LISTEN ?? 'off';
  const found = await askSidecar({
    sockets: await socketsOf(targets),
    listen,
    target: targetNamed(words),
  }).catch((thrown: unknown) => {
    throw misuse(toSidecarError(thrown).message);
  });
  if (typeof found !== 'string') return found;
  cli.printError(shownTo({ isTerminal: cli.isErrorTerminal }, `${found}\n`));
  return null;
}

/** The control sockets of the sidecar: each target has one, and each shows and controls all targets. */
async function socketsOf(targets: Targets<Partial<Settings>>): Promise<readonly string[]> {
  const { controlSocketOf } = await import('../ledger/socket-path.ts');
  return [...targets.values()].flatMap(({ settings: { OUTPUT, STATE_DIR } }) =>
    OUTPUT === undefined || STATE_DIR === undefined ? [] : [controlSocketOf(OUTPUT, STATE_DIR)],
  );
}

/** How long a command waits for the outcome. */
const OUTCOME_MS = 60_000;

async function control(cli: Cli, action: ControlAction, words: Words): Promise<number> {
  const generation = chosenGeneration(words.words);
  const sockets = await socketsOf(await loadPartialTargets(optionsOf(cli, words)));
  if (sockets.length === 0)
    throw misuse('Cannot find the sidecar without OUTPUT: give it the same OUTPUT and STATE_DIR.');
  const { sendControl } = await import('./control.ts');
  const controlling = sendControl({
    ...{ sockets, action, generation, signal: cli.ending, target: targetNamed(words) },
    asker: askerOf(cli, words),
    retry: words.own.has('retry'),
    waitMs: words.own.has('no-wait') ? 0 : OUTCOME_MS,
  });
  const { exitCode, text } = await waiting(cli, 'Waiting for the outcome', controlling);
  if (exitCode === EXIT.done) cli.print(shownTo(cli, `${text}\n`));
  else cli.printError(shownTo({ isTerminal: cli.isErrorTerminal }, `${text}\n`));
  return exitCode;
}

/** What the shell says of the user, and where the command runs. */
function askerOf({ env, instance }: Cli, { own }: Words): Asker {
  const user = env['SUDO_USER'] || env['USER'] || env['LOGNAME'] || `user ${process.geteuid?.() ?? '?'}`;
  const reason = own.get('reason');
  return { by: `${user} on ${instance}`, reason: typeof reason === 'string' ? reason : null };
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
  const targets = chosen(words, await loadPartialTargets(optionsOf(cli, words)));
  const tables = [...targets].map(([name, loaded]) => {
    return (targets.size === 1 ? '' : `# target ${name}\n`) + tableOf(loaded);
  });
  return printed(cli, tables.join('\n'));
}

function tableOf(loaded: Loaded<Partial<Settings>>): string {
  const rows = explain(loaded);
  const width = Math.max(...rows.map(({ name }) => name.length));
  const valueWidth = Math.min(60, Math.max(...rows.map(({ value }) => value.length)));
  return rows
    .map(({ name, value, from }) => `${name.padEnd(width)}  ${value.padEnd(valueWidth)}  ${from}\n`)
    .join('');
}

async function completion(cli: Cli, { words: [word] }: Words): Promise<number> {
  const { completionFor, SHELLS } = await import('./completion.ts');
  const shell = SHELLS.find((one) => one === word);
  if (shell !== undefined) return printed(cli, completionFor(shell));
  if (word !== undefined) throw unknownWord('shell', word, SHELLS);
  throw misuse(`Cannot print a completion script: name the shell (${alternatives(SHELLS)}).`);
}
