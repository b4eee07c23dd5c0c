// Settings that PRESET stands for: those of one known application that were not given otherwise.
import { accessSync, constants, statSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { givesHook, namesProcess } from './checks.ts';
import type { Environment } from './environment.ts';
import type { Loaded } from './loaded.ts';
import type { OutputSettings } from './outputs.ts';
import type { Checker, Preset } from './presets/preset.ts';
import { PRESETS, type PresetName } from './presets/table.ts';
import { describe, type Layer, type RawSetting } from './raw-setting.ts';
import { isName, type Name } from './table.ts';
import { quoteWord } from './words.ts';

/** Where servers are installed, and what an ordinary user's PATH leaves out. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** Where a program is searched when PATH is not set. */
const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin';

/**
 * The settings of PRESET, as far as `given` leaves room for them. A hook that is given replaces the preset's whole
 * hook, and a process that is named replaces its process. Its checker is set where the program can be found.
 */
export function readPreset(raw: ReadonlyMap<Name, RawSetting>, env: Environment): Layer {
  const asked = raw.get('PRESET');
  const name = asked?.text.trim() ?? '';
  if (asked === undefined || !Object.hasOwn(PRESETS, name)) return { raw: [], problems: [] };
  const preset: Preset = PRESETS[name as PresetName];
  const hook = givesHook(raw) ? {} : preset.hook;
  if (hook === null) return { raw: [], problems: [cannotReload(describe(asked), preset)] };
  const written = { ...writtenIn(raw), ...hook };
  const checker = preset.checker === null ? undefined : commandOf(preset.checker, preset, written, env);
  const isSignalled = signalOf(written) !== undefined;
  const isItsSignal = isSignalled && written.RELOAD_SIGNAL === preset.hook?.RELOAD_SIGNAL;
  const texts: SettingTexts = {
    ...hook,
    ...(preset.gate !== undefined && isItsSignal && { RELOAD_GATE: preset.gate }),
    ...(isSignalled && !namesByItself(raw) && { APP_PROCESS: preset.process }),
    ...(checker !== undefined && { VALIDATE_COMMAND: checker }),
    ...confirmationOf(preset, written, raw),
  };
  const entries = Object.entries(texts).flatMap(([setting, text]): readonly RawSetting[] => {
    if (!isName(setting) || raw.has(setting) || text === undefined) return [];
    return [{ name: setting, from: 'preset', spelled: `${setting} of PRESET`, text, secretFile: false }];
  });
  const lacks = checker === undefined && preset.checker !== null && !raw.has('VALIDATE_COMMAND');
  return {
    raw: entries,
    problems: [],
    warnings: [
      ...(preset.verified === null ? [unverified(name, preset)] : []),
      ...(lacks ? [noChecker(name, preset, preset.checker)] : []),
    ],
  };
}

/** Settings as they are written. */
type SettingTexts = { readonly [N in Name]?: string };

function writtenIn(raw: ReadonlyMap<Name, RawSetting>): SettingTexts {
  return Object.fromEntries([...raw].map(([name, { text }]) => [name, text.trim()]));
}

/**
 * The signal that is sent, if one is. With another hook no process has to be found: waiting for one that is out of sight would
 * delay every reload.
 */
function signalOf({ RELOAD_SIGNAL, RELOAD_URL, RELOAD_COMMAND }: SettingTexts): string | undefined {
  if (RELOAD_URL !== undefined || RELOAD_COMMAND !== undefined || RELOAD_SIGNAL === 'none') return undefined;
  return RELOAD_SIGNAL;
}

function namesByItself(raw: ReadonlyMap<Name, RawSetting>): boolean {
  return raw.has('APP_PROCESS') || raw.has('APP_PID_FILE');
}

/** Without a hook there is no reload to confirm; and workers are those of a process. */
function confirmationOf(
  preset: Preset,
  written: SettingTexts,
  raw: ReadonlyMap<Name, RawSetting>,
): SettingTexts {
  const { RELOAD_SIGNAL, RELOAD_URL, RELOAD_COMMAND } = written;
  const isTold = RELOAD_URL !== undefined || RELOAD_COMMAND !== undefined || RELOAD_SIGNAL !== 'none';
  if (!isTold && preset.hook?.RELOAD_SIGNAL !== 'none') return {};
  const { CONFIRM_WORKERS, CONFIRM_MATCH, ...others } = preset.confirm;
  const isSeen = signalOf(written) !== undefined || namesProcess(raw);
  return {
    ...others,
    ...(isSeen && CONFIRM_WORKERS !== undefined && { CONFIRM_WORKERS }),
    ...(isOfSamePage(preset, raw.get('CONFIRM_URL')) && CONFIRM_MATCH !== undefined && { CONFIRM_MATCH }),
  };
}

/** What is looked for stands on the page the preset names, on whatever port or below whatever prefix, and on no other. */
function isOfSamePage({ confirm }: Preset, raw: RawSetting | undefined): boolean {
  if (raw === undefined || raw.secretFile || confirm.CONFIRM_URL === undefined) return true;
  const page = pageOf(confirm.CONFIRM_URL);
  return page !== undefined && pageOf(raw.text.trim())?.endsWith(page) === true;
}

function pageOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).pathname : undefined;
}

