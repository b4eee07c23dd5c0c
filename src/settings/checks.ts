// What must be true of several settings together. Each check gives the sentences for what is wrong.
import { statSync } from 'node:fs';
import { sep } from 'node:path';
import { errnoOf } from '../lib/errors.ts';
import { outputsFit, saidOutput } from './output-checks.ts';
import { outputsOf } from './outputs.ts';
import { describe, holdsSecret, type LoadedValues } from './raw-setting.ts';
import { flagOf, isName, type Name, type Values } from './table.ts';
import { printDuration } from './units.ts';

type Check = (facts: LoadedValues) => readonly string[];

/** Everything that is wrong with settings that are all right one by one. */
export function crossCheck(facts: LoadedValues): readonly string[] {
  const checks: readonly Check[] = [
    timesFit,
    oneHook,
    processNamed,
    confirmationFits,
    certificatesFit,
    credentialsFit,
    outputsFit,
    nothingFeedsItself,
  ];
  return checks.flatMap((check) => check(facts));
}

/** kubelet waits this long before it starts a container again that has ended often; and some seconds to come up. */
const RESTARTS_WITHIN_MS = 360_000;

/** Sentences for what is legal but probably not meant. */
export function suspicious(facts: LoadedValues): readonly string[] {
  return [...restartsTooLate(facts), ...secretsInFlags(facts)];
}

/**
 * We hide our own command line, but not that of what starts us: tini, a shell, `docker run`. It is open to every process in
 * sight, as an environment is not.
 */
function secretsInFlags({ raw }: LoadedValues): readonly string[] {
  return [...raw.values()]
    .filter((one) => one.from === 'flag' && holdsSecret(one))
    .map(
      ({ name, spelled }) =>
        `${spelled} holds a secret, and every process in the same PID namespace can read the command line it stands on (that of tini and shells as well). Give it as ${name}_FILE, the path of a file, or as the environment variable ${name}.`,
    );
}

function restartsTooLate({ values }: LoadedValues): readonly string[] {
  const { RELOAD_SIGNAL, CONFIRM_PERIOD = 0, CONFIRM_TIMEOUT = 0 } = values;
  if (RELOAD_SIGNAL !== 'SIGTERM' || CONFIRM_PERIOD === 0 || CONFIRM_TIMEOUT >= RESTARTS_WITHIN_MS) return [];
  return [
    `RELOAD_SIGNAL "SIGTERM" with CONFIRM_TIMEOUT "${printDuration(CONFIRM_TIMEOUT)}": a configuration counts as failed when its application is not started again within that time. kubelet waits up to 5 minutes after several restarts; set at least 6m.`,
  ];
}

/** What a command that follows a source cannot do without. */
export function missing({ raw }: LoadedValues): readonly string[] {
  const problems: string[] = [];
  if (!raw.has('OUTPUT') && !raw.has('OUTPUTS')) {
    problems.push(
      `Cannot start without OUTPUT: ${waysToGive('OUTPUT')} to a file, or to a directory with a trailing slash`,
    );
  }
  if (!raw.has('SOURCE') && !raw.has('CONFIG_FILE')) {
    problems.push(
      `Cannot start without SOURCE: ${waysToGive('SOURCE')} to a URL such as https://host/app.json or to a path, or CONFIG_FILE to a file`,
    );
  }
  return problems;
}

function waysToGive(name: Name): string {
  return `set ${name} (or ${flagOf(name)}, or ${name.toLowerCase()} in the settings file)`;
}

/** `RELOAD_URL "https://…"` where it was given; its name and default where not. */
function said({ raw }: LoadedValues, name: Name): string {
  const found = raw.get(name);
  return found === undefined ? name : describe(found);
}

/** `CONFIRM_PERIOD "5s"`; one that is the preset's says so. */
function named({ raw }: LoadedValues, name: Name, ms: number): string {
  const spelled = raw.get(name)?.from === 'preset' ? raw.get(name)?.spelled : name;
  return `${spelled} "${printDuration(ms)}"`;
}

