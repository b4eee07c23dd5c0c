// Settings that PRESET stands for: those of one known application that were not given otherwise.
import { accessSync, constants, statSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import type { Checker, Preset } from '../presets/preset.ts';
import { PRESETS, type PresetName } from '../presets.ts';
import type { Loaded } from '../settings.ts';
import { namesProcess } from './checks.ts';
import type { Environment } from './environment.ts';
import { describe, type Given, type Layer } from './given.ts';
import { isName, type Name } from './table.ts';
import { quoteWord } from './words.ts';

/** Where servers are installed, and what an ordinary user's PATH leaves out. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/**
 * The settings of PRESET, as far as `given` leaves room for them. A hook that is given replaces the preset's whole
 * hook, and a process that is named replaces its process. Its checker is set where the program can be found.
 */
export function readPreset(given: ReadonlyMap<Name, Given>, env: Environment): Layer {
  const asked = given.get('PRESET');
  if (asked === undefined || !Object.hasOwn(PRESETS, asked.text)) return { given: [], problems: [] };
  const preset: Preset = PRESETS[asked.text as PresetName];
  const hook = hookGiven(given) ? {} : preset.hook;
  if (hook === null) return { given: [], problems: [cannotReload(describe(asked), preset)] };
  const told = { ...textsOf(given), ...hook };
  const checker = preset.checker === null ? undefined : commandOf(preset.checker, preset, told, env);
  const texts = {
    ...hook,
    ...(preset.gate !== undefined && { RELOAD_GATE: preset.gate }),
    ...(isSignalled(told) && !namesByItself(given) && { APP_PROCESS: preset.process }),
    ...(checker !== undefined && { VALIDATE_COMMAND: checker }),
    ...confirmationOf(preset, told, given),
  };
  const entries = Object.entries(texts).flatMap(([name, text]): readonly Given[] => {
    if (!isName(name) || given.has(name) || text === undefined) return [];
    return [{ name, from: 'preset', spelled: `${name} of PRESET`, text, secretFile: false }];
  });
  const lacks = checker === undefined && preset.checker !== null && !given.has('VALIDATE_COMMAND');
  return {
    given: entries,
    problems: [],
    warnings: [
      ...(preset.verified === null ? [unverified(asked.text, preset)] : []),
      ...(lacks ? [noChecker(asked.text, preset, preset.checker)] : []),
    ],
  };
}

type Texts = { readonly [N in Name]?: string };

function textsOf(given: ReadonlyMap<Name, Given>): Texts {
  return Object.fromEntries([...given].map(([name, { text }]) => [name, text]));
}

function hookGiven(given: ReadonlyMap<Name, Given>): boolean {
  return given.has('RELOAD_SIGNAL') || given.has('RELOAD_URL') || given.has('RELOAD_COMMAND');
}

/** With another hook the process is not needed, and waiting for one that is out of sight would put off every reload. */
function isSignalled({ RELOAD_URL, RELOAD_COMMAND }: Texts): boolean {
  return RELOAD_URL === undefined && RELOAD_COMMAND === undefined;
}

function namesByItself(given: ReadonlyMap<Name, Given>): boolean {
  return given.has('APP_PROCESS') || given.has('APP_PID_FILE');
}

/** What nobody tells does not reload, so nothing of a reload can be seen; and workers are those of a process. */
function confirmationOf(preset: Preset, told: Texts, given: ReadonlyMap<Name, Given>): Texts {
  const watchesItself = preset.hook?.RELOAD_SIGNAL === 'none';
  if (told.RELOAD_SIGNAL === 'none' && isSignalled(told) && !watchesItself) return {};
  const { CONFIRM_WORKERS, ...others } = preset.confirm;
  const seen = isSignalled(told) || namesProcess(given);
  return CONFIRM_WORKERS !== undefined && seen ? { ...others, CONFIRM_WORKERS } : others;
}

/** The checker as a command, by its whole path where PATH does not lead to it; undefined where it is not installed. */
function commandOf(
  checker: Checker,
  { main }: Preset,
  { OUTPUT }: Texts,
  env: Environment,
): string | undefined {
  const onPath = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const found = (folders: readonly string[], program: string): string | undefined =>
    folders.map((folder) => join(folder, program)).find(isProgram);
  const staged = OUTPUT?.endsWith('/') ? `{path}/${main}` : '{path}';
  for (const program of checker.programs) {
    const path = found(onPath, program) === undefined ? found(SYSTEM_FOLDERS, program) : program;
    if (path !== undefined) return `${quoteWord(path)} ${checker.arguments.replaceAll('{main}', staged)}`;
  }
  return undefined;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function cannotReload(asked: string, { application, remarks }: Preset): string {
  return (
    `Cannot use ${asked} alone: ${application} cannot be told to read its configuration again. ${remarks[0] ?? ''} ` +
    'Set RELOAD_SIGNAL to SIGTERM to have its supervisor start it again, to none to publish only, or RELOAD_COMMAND to what changes it while it runs'
  );
}

function unverified(name: string, { application }: Preset): string {
  return `PRESET "${name}" is unverified: it follows the documentation of ${application}, and no test of ours has run it. Try a good and a bad change before you rely on it.`;
}

function noChecker(name: string, { application, onBadFile }: Preset, { programs }: Checker): string {
  const harm =
    onBadFile === 'exits'
      ? `${application} exits when a reload meets a bad file, so it would go down before the last known good one is put back`
      : `a bad file is found out only after it was published`;
  return `PRESET "${name}" checks nothing before publishing: ${programs.map((one) => `"${one}"`).join(' and ')} cannot be found where this sidecar runs, and ${harm}. Put the program into the sidecar's image, or set VALIDATE_COMMAND.`;
}

/** What to think of a refusal by a preset's checker, where OUTPUT may be a part of what that one can judge: a clause. */
export function checkerHint({ given, settings }: Loaded): string | undefined {
  const { OUTPUT, PRESET } = settings;
  if (PRESET === undefined || given.get('VALIDATE_COMMAND')?.from !== 'preset') return undefined;
  const { main } = PRESETS[PRESET];
  if (OUTPUT.kind === 'file' && basename(OUTPUT.path) === main) return undefined;
  const whole = OUTPUT.kind === 'file' ? `OUTPUT for a whole ${main}` : `${main} in OUTPUT for the whole`;
  return `PRESET "${PRESET}" takes ${whole}; where that is wrong, set VALIDATE_COMMAND`;
}
