// What a command line says of the process itself: its program, the script its interpreter runs, and what is only an argument.
import { basename } from 'node:path';

/** What program a process runs, by what every user may read of it. */
export interface Program {
  /** Its own names, without folders: the kernel's, the executable's, the script's. */
  readonly names: readonly string[];
  /** Executable and script as they were given, which may be paths. */
  readonly paths: readonly string[];
  /** The words after those, joined by blanks: its arguments. */
  readonly rest: string;
  /** The name of the script or module an interpreter runs; null when it runs none (`-c`), or is no interpreter. */
  readonly script: string | null;
  readonly isShell: boolean;
}

/** How an interpreter gets what to run. */
interface Interpreter {
  /** Options followed by a value that is no script. */
  readonly values?: readonly string[];
  /** Options that hold the program's text: then there is no script. */
  readonly code?: RegExp;
  /** Options followed by the script or module. */
  readonly script?: readonly string[];
  /** Words before the script. */
  readonly verbs?: readonly string[];
}

const SHELL: Interpreter = { values: ['-o', '+o', '-O', '+O', '--rcfile', '--init-file'], code: /^-[a-z]*c/ };

const SHELLS = ['sh', 'dash', 'bash', 'ash', 'zsh', 'ksh', 'mksh', 'fish'] as const;

const JAVA: Interpreter = {
  values: [
    ...['-cp', '-classpath', '--class-path', '-p', '--module-path', '--add-modules'],
    ...['--add-opens', '--add-exports', '--add-reads', '--limit-modules', '--upgrade-module-path'],
  ],
  script: ['-jar', '-m', '--module'],
};

const NODE: Interpreter = {
  values: [
    ...['-r', '--require', '--import', '--loader', '--experimental-loader', '-C', '--conditions'],
    ...['--watch-path', '--title', '--input-type', '--stack-trace-limit', '--max-old-space-size'],
  ],
  code: /^(-e|-p|-pe|--eval|--print)$/,
};

/** By name without its version: `python3.11` is `python`. */
const INTERPRETERS: ReadonlyMap<string, Interpreter> = new Map<string, Interpreter>([
  ...SHELLS.map((name) => [name, SHELL] as const),
  ...['python', 'pypy'].map((name) => [name, { values: ['-W', '-X'], code: /^-c/, script: ['-m'] }] as const),
  ...['node', 'nodejs'].map((name) => [name, NODE] as const),
  ['perl', { values: ['-I'], code: /^-[a-zA-Z]*[eE]/ }],
  ['ruby', { values: ['-r', '-I', '-C', '-E'], code: /^-e/ }],
  ['php', { values: ['-c', '-d', '-z', '-t'], code: /^-[rRBES]$/, script: ['-f'] }],
  ['java', JAVA],
  ['lua', { values: ['-l'], code: /^-e/ }],
  ['deno', { verbs: ['run'] }],
  ['bun', { verbs: ['run'] }],
  ['dotnet', { verbs: ['exec'] }],
  ...['tclsh', 'wish', 'Rscript', 'guile', 'mono', 'tsx', 'ts-node'].map((name) => [name, {}] as const),
]);

/** `comm` is the kernel's name, `words` the command line's. */
export function programOf(comm: string, words: readonly string[]): Program {
  const [first = '', ...others] = words;
  // Busybox is whatever its next word says.
  const isBox = programName(first) === 'busybox' && others.length > 0;
  const [executable = '', ...args] = isBox ? others : words;
  const name = programName(executable).replace(/^-/, '');
  const kind = name.replace(/[\d.]+$/, '');
  const interpreter = INTERPRETERS.get(kind);
  const at = interpreter === undefined ? null : scriptIndex(args, interpreter);
  const script = at === null ? undefined : args[at];
  return {
    names: [comm, name, ...(script === undefined ? [] : [basename(script)])].filter((one) => one !== ''),
    paths: [...new Set([first, executable, ...(script === undefined ? [] : [script])])],
    rest: args.slice(at === null ? 0 : at + 1).join(' '),
    script: script === undefined ? null : basename(script),
    isShell: (SHELLS as readonly string[]).includes(kind) || (programName(first) === 'busybox' && !isBox),
  };
}

function scriptIndex(args: readonly string[], how: Interpreter): number | null {
  let at = 0;
  while (at < args.length) {
    const word = args[at] ?? '';
    if (how.script?.includes(word)) return at + 1 < args.length ? at + 1 : null;
    if (how.code?.test(word)) return null;
    if (word === '--') return at + 1 < args.length ? at + 1 : null;
    const isOption = /^[-+]./.test(word);
    if (!isOption && !how.verbs?.includes(word)) return at;
    at += how.values?.includes(word) ? 2 : 1;
  }
  return null;
}

/** Name of the program in the first word of a command line; of a rewritten one (`nginx: master process`) `nginx`. */
export function programName(word: string): string {
  return basename(/^([^\s:]+): /.exec(word)?.[1] ?? word);
}

/** Whether two processes run the same program: a master and the workers it forked. */
export function isSameProgram(one: Program, other: Program): boolean {
  if (one.script !== null || other.script !== null) return one.script === other.script;
  return one.names.some((name) => other.names.includes(name));
}