function timesFit(facts: LoadedValues): readonly string[] {
  const { UPDATE_FREQUENCY, STALE_AFTER, DEBOUNCE, DEBOUNCE_MAX } = facts.values;
  const problems: string[] = [];
  if (UPDATE_FREQUENCY !== undefined && STALE_AFTER !== undefined && STALE_AFTER <= UPDATE_FREQUENCY) {
    problems.push(
      `Cannot use STALE_AFTER "${printDuration(STALE_AFTER)}" with UPDATE_FREQUENCY "${printDuration(UPDATE_FREQUENCY)}": STALE_AFTER must be longer, or every source would count as stale`,
    );
  }
  if (DEBOUNCE !== undefined && DEBOUNCE_MAX !== undefined && DEBOUNCE_MAX < DEBOUNCE) {
    problems.push(
      `Cannot use DEBOUNCE_MAX "${printDuration(DEBOUNCE_MAX)}" with DEBOUNCE "${printDuration(DEBOUNCE)}": DEBOUNCE_MAX must be at least as long`,
    );
  }
  return problems;
}

function oneHook(facts: LoadedValues): readonly string[] {
  const hooks = (['RELOAD_SIGNAL', 'RELOAD_URL', 'RELOAD_COMMAND'] as const).filter((name) => {
    return facts.raw.has(name) && !(name === 'RELOAD_SIGNAL' && facts.values.RELOAD_SIGNAL === 'none');
  });
  if (hooks.length < 2) return [];
  const [first = '', ...others] = hooks.map((name) => said(facts, name));
  return [`Cannot use ${first} with ${others.join(' and ')}: an application has one hook; keep one of them`];
}

function processNamed(facts: LoadedValues): readonly string[] {
  const { raw, values } = facts;
  const signal = values.RELOAD_SIGNAL;
  if (!raw.has('RELOAD_SIGNAL') || signal === undefined || signal === 'none') return [];
  if (namesProcess(raw)) return [];
  return [
    `Cannot use ${said(facts, 'RELOAD_SIGNAL')}: no process is configured to receive it; set APP_PROCESS, APP_CONTAINER or APP_PID_FILE`,
  ];
}

/** Whether the settings say how the application is reloaded, or that it is not. */
export function givesHook(raw: ReadonlyMap<Name, unknown>): boolean {
  return raw.has('RELOAD_SIGNAL') || raw.has('RELOAD_URL') || raw.has('RELOAD_COMMAND');
}

/** Whether the settings say which process is the application. */
export function namesProcess(raw: ReadonlyMap<Name, unknown>): boolean {
  return raw.has('APP_PROCESS') || raw.has('APP_CONTAINER') || raw.has('APP_PID_FILE');
}

/** `CONFIRM_URL` is asked this often, and not before the period is over. */
const PROBES_APART_MS = 250;

function enoughTime({ raw, values }: LoadedValues): readonly string[] {
  const { CONFIRM_PERIOD = 0, CONFIRM_TIMEOUT, CONFIRM_SUCCESSES } = values;
  if (!raw.has('CONFIRM_URL') || CONFIRM_SUCCESSES === undefined) return [];
  if (CONFIRM_TIMEOUT === undefined || CONFIRM_TIMEOUT <= CONFIRM_PERIOD) return [];
  const neededMs = (namesProcess(raw) ? CONFIRM_PERIOD : 0) + CONFIRM_SUCCESSES * PROBES_APART_MS;
  if (neededMs < CONFIRM_TIMEOUT) return [];
  return [
    `Cannot use CONFIRM_SUCCESSES "${CONFIRM_SUCCESSES}" with CONFIRM_TIMEOUT "${printDuration(CONFIRM_TIMEOUT)}": so many answers take longer than that, and nothing could ever be confirmed`,
  ];
}

function confirmationFits(facts: LoadedValues): readonly string[] {
  const { raw } = facts;
  const { CONFIRM_PERIOD, CONFIRM_TIMEOUT, CONFIRM_WORKERS } = facts.values;
  const problems: string[] = [];
  for (const name of ['CONFIRM_MATCH', 'CONFIRM_SUCCESSES', 'CONFIRM_HEADERS'] as const) {
    if (raw.has(name) && !raw.has('CONFIRM_URL'))
      problems.push(`Cannot use ${said(facts, name)} without CONFIRM_URL: it is about that request`);
  }
  if (CONFIRM_WORKERS && !namesProcess(raw)) {
    problems.push(
      `Cannot use ${said(facts, 'CONFIRM_WORKERS')}: no process is configured whose children it could look at; set APP_PROCESS, APP_CONTAINER or APP_PID_FILE`,
    );
  }
  problems.push(...enoughTime(facts));
  if (CONFIRM_PERIOD !== undefined && CONFIRM_TIMEOUT !== undefined && CONFIRM_TIMEOUT <= CONFIRM_PERIOD) {
    problems.push(
      `Cannot use ${named(facts, 'CONFIRM_TIMEOUT', CONFIRM_TIMEOUT)} with ${named(facts, 'CONFIRM_PERIOD', CONFIRM_PERIOD)}: CONFIRM_TIMEOUT must be longer, or nothing could ever be confirmed`,
    );
  }
  return problems;
}

