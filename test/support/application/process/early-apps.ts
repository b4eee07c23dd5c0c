// Applications in several languages, of the kinds that differ in their first second: built once, started again and again.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/** `shell`: a start script that becomes one of the others. */
export const LANGUAGES = ['c', 'go', 'node', 'python', 'shell', 'java'] as const;
export type Language = (typeof LANGUAGES)[number];

/** How to start one application. */
export interface Start {
  readonly language: Language;
  /** What it does in its first second, for the report. */
  readonly kind: string;
  /** `name` is what the kernel is to call it. */
  readonly argv: (name: string, config: string, record: string) => readonly string[];
}

/** The programs that are there, and the folder in which they get their names. */
export interface Programs {
  readonly folder: string;
  readonly paths: Readonly<Partial<Record<Language, string>>>;
  /** `NAME=value` pairs without which Python does not find its own files. */
  readonly pythonEnv: readonly string[];
}

const SOURCES = join(process.cwd(), 'test/support/fixtures/processes/early');

/** Gives its program and, where that runs from a cache, the environment in which it finds its own files. */
const PYTHON = `
import json, os, sys
own = ('LD_LIBRARY_PATH', 'PYTHONHOME', 'PYTHONPATH')
print(json.dumps([sys.executable, {key: os.environ[key] for key in own if key in os.environ}]))
`;

/** Builds what this machine can build; Node.js and the shell are always there. */
export function buildApps(folder: string): Programs {
  mkdirSync(folder, { recursive: true });
  const c = join(folder, 'app-c');
  const go = join(folder, 'app-go');
  const env = { ...process.env, CGO_ENABLED: '0', GO111MODULE: 'off' };
  const hasC = attempt('cc', ['-O1', '-o', c, join(SOURCES, 'app.c')]) !== null;
  const hasGo = attempt('go', ['build', '-o', go, join(SOURCES, 'app.go')], env) !== null;
  const hasJava = attempt('javac', ['-d', folder, join(SOURCES, 'App.java')]) !== null;
  const java = hasJava ? attempt('sh', ['-c', 'command -v java']) : null;
  const told = attempt('python3', ['-c', PYTHON]);
  const python: readonly [string, Readonly<Record<string, string>>] | null = told && JSON.parse(told);
  return {
    folder,
    paths: {
      node: process.execPath,
      shell: '/bin/sh',
      ...(hasC && { c }),
      ...(hasGo && { go }),
      ...(java !== null && { java: realpathSync(java.trim()) }),
      ...(python !== null && { python: python[0] }),
    },
    pythonEnv: Object.entries(python?.[1] ?? {}).map((pair) => pair.join('=')),
  };
}

function attempt(program: string, words: readonly string[], env = process.env): string | null {
  try {
    return execFileSync(program, words, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return null;
  }
}

/** A number from 0 up to, not including, 1. */
type Random = () => number;

/** The longest any of them takes until it has its handler. */
const LATEST_MS = 1500;

/** One start of an application in this language, of a kind drawn at random. */
export function drawStart(language: Language, programs: Programs, random: Random): Start {
  if (language === 'shell') return behindShell(programs, random);
  const waitMs = random() < 0.3 ? 0 : Math.floor(random() * LATEST_MS);
  const early = language === 'c' ? pick(['default', 'dies', 'ignored'], random) : '';
  const kind = `handler after ${waitMs} ms${early === '' ? '' : `, before that ${early}`}`;
  return {
    language,
    kind,
    argv: (name, ...paths) => [
      ...programOf(language, programs, name),
      ...paths,
      `${waitMs}`,
      ...(early === '' ? [] : [early]),
    ],
  };
}

/** `sh -c 'sleep; exec'`, once or twice, with or without a handler that comes late. */
function behindShell(programs: Programs, random: Random): Start {
  const inner = (['c', 'go', 'node', 'python'] as const).filter((each) => programs.paths[each] !== undefined);
  const start = drawStart(pick(inner, random), programs, random);
  const sleeps = Array.from({ length: random() < 0.3 ? 2 : 1 }, () =>
    (random() * (LATEST_MS / 1000)).toFixed(2),
  );
  const shells = sleeps.flatMap((seconds) => ['sh', '-c', 'sleep "$0"; exec "$@"', seconds]);
  return {
    language: 'shell',
    kind: `sleep ${sleeps.join(' s, again ')} s, then ${start.language}: ${start.kind}`,
    argv: (...words) => [...shells, ...start.argv(...words)],
  };
}

function programOf(
  language: Language,
  { folder, paths, pythonEnv }: Programs,
  name: string,
): readonly string[] {
  const path = join(folder, language, name);
  if (!existsSync(path)) {
    mkdirSync(join(folder, language), { recursive: true });
    symlinkSync(paths[language] ?? language, path);
  }
  if (language === 'node') return [path, join(SOURCES, 'app.mjs')];
  if (language === 'python') return ['env', ...pythonEnv, path, join(SOURCES, 'app.py')];
  return language === 'java' ? [path, '-XX:TieredStopAtLevel=1', '-cp', folder, 'App'] : [path];
}

function pick<T>(all: readonly T[], random: Random): T {
  const one = all[Math.floor(random() * all.length)];
  if (one === undefined) throw new Error('there is nothing to pick from');
  return one;
}
