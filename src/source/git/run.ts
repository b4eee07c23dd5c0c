// Runs the real git program: an environment of our own, no configuration of the machine's, bounded in time and output.
import { type ChildProcess, spawn } from 'node:child_process';
import { errnoOf } from '../../lib/errors.ts';
import { Gathered } from '../../lib/gathered.ts';
import { GitFailure, gitFailure } from './failure.ts';

/** Everything that git may see of its surroundings. */
export type GitEnvironment = Readonly<Record<string, string>>;

export interface GitRun {
  readonly env: GitEnvironment;
  /** Then git and everything it started are killed. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** More output than this is an error. */
  readonly maxBytes: number;
  /** Text for its standard input. */
  readonly input?: string;
}

const MAX_ERROR_BYTES = 16 * 1024;

/**
 * Runs git and gives what it printed. No shell is involved.
 * @throws GitFailure with git's own words translated; `source.timeout`, `source.too-large`, `source.no-git`.
 */
export async function git(words: readonly string[], run: GitRun): Promise<Buffer> {
  const ended = await start(words, run);
  if (ended.code === 0) return ended.output;
  throw gitFailure(ended.errors);
}

/** The same, where git answers by its exit code alone. */
export async function gitSucceeds(words: readonly string[], run: GitRun): Promise<boolean> {
  return (await start(words, run)).code === 0;
}

interface Ended {
  readonly code: number | null;
  readonly output: Buffer;
  readonly errors: string;
}

function start(
  words: readonly string[],
  { env, timeoutMs, signal, maxBytes, input }: GitRun,
): Promise<Ended> {
  signal.throwIfAborted();
  if (timeoutMs <= 0) throw timedOut();
  return new Promise((resolve, reject) => {
    // A process group of its own: ssh and the transports are killed with it.
    const child = spawn('git', words, { env: { ...env }, stdio: 'pipe', detached: true });
    const output = new Gathered();
    let errors = '';
    let stopped: Error | null = null;
    const stop = (why: Error): void => {
      stopped ??= why;
      killGroup(child);
    };
    const timer = setTimeout(() => stop(timedOut()), timeoutMs);
    const onAbort = (): void => stop(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    signal.addEventListener('abort', onAbort);
    child.stdout.on('data', (chunk: Buffer) => {
      if (stopped !== null) return;
      output.add(chunk);
      if (output.size > maxBytes) stop(new GitFailure('source.too-large', 'it is larger than MAX_SIZE'));
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (errors.length < MAX_ERROR_BYTES) errors += text;
    });
    // git ends early when it has nothing to read.
    child.stdin.on('error', () => undefined).end(input);
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    child.once('error', (thrown) => finish(() => reject(notStarted(thrown))));
    child.once('close', (code) =>
      finish(() => (stopped === null ? resolve({ code, output: output.take(), errors }) : reject(stopped))),
    );
  });
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

function timedOut(): GitFailure {
  return new GitFailure('source.timeout', 'no answer within FETCH_TIMEOUT');
}

function notStarted(thrown: unknown): GitFailure {
  const reason =
    errnoOf(thrown) === 'ENOENT'
      ? 'the program "git" is not installed here; use the image that has it, or install git'
      : `the program "git" cannot be started (${errnoOf(thrown) ?? 'unknown error'})`;
  return new GitFailure('source.no-git', reason, { cause: thrown });
}