/** A certificate goes with its key, and both with a URL that asks for TLS. */
function certificatesFit(facts: LoadedValues): readonly string[] {
  const { raw, values } = facts;
  const problems: string[] = [];
  if (raw.has('RELOAD_CERT') !== raw.has('RELOAD_KEY')) {
    const [there, absent] = raw.has('RELOAD_CERT')
      ? (['RELOAD_CERT', 'RELOAD_KEY'] as const)
      : (['RELOAD_KEY', 'RELOAD_CERT'] as const);
    problems.push(
      `Cannot use ${said(facts, there)} without ${absent}: a certificate and its key go together`,
    );
  }
  const first = (['RELOAD_CACERT', 'RELOAD_CERT'] as const).find((name) => raw.has(name));
  const urls = [values.RELOAD_URL, values.CONFIRM_URL];
  if (first !== undefined && !urls.some((url) => url?.startsWith('https:') === true)) {
    problems.push(
      `Cannot use ${said(facts, first)}: neither RELOAD_URL nor CONFIRM_URL is an https URL, for which it is meant`,
    );
  }
  return problems;
}

/** Credentials of a kind of source that is not in use are left alone: they may be there for other tools. */
function credentialsFit(facts: LoadedValues): readonly string[] {
  const { SOURCE, CONFIG_FILE } = facts.values;
  if (SOURCE === undefined || CONFIG_FILE !== undefined) return [];
  const shared = {
    has: (name: string) => isName(name) && facts.raw.has(name),
    said: (name: string) => (isName(name) ? said(facts, name) : name),
  };
  const mistakes = SOURCE.flatMap(({ url, own }) =>
    url.settingsMistakes(
      own.size === 0
        ? shared
        : { has: (name) => own.has(name), said: (name) => own.get(name)?.spelled ?? shared.said(name) },
    ),
  );
  return [...new Set(mistakes)];
}

/** An output that is read again as source or template would change itself for ever. */
function nothingFeedsItself(facts: LoadedValues): readonly string[] {
  const outputs = outputsOf(facts.values);
  const follows = facts.raw.has('CONFIG_FILE') ? ('CONFIG_FILE' as const) : ('SOURCE' as const);
  const sources = followedPaths(facts.values).map((path) => [said(facts, follows), path] as const);
  const templates = new Set(outputs.flatMap(({ template }) => template?.path ?? []));
  const inputs = [...sources, ...[...templates].map((path) => [saidTemplate(facts, path), path] as const)];
  return outputs.flatMap(({ place }) => [
    ...inputs
      .filter(([, path]) => path === place.path || (isDirectory(path) && isInside(place.path, path)))
      .map(
        ([input]) =>
          `Cannot use ${saidOutput(facts, place)} with ${input}: the output would be read again as input`,
      ),
    ...(facts.values.STATE_DIR === place.path
      ? [
          `Cannot use ${said(facts, 'STATE_DIR')} with ${saidOutput(facts, place)}: the state needs a directory of its own`,
        ]
      : []),
  ]);
}

function saidTemplate(facts: LoadedValues, path: string): string {
  return facts.values.TEMPLATE?.path === path ? said(facts, 'TEMPLATE') : `TEMPLATE "${path}"`;
}

/** The paths that are followed, of the sources that are paths. */
function followedPaths({ CONFIG_FILE, SOURCE = [] }: Partial<Values>): readonly string[] {
  if (CONFIG_FILE !== undefined) return [CONFIG_FILE];
  return SOURCE.flatMap(({ url }) => (url.path === null ? [] : [url.path]));
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

function isInside(path: string, directory: string): boolean {
  return path.startsWith(directory === sep ? sep : directory + sep);
}
