// The one table of settings. Environment, flags, keys of the settings file, help, reference and validation come from it.
import { answerMatch } from './answer-match.ts';
import { FORMAT_ALIASES, FORMATS, SOURCE_FORMATS } from './formats.ts';
import { boolean, choice, count, type Kind, keyPaths, text, token, variableNames, word } from './kind.ts';
import { fileModes } from './modes.ts';
import { outputs } from './output-list.ts';
import { output, path, readableFile, readablePlace } from './paths.ts';
import { command, presetName, processMatch, reloadSignal } from './process.ts';
import { kindOfValue, SOURCE_FORMS } from './source.ts';
import { sources } from './source-list.ts';
import { SOURCE_KINDS, type SourceSettingName } from './sources.ts';
import { defaultMaxSize, duration, mode, owner, size } from './units.ts';
import { headers, httpUrl, listen, statuses } from './web.ts';

export const SECTIONS = [
  'Source',
  'Credentials and TLS of the source',
  'Output',
  'Timing',
  'Checks before publishing',
  'Reload',
  'Confirm and roll back',
  'Serving',
] as const;

export type Section = (typeof SECTIONS)[number];

/** What a verdict on a configuration depends on: how it is reloaded, and how that is confirmed. */
export const VERDICT_SECTIONS: readonly Section[] = ['Reload', 'Confirm and roll back'];

/**
 * What of a value must never be shown: all of it, the part before `@` in a URL, or what follows the colon in
 * `user:password`. A setting with a secret can also be given as `X_FILE`.
 */
export type Secret = 'whole' | 'url' | 'user';

export interface Row<T, Absent = never> {
  readonly kind: Kind<T>;
  readonly section: Section;
  /** One line, Markdown. */
  readonly meaning: string;
  /** The default's text, parsed like any other; undefined without one. */
  readonly fallback: string | undefined;
  /** What the reference shows as default where no fixed text can say it. Markdown. */
  readonly fallbackShown: string | undefined;
  readonly secret: Secret | undefined;
  /** Carries the type of an absent value; never set. */
  readonly absent?: Absent;
}

interface Extras {
  readonly secret?: Secret;
  readonly fallbackShown?: string;
}

/** A setting that has no value unless it is given. */
type Define = <T>(kind: Kind<T>, meaning: string, extras?: Extras) => Row<T, undefined>;

/** Makes the two ways to define a setting of a section. */
function inSection(section: Section) {
  const optional: Define = (kind, meaning, { secret, fallbackShown } = {}) => {
    return { kind, section, meaning, fallback: undefined, fallbackShown, secret };
  };
  const defaulted = <T>(kind: Kind<T>, fallback: string, meaning: string, shown?: string): Row<T> => {
    return { kind, section, meaning, fallback, fallbackShown: shown, secret: undefined };
  };
  return { optional, defaulted };
}

const from = inSection('Source');
const credentials = inSection('Credentials and TLS of the source');
const to = inSection('Output');
const timing = inSection('Timing');
const checks = inSection('Checks before publishing');
const who = inSection('Reload');
const back = inSection('Confirm and roll back');
const serving = inSection('Serving');

const positive = duration({ atLeastMs: 1 });
const mayBeZero = duration({ atLeastMs: 0 });

/** The settings of every kind of source. */
function sourceRows(): { readonly [N in SourceSettingName]: Row<unknown, undefined> } {
  const rows = SOURCE_KINDS.flatMap(({ settings }) =>
    Object.entries(settings).map(([name, { kind, meaning, secret }]) => [
      name,
      credentials.optional(kindOfValue(kind), meaning, { ...(secret !== undefined && { secret }) }),
    ]),
  );
  return Object.fromEntries(rows);
}

