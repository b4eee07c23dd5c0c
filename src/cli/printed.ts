// What the commands have in common where they print, wait and read a word.

import { EXIT } from '../lib/exit-codes.ts';
import { misuse } from './misuse.ts';
import { counting, shownTo } from './terminal.ts';
import type { Cli } from './types.ts';

/** Prints, and is done. */
export function printed(cli: Cli, text: string): number {
  cli.print(shownTo(cli, text));
  return EXIT.done;
}

/** Shows on a terminal that a command still waits. */
export function waiting<T>(cli: Cli, what: string, work: Promise<T>): Promise<T> {
  return counting(what, work, { isTerminal: cli.isErrorTerminal, print: cli.printError });
}

export function numberOf(word: string, verb: string): number {
  if (/^[1-9]\d{0,14}$/.test(word)) return Number(word);
  throw misuse(
    `Cannot ${verb} "${word}": it is not the number of a generation; "config-sidecar history" lists them.`,
  );
}
