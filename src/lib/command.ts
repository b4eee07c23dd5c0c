// Runs a command of the user's: bounded in time and output, in a process group of its own, and ended with all it started.
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { type Capture, openCapture } from './command-output.ts';
import { errnoOf } from './errors.ts';
import { explainProgram } from './program.ts';

export interface Command {
  /** The program and its words; no shell is involved. */
  readonly argv: readonly string[];
  /** The whole environment: nothing is inherited. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Default: the sidecar's own. */
  readonly cwd?: string;
  /** Then the whole process group is killed. */
  readonly timeoutMs: number;
  /** Aborting kills the whole process group as well. */
  readonly signal: AbortSignal;
  /** Of what it prints, the beginning and the end are kept; the middle is left out. */
  readonly maxOutputBytes: number;
}

/** How it ended; `output` is what it printed on both channels, in order of arrival. */
export type CommandResult =
  | { readonly kind: 'exit'; readonly code: number; readonly output: string }
  | { readonly kind: 'killed'; readonly signalName: string; readonly output: string }
  | { readonly kind: 'timeout' | 'aborted'; readonly output: string }
  /** `reason` is a clause: `there is no such program`. */
  | { readonly kind: 'not-started'; readonly reason: string };

/** Runs a command to its end. Resolves in every case, and promptly after time-out or abort. */
export async function runCommand(command: Command): Promise<CommandResult> {
  if (command.signal.aborted) return { kind: 'aborted', output: '' };
  const capture = await openCapture(command.maxOutputBytes);
  try {
    if (command.signal.aborted) return { kind: 'aborted', output: '' };
    return await follow(start(command, capture), command, capture);
  } catch (thrown) {
    return { kind: 'not-started', reason: explainStart(thrown, command) };
  } finally {
    capture.close();
  }
}

function start({ argv: [program = '', ...words], env, cwd }: Command, capture: Capture): ChildProcess {
  const stdio: StdioOptions = ['ignore', capture.stdio, capture.stdio];
  // detached: a session, and so a process group, of its own. What it starts can be killed with it.
  return spawn(program, words, { env: { ...env }, stdio, detached: true, ...(cwd !== undefined && { cwd }) });
}

/** How long what was printed before the end may still be on its way. A grandchild can hold the pipe for ever. */
const DRAIN_MS = 100;
/** A process that the kernel cannot end (waiting for a dead disk) is left behind after this. */
const UNKILLABLE_MS = 1000;

function follow(child: ChildProcess, command: Command, capture: Capture): Promise<CommandResult> {
  const { timeoutMs, signal } = command;
  const output = capture.text;
  const silent = capture.follow(child);
  return new Promise((resolve) => {
    let stopped: 'timeout' | 'aborted' | null = null;
    const timers = new Set<NodeJS.Timeout>();
    const after = (ms: number, act: () => void): void => {
      timers.add(setTimeout(act, ms));
    };
    const finish = (result: CommandResult): void => {
      for (const timer of timers) clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      resolve(result);
    };
    const stop = (why: 'timeout' | 'aborted'): void => {
      // Once it has ended, its number may belong to another process.
      if (stopped !== null || hasEnded(child)) return;
      stopped = why;
      killGroup(child);
      after(UNKILLABLE_MS, () => finish({ kind: why, output: output() }));
    };
    const onAbort = (): void => stop('aborted');
    const conclude = (): void =>
      finish(stopped === null ? resultOf(child, output()) : { kind: stopped, output: output() });
    signal.addEventListener('abort', onAbort);
    after(timeoutMs, () => stop('timeout'));
    child.once('error', (thrown) => finish({ kind: 'not-started', reason: explainStart(thrown, command) }));
    child.once('exit', () => {
      after(DRAIN_MS, conclude);
      void silent.then(conclude);
    });
  });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function resultOf({ exitCode, signalCode }: ChildProcess, output: string): CommandResult {
  if (exitCode !== null) return { kind: 'exit', code: exitCode, output };
  return { kind: 'killed', signalName: signalCode ?? 'unknown', output };
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended between the look and the kill.
  }
}

function explainStart(thrown: unknown, { argv: [program = ''], env }: Command): string {
  const code = errnoOf(thrown);
  if (code === 'ENOENT') return explainProgram(program, env['PATH']) ?? 'there is no such program';
  if (code === 'EACCES') return 'the program may not be executed';
  if (code === 'ENOEXEC') return 'it is neither a program nor a script that begins with #!';
  if (code === 'E2BIG') return 'its arguments and environment are too long';
  return `the program could not be started (${code ?? 'unknown error'})`;
}
