// What the commands share: the process they run in, and the words of the command line.
import type { Environment } from '../settings/environment.ts';

/** What the process is given and may do; `main.ts` fills it from the real one. */
export interface Cli {
  readonly argv: readonly string[];
  readonly env: Environment;
  readonly cwd: string;
  readonly version: string;
  readonly instance: string;
  /** Standard output is a terminal. */
  readonly isTerminal: boolean;
  /** Standard error is a terminal. */
  readonly isErrorTerminal: boolean;
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
  /** Aborts when the process is asked to end. */
  readonly ending: AbortSignal;
  /** Calls back whenever the process is asked to look again (SIGHUP). */
  readonly onSync: (listener: () => void) => void;
}

/** The command line without the command. */
export interface Words {
  /** Flags that are settings, with their values. */
  readonly flags: readonly string[];
  /** The command's own flags that were given, with their values. */
  readonly own: ReadonlyMap<string, string | true>;
  /** Names of the command's own flags, for suggestions. */
  readonly ownNames: readonly string[];
  readonly words: readonly string[];
}
