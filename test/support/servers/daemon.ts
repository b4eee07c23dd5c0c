// A server process of a test: started, waited for, killed, started again, and never left behind.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface DaemonOptions {
  readonly program: string;
  readonly parameters: readonly string[];
  /** Whether it answers; asked until it says so. */
  readonly isUp: () => Promise<boolean>;
}

export interface Daemon {
  /** Starts the process and waits until it is up. */
  start(): Promise<void>;
  /** Sends the signal (SIGTERM) and waits for the process to be gone, frozen or not. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Sends a signal such as SIGSTOP to the running process. */
  signal(signal: NodeJS.Signals): void;
  /** Stops it in its tracks (SIGSTOP): connections stay, nothing is answered. */
  freeze(): void;
  /** Lets a frozen process go on. */
  thaw(): void;
}

const PATIENCE_MS = 60_000;

/** Prepares a daemon; nothing runs before `start`. */
export function daemon({ program, parameters, isUp }: DaemonOptions): Daemon {
  let child: ChildProcess | null = null;
  let output = '';
  process.once('exit', () => child?.kill('SIGKILL'));

  const start = async (): Promise<void> => {
    const started = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'pipe'] });
    child = started;
    output = '';
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-4_000);
    };
    started.stdout.on('data', keep);
    started.stderr.on('data', keep);
    let failure = '';
    started.once('error', (error) => {
      failure = error.message;
    });
    const deadline = Date.now() + PATIENCE_MS;
    while (!(await isUp().catch(() => false))) {
      if (failure !== '' || started.exitCode !== null || Date.now() > deadline) {
        started.kill('SIGKILL');
        throw new Error(`Cannot start "${program}": ${failure}\n${output}`);
      }
      await sleep(20);
    }
  };

  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    const running = child;
    child = null;
    if (running === null || running.exitCode !== null || running.signalCode !== null) return;
    const gone = new Promise((resolve) => running.once('exit', resolve));
    running.kill(signal);
    // A frozen process hears of nothing but SIGKILL.
    running.kill('SIGCONT');
    await gone;
  };

  const send = (signal: NodeJS.Signals): void => void child?.kill(signal);
  return { start, stop, signal: send, freeze: () => send('SIGSTOP'), thaw: () => send('SIGCONT') };
}

/** A new folder for a server's data. */
export function dataFolder(): { readonly path: string; wipe(): void } {
  const path = mkdtempSync(join(tmpdir(), 'config-sidecar-test-'));
  return { path, wipe: () => rmSync(path, { recursive: true, force: true }) };
}
