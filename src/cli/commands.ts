// The one table of commands: help, completion, the man page and suggestions come from it.
import { SOURCE_NAMES } from '../settings/source.ts';

/** A flag that is not a setting. */
interface CommandFlag {
  /** Placeholder of its value, upper case; absent where the flag stands alone. */
  readonly value?: string;
  /** One line, no full stop. */
  readonly meaning: string;
}

/** One command, in words. */
export interface CommandRow {
  /** One line, no full stop: `read the source now`. */
  readonly summary: string;
  /** Further words it takes: `[GENERATION]`. */
  readonly words?: string;
  /** How many further words it takes; default none. */
  readonly maxWords?: number;
  /** What the first of them can be, for completion. */
  readonly choices?: readonly string[];
  /** Whole sentences, one paragraph each. */
  readonly about: readonly string[];
  readonly flags?: Readonly<Record<string, CommandFlag>>;
  /** Settings shown with it; every command takes all of them. */
  readonly settings: readonly string[];
  /** Exit codes besides 0, 1 and 2. */
  readonly exits: readonly ExitCode[];
  /** A command line that works. */
  readonly example: string;
}

/** What each exit code means. Codes are a contract. */
export const EXIT_MEANINGS = {
  0: 'done',
  1: 'unexpected error',
  2: 'settings or command line cannot be used',
  3: 'source not reachable',
  4: 'refused before publishing: data, template, schema or validation',
  5: 'publishing failed',
  6: 'reload or confirmation failed',
  7: 'there are differences (diff --exit-code)',
  8: 'not ready, or no sidecar found',
} as const;

type ExitCode = keyof typeof EXIT_MEANINGS;

const FOLLOWING = ['SOURCE', 'CONFIG_FILE', 'OUTPUT', 'TEMPLATE', 'PRESET', 'APP_PROCESS', 'SETTINGS_FILE'];
const FINDING = ['OUTPUT', 'STATE_DIR', 'SETTINGS_FILE'];
const JSON_FLAG: CommandFlag = { meaning: 'print JSON' };
const TARGET: CommandFlag = { value: 'NAME', meaning: 'speak of this target only' };
const ONE_TARGET: CommandFlag = { value: 'NAME', meaning: 'the target, where there are several' };
const NO_WAIT: CommandFlag = { meaning: 'do not wait for the outcome' };
const FINDS =
  'It finds the sidecar by its control socket: give it the same OUTPUT and STATE_DIR, or run it in the same container.';
const WAITS = 'It waits up to a minute for the outcome and prints it.';