/** The checker as a command, by its whole path where PATH does not lead to it; undefined where it is not installed. */
function commandOf(
  checker: Checker,
  { main }: Preset,
  { OUTPUT }: SettingTexts,
  env: Environment,
): string | undefined {
  const onPath = (env['PATH'] ?? DEFAULT_PATH).split(delimiter).filter((folder) => folder !== '');
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
    `Cannot use ${asked} alone: ${application} cannot reload its configuration. ${remarks[0] ?? ''} ` +
    'Set RELOAD_SIGNAL to SIGTERM to have its supervisor restart it, or to none to publish only; or set RELOAD_COMMAND to a command that changes it while it runs'
  );
}

function unverified(name: string, { application }: Preset): string {
  return `PRESET "${name}" is unverified: it follows the documentation of ${application}, and no test has run it. Try a good and a bad change before you rely on it.`;
}

function noChecker(name: string, { application, onBadFile }: Preset, { programs }: Checker): string {
  const harm =
    onBadFile === 'exits'
      ? `${application} exits on a bad file, so it would go down before the roll-back`
      : `a bad file is found only after it is published`;
  return `PRESET "${name}" checks nothing before publishing: the sidecar cannot find ${programs.map((one) => `"${one}"`).join(' or ')}, and ${harm}. Install the program in the sidecar's image, or set VALIDATE_COMMAND.`;
}

/**
 * The command that checks an output which has files of these names; undefined where none does. Of several outputs the preset's
 * own checker is for the one that holds the application's main file.
 */
export function checkerOf(
  { raw, settings }: Loaded,
  { place, validateCommand }: OutputSettings,
  names: readonly string[],
): readonly string[] | undefined {
  const { PRESET, OUTPUTS, VALIDATE_COMMAND } = settings;
  const isOfPreset = raw.get('VALIDATE_COMMAND')?.from === 'preset' && validateCommand === VALIDATE_COMMAND;
  if (!isOfPreset || PRESET === undefined || OUTPUTS.length === 1) return validateCommand;
  const { main } = PRESETS[PRESET];
  if (place.kind === 'file') return basename(place.path) === main ? validateCommand : undefined;
  if (!names.includes(main)) return undefined;
  return validateCommand?.map((word) => word.replaceAll('{path}', `{path}/${main}`));
}

/** A hint for a refusal by a preset's checker, when OUTPUT may be only a part of what that checker reads: a clause. */
export function checkerHint({ raw, settings }: Loaded): string | undefined {
  const { OUTPUT, OUTPUTS, PRESET } = settings;
  if (PRESET === undefined || OUTPUTS.length > 1 || raw.get('VALIDATE_COMMAND')?.from !== 'preset')
    return undefined;
  const { main } = PRESETS[PRESET];
  if (OUTPUT.kind === 'file' && basename(OUTPUT.path) === main) return undefined;
  const whole = OUTPUT.kind === 'file' ? `OUTPUT for a whole ${main}` : `${main} in OUTPUT for the whole`;
  return `PRESET "${PRESET}" takes ${whole}; where that is wrong, set VALIDATE_COMMAND ("true" checks nothing)`;
}
