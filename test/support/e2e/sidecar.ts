// The built program as a process: started, watched through its log and its endpoints, ended.

import { type ChildProcess, spawn } from 'node:child_process';
import { get } from 'node:http';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { quietPort } from './quiet-port.ts';
import { until } from './until.ts';

const PROJECT = new URL('../../..', import.meta.url).pathname;

/** Where the program was built. */
export const DIST = resolve(PROJECT, process.env['CONFIG_SIDECAR_DIST'] ?? 'dist');

/** With it a test sees the whole status. */
const TOKEN = 'sees-the-whole-status';

/** The built program. */
export const MAIN = join(DIST, 'main.js');

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
  readonly targets: Readonly<Partial<Record<string, TargetSeen>>>;
}

interface VersionSeen {
  readonly revision: string;
  readonly digest: string;
  readonly rendering: string | null;
  readonly at: string;
}

interface SourceSeen {
  readonly url: string;
  readonly up: boolean;
  readonly lastContactAt: string | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

interface GenerationSeen {
  readonly generation: number;
  readonly revision: string;
  readonly rendering: string;
  readonly onVolume: boolean;
  readonly pinned: boolean;
  readonly lastKnownGood: boolean;
}

export interface TargetSeen {
  readonly outcome: string | null;
  readonly code: string | null;
  readonly message: string;
  readonly desired: VersionSeen | null;
  readonly attempted: VersionSeen | null;
  readonly trial: {
    readonly since: string;
    readonly until: string;
    readonly waitsFor: readonly string[];
  } | null;
  readonly running: (VersionSeen & { readonly evidence: string }) | null;
  readonly lastKnownGood: VersionSeen | null;
  readonly reloadOwed: boolean;
  readonly pinned: boolean;
  readonly generations: readonly GenerationSeen[];
  readonly blocked: readonly {
    readonly rendering: string;
    readonly outcome: string;
    readonly code: string;
    readonly message: string;
  }[];
  readonly nextAttemptAt: string | null;
  readonly sources: readonly SourceSeen[];
  readonly template: SourceSeen | null;
  readonly history: readonly {
    readonly outcome: string;
    readonly code: string | null;
    readonly message: string;
    readonly count: number;
  }[];
}

/** Values by labels. */
type Values = Readonly<Partial<Record<string, number>>>;

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
  /** Waits for an outcome, not one of an earlier attempt where a later one is under way; gives the target as it was then. */
  readonly outcome: (outcome: string) => Promise<TargetSeen>;
  /** The values of a metric, of a counter without those at 0, by its labels as they are printed (`{target="default"}`; the empty text without any). */
  readonly metric: (name: string) => Promise<Values>;
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Sends the signal (SIGTERM) and gives the exit code and how long it took. */
  readonly end: (signal?: NodeJS.Signals) => Promise<{ readonly code: number | null; readonly ms: number }>;
}

export interface Start {
  /** The program that runs it; default: this test's own Node. */
  readonly node?: string;
  /** Another build of the program. */
  readonly main?: string;
  readonly words?: readonly string[];
  /** Further words for Node itself. */
  readonly nodeWords?: readonly string[];
  /** Whether it gets a CONTROL_TOKEN, with which `status` sees everything. Default true. */
  readonly hasToken?: boolean;
}

/** Runs a command of the program to its end. */
export function runToEnd(words: readonly string[], env: Variables, cwd: string): Promise<Finished> {
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
  return finish(spawn(process.execPath, [MAIN, ...words], { cwd, env, stdio }));
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

/** Outcomes after which nothing is owed. */
const SETTLED = ['applied', 'unchanged', 'picked-up'];

/** Starts it with these variables and no others, on a port of its own. */
export async function startSidecar(variables: Variables, cwd: string, start: Start): Promise<Sidecar> {
  const port = await quietPort();
  const { node = process.execPath, main = MAIN, nodeWords = [], words = [] } = start;
  // Whether an application survives is another matter than most of what is looked at here, and takes its time.
  const isTokenTheirs = 'CONTROL_TOKEN_FILE' in variables || start.hasToken === false;
  const own = isTokenTheirs ? {} : { CONTROL_TOKEN: TOKEN };
  const env: Variables = { LISTEN: `127.0.0.1:${port}`, CONFIRM_PERIOD: '0', ...own, ...variables };
  const child = spawn(node, [...nodeWords, main, ...words], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  const ask = (path: string): Promise<Answer> => httpGet(port, path);
  const token = env['CONTROL_TOKEN'];
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const status = async (): Promise<StatusSeen> =>
    JSON.parse((await httpGet(port, '/status', { headers })).body);
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
    outcome: async (outcome) => {
      const found = await until(`the outcome is ${outcome}`, async () => {
        const seen = await target();
        if (seen.outcome !== outcome) throw new Error(`it is ${seen.outcome}: ${seen.message}`);
        if (seen.reloadOwed && SETTLED.includes(outcome)) throw new Error('a newer one is still owed');
        return seen;
      });
      // Its log line was written before that, but comes by another way.
      await sleep(50);
      return found;
    },
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

function parseMetric(text: string, name: string): Values {
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  const values = lines.map((line): [string, number] => {
    const cut = line.lastIndexOf(' ');
    return [line.slice(name.length, cut), Number(line.slice(cut + 1))];
  });
  // Every counter is there at 0 from the start.
  return Object.fromEntries(values.filter(([, value]) => value !== 0 || !name.endsWith('_total')));
}

export function httpGet(
  port: number,
  path: string,
  { host = '127.0.0.1', headers = {} }: { readonly host?: string; readonly headers?: Variables } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host, port, path, headers, timeout: 10_000, agent: false };
    const request = get(options, (response) => {
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