const COMMANDS = {
  run: {
    summary: 'follow the source until SIGTERM (the default)',
    about: [
      'Follows the source, publishes each change, reloads the application, checks that the change works, and rolls back when it does not.',
      'SIGHUP reads the settings file and the source again. SIGTERM ends it within a second; what it left undone is done at the next start.',
    ],
    settings: FOLLOWING,
    exits: [],
    example:
      'config-sidecar run --source https://config.example/web.json --output /config/nginx.conf --preset nginx',
  },
  once: {
    summary: 'publish once, then exit',
    about: [
      'Reads the source until it answers or ONCE_TIMEOUT passes, publishes, reloads the application if it is there, and exits. Use it as an init container or in a job.',
      'When the source does not answer in time, the last known good configuration is published, if there is one. An application that has not started yet is not an error.',
    ],
    flags: { target: TARGET },
    settings: [...FOLLOWING, 'ONCE_TIMEOUT'],
    exits: [3, 4, 5, 6],
    example: 'config-sidecar once --source ./app.yaml --output /tmp/app.json',
  },
  check: {
    summary: 'verify the setup without changing anything',
    about: [
      'Tries everything that run needs: settings, source, template, volume, process, permissions, hook. Prints what would fail, why, and how to fix it. Start here when a change does not arrive.',
      'It publishes nothing and does not reload the application.',
    ],
    flags: { json: JSON_FLAG, target: TARGET },
    settings: FOLLOWING,
    exits: [3, 4, 5, 6],
    example: 'config-sidecar check --source ./app.yaml --output /tmp/app.json',
  },
  diff: {
    summary: 'show what the next publication would change',
    words: '[GENERATION [GENERATION]]',
    maxWords: 2,
    about: [
      'Reads and renders once, and prints a unified diff against what is published. It writes nothing.',
      'With the number of a kept generation it compares that one with what is published; with two, the first with the second.',
    ],
    flags: { 'exit-code': { meaning: 'exit with 7 when there are differences' }, target: TARGET },
    settings: FOLLOWING,
    exits: [3, 4, 5, 7],
    example: 'config-sidecar diff --source ./app.yaml --output /tmp/app.json --exit-code',
  },
  status: {
    summary: 'show what the running sidecar does, and why',
    about: [
      'Prints what the sidecar wants, what runs, and what to do when they differ.',
      'It asks the control socket, else the address in LISTEN. The exit code is a health check: 8 means not ready.',
    ],
    flags: { json: JSON_FLAG, target: TARGET },
    settings: [...FINDING, 'LISTEN'],
    exits: [8],
    example: 'config-sidecar status',
  },
  history: {
    summary: 'list generations, blocked changes and recent attempts',
    words: '[show GENERATION]',
    maxWords: 2,
    choices: ['show'],
    about: [
      'Prints the generations that rollback can publish again, what is blocked because it did not work, and the outcomes of the latest changes.',
      'With "show" and a number it prints the files of that generation.',
      'It asks the control socket, else the address in LISTEN.',
    ],
    flags: { json: JSON_FLAG, target: TARGET },
    settings: [...FINDING, 'LISTEN'],
    exits: [8],
    example: 'config-sidecar history show 12 --output /config/nginx.conf',
  },
  sync: {
    summary: 'read the source now',
    about: ['Makes the running sidecar read the source and look at the volume now.', WAITS, FINDS],
    flags: {
      retry: { meaning: 'try again what was rejected or blocked' },
      'no-wait': NO_WAIT,
      target: TARGET,
    },
    settings: FINDING,
    exits: [3, 4, 5, 6, 8],
    example: 'config-sidecar sync --retry --output /config/nginx.conf',
  },
  rollback: {
    summary: 'roll back to an earlier generation and stay there',
    words: '[GENERATION]',
    maxWords: 1,
    about: [
      'Makes the running sidecar publish an earlier generation and stay there (pinned) until "config-sidecar resume". Without a number it takes the newest confirmed generation that is not on the volume; "config-sidecar history" lists them.',
      WAITS,
      FINDS,
    ],
    flags: {
      reason: { value: 'TEXT', meaning: 'why, for status, history and log' },
      'no-wait': NO_WAIT,
      target: ONE_TARGET,
    },
    settings: FINDING,
    exits: [5, 6, 8],
    example: 'config-sidecar rollback 12 --reason "502s since noon" --output /config/nginx.conf',
  },
  resume: {
    summary: 'follow the source again after a rollback',
    about: ['Ends a rollback: the newest configuration of the source is applied again.', WAITS, FINDS],
    flags: { 'no-wait': NO_WAIT, target: ONE_TARGET },
    settings: FINDING,
    exits: [3, 4, 5, 6, 8],
    example: 'config-sidecar resume --output /config/nginx.conf',
  },
  settings: {
    summary: 'print every effective setting and where it came from',
    about: [
      'Prints name, value and origin of every setting. Secrets are masked. Mistakes are reported all at once.',
    ],
    flags: { schema: { meaning: 'print the JSON Schema of the settings file' }, target: TARGET },
    settings: ['SETTINGS_FILE'],
    exits: [],
    example: 'config-sidecar settings --settings-file ./settings.yaml',
  },
  completion: {
    summary: 'print the completion script of bash, zsh or fish',
    words: 'bash|zsh|fish',
    maxWords: 1,
    choices: ['bash', 'zsh', 'fish'],
    about: [
      'bash: source <(config-sidecar completion bash)',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of zsh
      'zsh: config-sidecar completion zsh > "${fpath[1]}/_config-sidecar"',
      'fish: config-sidecar completion fish > ~/.config/fish/completions/config-sidecar.fish',
    ],
    settings: [],
    exits: [],
    example: 'config-sidecar completion bash',
  },
  help: {
    summary: 'explain a command, or "settings", or "presets"',
    words: '[COMMAND|settings|presets]',
    maxWords: 1,
    about: ['Prints the commands, one command, the settings, or the known applications.'],
    settings: [],
    exits: [],
    example: 'config-sidecar help settings',
  },
} as const satisfies Readonly<Record<string, CommandRow>>;

export type CommandName = keyof typeof COMMANDS;

export const COMMAND_NAMES = Object.keys(COMMANDS) as readonly CommandName[];

export function isCommand(name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name);
}

/** The row of a command, as one type for all of them. */
export function commandOf(name: CommandName): CommandRow {
  return COMMANDS[name];
}

/** Flags of every command. */
export const COMMON_FLAGS = {
  help: { short: 'h', meaning: 'explain the program, or the command' },
  version: { short: 'v', meaning: 'print the version' },
} as const;

/** One sentence on the program. */
export const PURPOSE = `Follows an application's configuration in ${SOURCE_NAMES}, publishes it atomically, reloads the application, and rolls back what does not work.`;