/** Every setting by its name. Names, units, defaults and meanings are a stable contract. */
const TABLE = {
  SOURCE: from.optional(
    sources,
    `where the configuration comes from: ${SOURCE_FORMS}; a trailing slash means every key below. Several are merged, the later one wins; \`NAME=URL\` puts one below the key \`NAME\``,
    { secret: 'url' },
  ),
  CONFIG_FILE: from.optional(
    path,
    'local development: follow this file instead of `SOURCE`, with everything else unchanged',
  ),
  UPDATE_FREQUENCY: from.defaulted(
    duration({ atLeastMs: 100 }),
    '60s',
    'a polled source is read this often; a watched one is read whole and compared this often (at most every 10 s)',
  ),
  FETCH_TIMEOUT: from.defaulted(positive, '10s', 'bound of one read'),
  STALE_AFTER: from.defaulted(
    positive,
    '10m',
    'no contact with the source for this long turns *fresh* off; must exceed `UPDATE_FREQUENCY`',
    'the longer of `10m` and three times `UPDATE_FREQUENCY`',
  ),
  MAX_SIZE: {
    ...from.defaulted(size, defaultMaxSize(), 'bound of one snapshot, after decompression'),
    fallbackShown: '`16MiB`, or 1/64 of the memory limit of the container when that is less',
  },
  ALLOW_EMPTY: from.defaulted(boolean, 'false', 'accept a source that answers that there is nothing'),
  REQUIRED_KEYS: from.optional(
    keyPaths,
    'paths (`db/host`) that must be present, or the snapshot is refused; separated by white space',
  ),
  KEYS_AS: from.defaulted(
    choice(['string', 'json']),
    'string',
    'leaf values of a key tree: as they are, or parsed where they are valid JSON',
  ),
  SOURCE_FORMAT: from.optional(
    choice(SOURCE_FORMATS, FORMAT_ALIASES),
    'what a document is when neither its name nor its content type says it; `text` is one text, `bytes` are not looked into',
  ),

  ...sourceRows(),

  OUTPUT: to.optional(output, 'a file; or, with a trailing slash, a directory', {
    fallbackShown: 'required',
  }),
  OUTPUTS: to.optional(
    outputs,
    'several outputs that are one release, in this order: a list of maps with `output`, and `template`, `format`, `output_mode`, `output_owner`, `modes`, `validate_command` of its own; in place of `OUTPUT`',
  ),
  TEMPLATE: to.optional(
    readablePlace,
    'a template file; or a directory of them for a directory output (`nginx.conf.liquid` makes `nginx.conf`)',
  ),
  TEMPLATE_ENV: to.optional(
    variableNames,
    'names of environment variables a template may read; separated by white space',
  ),
  FORMAT: to.optional(choice(FORMATS, FORMAT_ALIASES), 'how data is written without a template', {
    fallbackShown: 'from the extension of `OUTPUT`',
  }),
  OUTPUT_MODE: to.defaulted(mode, '0644', 'permission bits of every file, exact: umask plays no part'),
  MODES: to.optional(
    fileModes,
    'permission bits of files in a directory output by glob, such as `*.key=0640`; the last that matches counts; a glob without a slash is about the name in any folder',
  ),
  OUTPUT_OWNER: to.optional(owner, 'owner of every file, numeric; not permitted is an error'),
  STATE_DIR: to.optional(
    path,
    "ledger, kept generations, control socket; one sidecar at a time. A volume of its own keeps the last known good out of the application's reach and over new pods",
    {
      fallbackShown: 'file output: `.config-sidecar` beside it; directory output: `..config-sidecar` in it',
    },
  ),
  KEEP_GENERATIONS: to.defaulted(
    count({ atLeast: 1, atMost: 1000 }),
    '5',
    'how many confirmed generations are kept for a roll-back; the last known good and a pinned one are always kept',
  ),

  DEBOUNCE: timing.defaulted(mayBeZero, '50ms', 'quiet time before a change is applied'),
  DEBOUNCE_MAX: timing.defaulted(mayBeZero, '1s', 'the longest a stream of changes can put that off'),
  RELOAD_MIN_INTERVAL: timing.defaulted(
    mayBeZero,
    '1s',
    'least time from the start of one publication to the next; the last change always arrives',
  ),
  SPLAY: timing.defaulted(
    mayBeZero,
    '0',
    'a change is put off by a share of this that is fixed per instance, so that replicas do not reload together',
  ),

  SCHEMA: checks.optional(
    readableFile,
    'JSON Schema file for the data, before rendering: draft-07, 2019-09 or 2020-12; patterns are RE2',
  ),
  VALIDATE_COMMAND: checks.optional(
    command,
    "run on a private copy, `{path}` replaced, as the sidecar's own user; anything but exit code 0 refuses",
  ),
  VALIDATE_TIMEOUT: checks.defaulted(positive, '30s', 'then the whole process group is killed'),

  PRESET: who.optional(
    presetName,
    'a known application: how it is found, reloaded, checked and confirmed; any setting that is given beats it',
  ),
  APP_PROCESS: who.optional(
    processMatch,
    'the application: a process name (`nginx`), or `/regex/` on the command line',
  ),
  APP_CONTAINER: who.optional(word, 'the application: only processes of this Kubernetes container'),
  APP_PID_FILE: who.optional(path, 'the application: the process whose number is in this file'),
  RELOAD_SIGNAL: who.optional(
    reloadSignal,
    'the signal sent; `SIGTERM` asks for a restart by the supervisor; `none`: the application watches its files itself',
    { fallbackShown: '`SIGHUP` when a process is named and no other hook is' },
  ),
  RELOAD_URL: who.optional(httpUrl, 'HTTP hook', { secret: 'url' }),
  RELOAD_METHOD: who.defaulted(
    choice(['POST', 'PUT', 'PATCH', 'GET', 'DELETE']),
    'POST',
    "the HTTP hook's method",
  ),
  RELOAD_HEADERS: who.optional(headers, "the HTTP hook's headers, one per line, `Name: value`", {
    secret: 'whole',
  }),
  RELOAD_CACERT: who.optional(
    path,
    'certificate authorities `RELOAD_URL` and `CONFIRM_URL` are checked against (PEM)',
  ),
  RELOAD_CERT: who.optional(path, 'client certificate for `RELOAD_URL` and `CONFIRM_URL` (PEM)'),
  RELOAD_KEY: who.optional(path, 'private key of `RELOAD_CERT` (PEM)'),
  RELOAD_BODY: who.optional(text, "the HTTP hook's body"),
  RELOAD_STATUS: who.defaulted(statuses, '2xx', 'statuses that mean yes: `2xx`, `200`, `200-204`'),
  RELOAD_COMMAND: who.optional(
    command,
    'command hook; sees `CONFIG_OUTPUT`, `CONFIG_OUTPUTS` (a line for each), `CONFIG_REVISION`, `CONFIG_PREVIOUS_REVISION`',
  ),
  RELOAD_TIMEOUT: who.defaulted(positive, '30s', 'bound of one try'),
  RELOAD_WAIT: who.defaulted(
    mayBeZero,
    '60s',
    'how long to wait for a process that is not there, or has no handler yet, before saying so loudly',
  ),
  RELOAD_GATE: who.defaulted(
    choice(['handler', 'off']),
    'handler',
    '`off` signals a process that shows no handler (one that waits with `sigwait`)',
  ),

  CONFIRM_PERIOD: back.defaulted(
    mayBeZero,
    '3s',
    'the reloaded process must survive this long (`0`: off); a process that was replaced meanwhile has died',
  ),
  CONFIRM_URL: back.optional(httpUrl, 'must answer 2xx `CONFIRM_SUCCESSES` times in a row', {
    secret: 'url',
  }),
  CONFIRM_HEADERS: back.optional(headers, 'headers sent to `CONFIRM_URL`, one per line, `Name: value`', {
    secret: 'whole',
  }),
  CONFIRM_SUCCESSES: back.defaulted(
    count({ atLeast: 1, atMost: 100 }),
    '2',
    'how often in a row `CONFIRM_URL` must answer as wanted',
  ),
  CONFIRM_MATCH: back.optional(
    answerMatch,
    'regular expression (RE2: no look-ahead, no look-behind, no reference back to a group) the answer of `CONFIRM_URL` must match; `{revision}` and `{digest}` of the data are filled in; a group named `time` holds Unix seconds that must not be before the reload',
  ),
  CONFIRM_WORKERS: back.defaulted(
    boolean,
    'false',
    'the process must have new children after the reload (for servers whose master keeps running when a reload fails)',
  ),
  CONFIRM_TIMEOUT: back.defaulted(positive, '30s', 'then the confirmation has failed'),
  ROLLBACK: back.defaulted(
    boolean,
    'true',
    'on a refused, deadly or unconfirmed reload: publish the last known good again and reload the application',
  ),

  LISTEN: serving.defaulted(listen, ':9533', 'address of the endpoints; `off` for none'),
  CONTROL_TOKEN: serving.optional(
    token,
    'bearer token that `POST /sync`, `/rollback` and `/resume` ask for; without one they answer on the Unix socket in `STATE_DIR` only',
    { secret: 'whole' },
  ),
  LOG_LEVEL: serving.defaulted(
    choice(['debug', 'info', 'warn', 'error'], { warning: 'warn', trace: 'debug', fatal: 'error' }),
    'info',
    'what is worth a line',
  ),
  LOG_FORMAT: serving.optional(choice(['json', 'pretty']), 'one line per event', {
    fallbackShown: '`json` (`pretty` on a terminal)',
  }),
  LOG_COMMAND_OUTPUT: serving.defaulted(
    boolean,
    'true',
    'log what commands and hooks print; `false` where that may hold secrets of the configuration',
  ),
  KUBERNETES_EVENTS: serving.defaulted(
    boolean,
    'false',
    'in a pod: an Event for each outcome that needs a person, and the condition `ConfigConfirmed`',
  ),
  ONCE_TIMEOUT: serving.defaulted(positive, '60s', 'bound of `once`'),
  SETTINGS_FILE: serving.optional(
    path,
    'YAML or JSON: these settings in lower case, at the top; or under `defaults:`, and one map of settings per name under `targets:`, where an entry beats everything',
  ),
} as const;

