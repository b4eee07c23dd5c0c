// What a preset is: how one known application is found, reloaded, checked and confirmed. Data, no code.

/** Settings as they would be written in the environment. */
type Texts<N extends string> = { readonly [M in N]?: string };

/** What is set with the one hook of a target. */
type HookSettings = Texts<
  | 'RELOAD_SIGNAL'
  | 'RELOAD_URL'
  | 'RELOAD_METHOD'
  | 'RELOAD_HEADERS'
  | 'RELOAD_BODY'
  | 'RELOAD_STATUS'
  | 'RELOAD_COMMAND'
>;

/** What is set to find out whether the application took it. */
type ConfirmSettings = Texts<
  | 'CONFIRM_PERIOD'
  | 'CONFIRM_URL'
  | 'CONFIRM_MATCH'
  | 'CONFIRM_SUCCESSES'
  | 'CONFIRM_WORKERS'
  | 'CONFIRM_TIMEOUT'
>;

/** The application's own program that says whether a file is good. */
export interface Checker {
  /** Names it goes by; the first that is there is used. */
  readonly programs: readonly string[];
  /** What follows its name; `{main}` is the staged main file. */
  readonly arguments: string;
}

/**
 * One known application. It claims only what `test/presets/<name>.test.ts` has seen with the real server, or says in
 * `verified` that no test has.
 */
export interface Preset {
  /** What people call it: `Apache httpd`. */
  readonly application: string;
  /** The version it was tested with, and where from: `1.22.1 (Debian 12)`; null: unverified, taken from its documentation. */
  readonly verified: string | null;
  /** `APP_PROCESS`, used when the application is reloaded by a signal, or watches its files itself. */
  readonly process: string;
  /** How it is reloaded; null: it cannot read its configuration again, and `remarks` begins with why. */
  readonly hook: HookSettings | null;
  /** `RELOAD_GATE`, for one that waits with `sigwait`. */
  readonly gate?: 'off';
  /** The main file, which is what `OUTPUT` names, or holds when it is a directory: `nginx.conf`. */
  readonly main: string;
  /** null: it has no checker that could be used here. */
  readonly checker: Checker | null;
  readonly confirm: ConfirmSettings;
  /** What it does when a reload meets a bad file. */
  readonly onBadFile: 'keeps the old one' | 'exits' | 'applies the valid part' | 'is not reloaded';
  /** Whole sentences, Markdown; what a user has to know or do. */
  readonly remarks: readonly string[];
}
