// What each command does, in a few lines over the other folders. Each resolves to an exit code.

import type { Checked } from '../check/check.ts';
import { EXIT } from '../lib/exit-codes.ts';
import { explain } from '../settings/docs.ts';
import { alternatives } from '../settings/kind.ts';
import { sourceOf } from '../settings/secrets.ts';
import { type Loaded, loadPartialTargets, loadTargets, type Settings } from '../settings/settings.ts';
import { control, history, status } from './ask-running.ts';
import type { CommandName } from './commands.ts';
import { helpOn } from './help.ts';
import { misuse, unknownWord } from './misuse.ts';
import { once } from './once.ts';
import { numberOf, printed, waiting } from './printed.ts';
import { run } from './run.ts';
import { chosen, keepingOf, load, optionsOf } from './targets.ts';
import { colorDiff, colorFindings, shownTo, wantsColors } from './terminal.ts';
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

function runUntilEnd(cli: Cli, words: Words): Promise<number> {
  const said = new Set<string>();
  return run(cli, () => load(cli, words, said));
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