/** The name of a setting, which is also that of its environment variable. */
export type Name = keyof typeof TABLE;

export const NAMES = Object.keys(TABLE) as readonly Name[];

type ValueOf<R> = R extends Row<infer T, infer Absent> ? T | Absent : never;

/** Every value by the setting's name: durations in milliseconds, sizes in bytes, what is not set undefined. */
export type Values = { readonly [N in Name]: ValueOf<(typeof TABLE)[N]> };

/** The row of a setting, as one type for all of them. */
export function rowOf(name: Name): Row<unknown, unknown> {
  return TABLE[name] as Row<unknown, unknown>;
}

export function isName(name: string): name is Name {
  return Object.hasOwn(TABLE, name);
}

/** Whether it is one for all targets. */
export function isOfTheProcess(name: Name): boolean {
  return rowOf(name).section === 'Serving';
}

/** `RELOAD_SIGNAL` as a flag: `--reload-signal`. */
export function flagOf(name: string): string {
  return `--${name.toLowerCase().replaceAll('_', '-')}`;
}

/** One way to give a setting: by its name, or as `X_FILE`, the path of a file that holds the secret X. */
export interface Spelling {
  readonly name: Name;
  readonly secretFile: boolean;
}

/** Every way to give a setting, by what is written: `HTTP_TOKEN`, `HTTP_TOKEN_FILE`. */
export const SPELLINGS: ReadonlyMap<string, Spelling> = new Map(
  NAMES.flatMap((name): ReadonlyArray<readonly [string, Spelling]> => {
    const plain = [name, { name, secretFile: false }] as const;
    return rowOf(name).secret === undefined ? [plain] : [plain, [`${name}_FILE`, { name, secretFile: true }]];
  }),
);
