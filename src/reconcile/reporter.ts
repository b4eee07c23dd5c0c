// Says what happened, once for each transition: to the log, and to the record of attempts behind status and metrics.

import type { SidecarError } from '../lib/errors.ts';
import { errorFields, type Fields, type Log } from '../lib/log.ts';
import { type AttemptedVersion, Attempts } from './attempts.ts';
import type { Outcome } from './decide.ts';

/** What is said of outcomes that need no reason. */
const SENTENCES: Partial<Record<Outcome, string>> = {
  applied: 'The newest configuration is on the volume, and whoever is to be told was told.',
  unchanged: 'The volume already shows the newest configuration.',
  'picked-up': 'The application started after the publication and has read it.',
  pinned: 'A generation was chosen by hand and stays until "config-sidecar resume".',
};

/** How loud an event is; what is not listed is `info`. */
const LEVELS: Readonly<Record<string, keyof Log>> = {
  unchanged: 'debug',
  told: 'debug',
  'serving the last known good': 'warn',
  'generation not kept': 'error',
  pinned: 'warn',
  blocked: 'error',
  'rolled-back': 'error',
  'rollback-failed': 'error',
  'target-died': 'error',
  unconfirmed: 'error',
  drift: 'warn',
  'ledger damaged': 'warn',
  'ledger not written': 'error',
  'reload overdue': 'error',
  rejected: 'error',
  refused: 'error',
  failed: 'error',
  ambiguous: 'error',
  'not-permitted': 'error',
  'stale-mount': 'error',
  ignored: 'warn',
};

export class Reporter {
  readonly attempts = new Attempts();
  readonly #target: string;
  readonly #log: Log;
  readonly #mask: (text: string) => string;

  /** `mask` takes our secrets out of what hooks and validators printed. */
  constructor(target: string, log: Log, mask: (text: string) => string) {
    this.#target = target;
    this.#log = log;
    this.#mask = mask;
  }

  /** An attempt ended; the log hears of it when it is not the same as before. */
  report(outcome: Outcome, attempted: AttemptedVersion | null, error: SidecarError | null = null): void {
    const { code = null, stage = null, message = SENTENCES[outcome] ?? '' } = error ?? {};
    const output = error?.output === undefined ? null : this.#mask(error.output);
    const isNews = this.attempts.add({ outcome, code, stage, message, output, attempted, at: Date.now() });
    if (!isNews) return;
    const fields = error === null ? {} : errorFields(error);
    this.say(outcome, attempted, output === null ? fields : { ...fields, output });
  }

  /** Something happened on the way. */
  say(event: string, version: AttemptedVersion | null, fields: Fields = {}): void {
    const { revision, rendering } = version ?? {};
    this.#log[LEVELS[event] ?? 'info'](event, { target: this.#target, revision, rendering, ...fields });
  }
}
