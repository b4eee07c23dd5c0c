// Runs the built program as its users do, beside an application that writes down what it is told, in a place of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'vitest';
import { freePorts } from '../servers/ports.ts';

const PROJECT = new URL('../..', import.meta.url).pathname;

/** Where the program was built. */
export const DIST = resolve(PROJECT, process.env['CONFIG_SIDECAR_DIST'] ?? 'dist');
const MAIN = join(DIST, 'main.js');
const RECORDER = join(PROJECT, 'test/fixtures/processes/recorder.mjs');

/** Two noisy cores: what has not come by then will not come. */
const PATIENCE_MS = 25_000;

export type Variables = Readonly<Record<string, string>>;

export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly time: string;
  readonly [field: string]: unknown;
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** The parts of /status that tests look at. */
export interface StatusSeen {
  readonly ready: boolean;
  readonly fresh: boolean;
  readonly targets: Readonly<Record<string, TargetSeen>>;
}

interface VersionSeen {
  readonly revision: string;
  readonly digest: string;
  readonly rendering: string | null;
  readonly at: string;
}

export interface TargetSeen {
  readonly outcome: string | null;
  readonly code: string | null;
  readonly message: string;
  readonly desired: VersionSeen | null;
  readonly running: (VersionSeen & { readonly evidence: string }) | null;
  readonly lastKnownGood: null;
  readonly reloadOwed: boolean;
  readonly nextAttemptAt: string | null;
  readonly sources: readonly {
    readonly url: string;
    readonly up: boolean;
    readonly lastContactAt: string | null;
    readonly error: { readonly code: string; readonly message: string } | null;
  }[];
  readonly history: readonly {
    readonly outcome: string;
    readonly code: string | null;
    readonly message: string;
  }[];
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export interface Sidecar {
  readonly pid: number;
  readonly port: number;
  /** Whether the process is still there. */
  readonly isRunning: () => boolean;
  /** Everything it has printed. */
  readonly output: () => string;
  readonly logs: (event?: string) => readonly LogLine[];
  readonly get: (path: string) => Promise<Answer>;
  readonly status: () => Promise<StatusSeen>;
  /** The state of its one target. */
  readonly target: () => Promise<TargetSeen>;
  /** Waits for an outcome; gives the target as it was then. */
  readonly outcome: (outcome: string) => Promise<TargetSeen>;
  /** The values of a metric by its labels as they are printed (`{target="default"}`; the empty text without any). */
  readonly metric: (name: string) => Promise<Readonly<Record<string, number>>>;
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Sends the signal (SIGTERM) and gives the exit code and how long it took. */
  readonly end: (signal?: NodeJS.Signals) => Promise<{ readonly code: number | null; readonly ms: number }>;
}

export interface Recorded {
  readonly event: string;
  readonly pid: number;
  readonly at: number;
  readonly content: unknown;
}

export interface App {
  readonly pid: number;
  readonly isRunning: () => boolean;
  readonly records: () => readonly Recorded[];
  /** What it read at each signal. */
  readonly told: (signal?: string) => readonly unknown[];
  readonly kill: () => Promise<void>;
}

export interface AppOptions {
  /** The configuration it reads. */
  readonly config: string;
  /** Name of the program; default: the place's own `name`. */
  readonly name?: string;
  /** It has no handlers before this. */
  readonly lateMs?: number;
  readonly pidFile?: string;
  /** false: give it back before it listens. */
  readonly waits?: boolean;
}

export interface Start {
  /** The program that runs it; default: this test's own Node. */
  readonly node?: string;
  readonly words?: readonly string[];
  /** Further words for Node itself. */
  readonly nodeWords?: readonly string[];
}

/** One test's directory, ports and processes; all of them are gone when it ends. */
export interface Place {
  readonly root: string;
  /** A process name that nobody else has. */
  readonly name: string;
  /** Absolute path below the directory. */
  readonly at: (path: string) => string;
  /** Writes a file in one step and gives its path. */
  readonly write: (path: string, text: string) => string;
  readonly read: (path: string) => string;
  readonly directory: (path: string) => string;
  readonly start: (variables: Variables, start?: Start) => Promise<Sidecar>;
  /** Runs a command of the program to its end. */
  readonly run: (words: readonly string[], variables?: Variables, start?: Start) => Promise<Finished>;
  readonly app: (options: AppOptions) => Promise<App>;
  /** Starts any other program. */
  readonly spawn: (program: string, words: readonly string[], argv0?: string) => ChildProcess;
}

type Nothing = false | null | undefined | 0 | '';

/** Waits until the condition gives something; says what did not come to pass otherwise. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<Exclude<T, Nothing>> {
  const deadline = Date.now() + patienceMs;
  let reason = '';
  while (Date.now() < deadline) {
    try {
      const value = await condition();
      if (value) return value as Exclude<T, Nothing>;
    } catch (thrown) {
      reason = thrown instanceof Error ? `: ${thrown.message}` : '';
    }
    await sleep(20);
  }
  throw new Error(`Waited ${patienceMs / 1000} s in vain until ${what}${reason}`);
}

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
    run: (words, variables = {}, { node = process.execPath } = {}) =>
      finish(
        spawn(node, [MAIN, ...words], {
          cwd: root,
          env: { ...base, ...variables },
          stdio: ['ignore', 'pipe', 'pipe'],
        }),
      ),
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

/** Whether somebody has this number; a zombie counts as gone. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

function finish(child: ChildProcess): Promise<Finished> {
  const startedAt = Date.now();
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => done({ code, stdout, stderr, ms: Date.now() - startedAt }));
  });
}

async function startSidecar(variables: Variables, cwd: string, start: Start): Promise<Sidecar> {
  const [port = 0] = await freePorts(1);
  const { node = process.execPath, nodeWords = [], words = [] } = start;
  const env = { LISTEN: `127.0.0.1:${port}`, ...variables };
  const child = spawn(node, [...nodeWords, MAIN, ...words], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  const ask = (path: string): Promise<Answer> => httpGet(port, path);
  const status = async (): Promise<StatusSeen> => JSON.parse((await ask('/status')).body);
  const target = async (): Promise<TargetSeen> => {
    const found = (await status()).targets['default'];
    if (found === undefined) throw new Error('there is no target yet');
    return found;
  };
  return {
    pid: child.pid ?? 0,
    port,
    isRunning,
    output: () => output,
    logs: (event) => linesOf(output).filter((line) => event === undefined || line.event === event),
    get: ask,
    status,
    target,
    outcome: (outcome) =>
      until(`the outcome is ${outcome}`, async () => {
        const seen = await target();
        if (seen.outcome !== outcome) throw new Error(`it is ${seen.outcome}: ${seen.message}`);
        return seen;
      }),
    metric: async (name) => parseMetric((await ask('/metrics')).body, name),
    signal: (signal) => void child.kill(signal),
    end: async (signal = 'SIGTERM') => {
      const startedAt = Date.now();
      child.kill(signal);
      return { code: await ended, ms: Date.now() - startedAt };
    },
  };
}

function linesOf(output: string): readonly LogLine[] {
  const lines = output.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'));
  return lines.map((line) => JSON.parse(line));
}

export function parseMetric(text: string, name: string): Readonly<Record<string, number>> {
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return Object.fromEntries(
    lines.map((line) => {
      const cut = line.lastIndexOf(' ');
      return [line.slice(name.length, cut), Number(line.slice(cut + 1))];
    }),
  );
}

export function httpGet(port: number, path: string, host = '127.0.0.1'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = get({ host, port, path, timeout: 10_000, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', reject);
  });
}

async function startApp(place: Place, options: AppOptions): Promise<App> {
  const { config, name = place.name, lateMs, pidFile, waits = true } = options;
  const recordsPath = place.at(`records-${name}-${places++}`);
  const words = [RECORDER, recordsPath, config];
  if (lateMs !== undefined) words.push(`late=${lateMs}`);
  if (pidFile !== undefined) words.push(`pid-file=${pidFile}`);
  const child = place.spawn(process.execPath, words, name);
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const records = (): readonly Recorded[] => readRecords(recordsPath);
  const has = (event: string): boolean => records().some((record) => record.event === event);
  await until('the application runs', () => has(waits ? 'listening' : 'started'));
  return {
    pid: child.pid ?? 0,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    records,
    told: (signal = 'SIGHUP') =>
      records().flatMap(({ event, content }) => (event === signal ? [content] : [])),
    kill: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  };
}

function readRecords(path: string): readonly Recorded[] {
  try {
    const lines = readFileSync(path, 'utf8').split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line));
  } catch {
    return [];
  }
}
