// A program in a terminal of its own, typed at as a person would: what it prints, colours and all.
import { type ChildProcess, spawn } from 'node:child_process';
import { onTestFinished } from 'vitest';
import { until } from '../e2e/until.ts';

export interface Terminal {
  readonly type: (keys: string) => void;
  /** Everything that was printed so far. */
  readonly screen: () => string;
  /** Waits until the pattern is in what was printed, without colours; where the cursor jumps a line begins. */
  readonly shows: (pattern: RegExp) => Promise<RegExpExecArray>;
  readonly ended: Promise<number | null>;
}

/** Starts a command line in a terminal of 80 columns; it is ended with the test. */
export function openTerminal(command: string, env: Readonly<Record<string, string>>, cwd: string): Terminal {
  const child: ChildProcess = spawn('script', ['-qefc', `stty cols 80 rows 40; ${command}`, '/dev/null'], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', TERM: 'xterm', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return {
    type: (keys) => child.stdin?.write(keys),
    screen: () => text,
    shows: async (pattern) => {
      try {
        return await until(`the terminal shows ${pattern}`, () => pattern.exec(plainText(text)));
      } catch (thrown) {
        throw new Error(`It shows: ${plainText(text).slice(-1_000)}`, { cause: thrown });
      }
    },
    ended,
  };
}

function plainText(text: string): string {
  const sequences = /\x1b\][^\x07]*\x07|\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1b[=>]/g;
  return text.replaceAll(sequences, '').replaceAll('\r', '\n');
}
