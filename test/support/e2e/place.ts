// A directory, a name and processes that belong to one test and are gone when it ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'vitest';
import { type App, type AppOptions, startApp } from './app.ts';
import {
  type Finished,
  runToEnd,
  type Sidecar,
  type Start,
  startSidecar,
  type Variables,
} from './sidecar.ts';

/** One test's directory, ports and processes; all of them are gone when it ends. */
export interface Place {
  readonly root: string;
  /** A process name that no other test uses. */
  readonly name: string;
  /** Absolute path below the directory. */
  readonly at: (path: string) => string;
  /** Writes a file in one step and gives its path. */
  readonly write: (path: string, text: string) => string;
  readonly read: (path: string) => string;
  readonly directory: (path: string) => string;
  readonly start: (variables: Variables, start?: Start) => Promise<Sidecar>;
  /** Runs a command of the program to its end. */
  readonly run: (words: readonly string[], variables?: Variables) => Promise<Finished>;
  readonly app: (options: AppOptions) => Promise<App>;
  /** Starts any other program. */
  readonly spawn: (program: string, words: readonly string[], argv0?: string) => ChildProcess;
}

// Real processes on a machine that is busy: the whole of a test takes what it takes, each wait has its own bound.

let places = 0;

/** Makes a place for a test. */
export function createPlace({
  onTestFinished,
  onTestFailed,
}: Pick<TestContext, 'onTestFinished' | 'onTestFailed'>): Place {
  const root = mkdtempSync(join(tmpdir(), 'config-sidecar-e2e-'));
  const name = `app${process.pid}x${places++}`;
  const sidecars: Sidecar[] = [];
  onTestFailed(() => {
    for (const sidecar of sidecars) console.error(sidecar.output().slice(-6_000));
  });
  onTestFinished(() => {
    for (const pid of processesOf(root)) killQuietly(pid);
    rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  });
  const at = (path: string): string => join(root, path);
  const base = { PATH: process.env['PATH'] ?? '', TEST_PLACE: root };
  const place: Place = {
    root,
    name,
    at,
    write: (path, text) => {
      mkdirSync(dirname(at(path)), { recursive: true });
      writeFileSync(at(path), text);
      return at(path);
    },
    read: (path) => readFileSync(at(path), 'utf8'),
    directory: (path) => {
      mkdirSync(at(path), { recursive: true });
      return at(path);
    },
    start: async (variables, start = {}) => {
      const sidecar = await startSidecar({ ...base, HOSTNAME: `${name}-sidecar`, ...variables }, root, start);
      sidecars.push(sidecar);
      return sidecar;
    },
    run: (words, variables = {}) =>
      runToEnd(words, { ...base, HOSTNAME: `${name}-sidecar`, ...variables }, root),
    app: (options) => startApp(place, options),
    spawn: (program, words, argv0) =>
      spawn(program, words, { cwd: root, env: base, stdio: 'ignore', ...(argv0 !== undefined && { argv0 }) }),
  };
  return place;
}

/** Every process that has the place in its environment, what our processes started included. */
function processesOf(root: string): readonly number[] {
  const numbers = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  return numbers.map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`TEST_PLACE=${root}\0`);
    } catch {
      return false;
    }
  });
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

/** Whether a process has this number; a zombie counts as gone. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
