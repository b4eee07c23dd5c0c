// Which targets a command is about, with their settings.

import { createLog } from '../lib/log.ts';
import {
  type Loaded,
  type LoadOptions,
  loadPartialTargets,
  loadTargets,
  type Targets,
} from '../settings/settings.ts';
import type { KeptHistory } from './generations.ts';
import { misuse } from './misuse.ts';
import type { Configured } from './run.ts';
import { wantsColors } from './terminal.ts';
import type { Cli, Words } from './types.ts';

export function optionsOf({ env, cwd }: Cli, { flags, ownNames }: Words): LoadOptions {
  return { flags, env, cwd, otherFlags: ownNames };
}

/** @param said the warnings that were logged before. */
export async function load(cli: Cli, words: Words, said = new Set<string>()): Promise<Configured> {
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
export function chosen<S>(words: Words, targets: Targets<S>): Targets<S> {
  const name = targetNamed(words);
  if (name === null) return targets;
  const found = targets.get(name);
  if (found === undefined)
    throw misuse(`Cannot use --target ${name}: there is ${[...targets.keys()].join(', ')}.`);
  return new Map([[name, found]]);
}

export function targetNamed({ own }: Words): string | null {
  const name = own.get('target');
  return typeof name === 'string' ? name : null;
}

/** Where the one target keeps its generations. */
export async function keepingOf(cli: Cli, words: Words): Promise<KeptHistory> {
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
  return { output: OUTPUT, outputs: OUTPUTS, stateDir: STATE_DIR, maxSize: MAX_SIZE };
}
