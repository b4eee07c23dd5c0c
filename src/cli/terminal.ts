// What only a terminal gets: colours, and a counter while a command waits. A pipe or a file gets neither.
import { visible } from '../lib/bounds.ts';
import type { Environment } from '../settings/environment.ts';

/** Whether colours are wanted: on a terminal, unless NO_COLOR is set or the terminal cannot show any. */
export function wantsColors(isTerminal: boolean, env: Environment): boolean {
  return isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}

/** What may hold data of others: a terminal would obey the control characters in it, a file gets every byte. */
export function shownTo({ isTerminal }: { readonly isTerminal: boolean }, text: string): string {
  return isTerminal ? visible(text, { keepsLines: true }) : text;
}

const RED = '31';
const GREEN = '32';
const YELLOW = '33';
const CYAN = '36';
const BOLD = '1';

const paint = (code: string, text: string): string => `\x1b[${code}m${text}\x1b[0m`;

/** The marks of `check` in green, yellow and red. */
export function colorFindings(text: string): string {
  const codes: Readonly<Record<string, string>> = { 'ok  ': GREEN, warn: YELLOW, FAIL: RED };
  return text.replaceAll(/^(ok {2}|warn|FAIL)(?= \w)/gm, (mark) => paint(codes[mark] ?? BOLD, mark));
}

/** A unified diff: what goes in red, what comes in green. */
export function colorDiff(text: string): string {
  return text.replaceAll(/^(?:(---|\+\+\+) |(@@)|([-+])).*$/gm, (line, file, hunk, sign) => {
    return paint(file ? BOLD : hunk ? CYAN : sign === '-' ? RED : GREEN, line);
  });
}

/** A command that is done sooner shows no counter. */
const QUIET_MS = 1_000;
const TICK_MS = 1_000;

export interface CounterOptions {
  /** Standard error is a terminal. */
  readonly isTerminal: boolean;
  readonly print: (text: string) => void;
}

/** Shows `Waiting for the outcome … 3 s` in one line that is gone afterwards, while `work` takes longer than a second. */
export async function counting<T>(what: string, work: Promise<T>, options: CounterOptions): Promise<T> {
  const { isTerminal, print } = options;
  if (!isTerminal) return await work;
  const startMs = performance.now();
  let shown = false;
  const show = (): void => {
    shown = true;
    print(`\r${what} … ${Math.round((performance.now() - startMs) / 1000)} s\x1b[K`);
  };
  const timer = setInterval(show, Math.max(QUIET_MS, TICK_MS));
  try {
    return await work;
  } finally {
    clearInterval(timer);
    if (shown) print('\r\x1b[K');
  }
}
