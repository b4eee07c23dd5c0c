// The one error class: a stable code for programs, a sentence for people, and nothing that could hold a secret.

import { cut, MAX_MESSAGE, visible } from './bounds.ts';

/** Where in the pipeline something went wrong. */
export type Stage =
  | 'settings'
  | 'source'
  | 'render'
  | 'validate'
  | 'publish'
  | 'reload'
  | 'ledger'
  | 'control'
  | 'internal';

export interface SidecarErrorDetails {
  /** Stable, dotted, lower case: `source.timeout`. Part of the public contract once released. */
  readonly code: string;
  readonly stage: Stage;
  readonly cause?: unknown;
  /** What the other side asked us to wait before trying again (Retry-After). */
  readonly retryAfterMs?: number;
  /** The longest the message may be, in characters. Default 2,048. */
  readonly maxMessage?: number;
  /** What a command or hook printed, cut to size. Shown only where the contract says so. */
  readonly output?: string;
}

/**
 * Every failure that reaches a user. The message reads `Cannot <verb> <thing> "<value>": <reason>` and ends with
 * the legal values or the next step where there is one. The code that builds the message masks secrets; a message of
 * more than 2,048 characters is cut, and control characters in it are shown as `\u001b`.
 */
export class SidecarError extends Error {
  readonly code: string;
  readonly stage: Stage;
  readonly retryAfterMs: number | undefined;
  readonly output: string | undefined;

  constructor(message: string, details: SidecarErrorDetails) {
    const shown = visible(message, { keepsLines: true });
    super(cut(shown, details.maxMessage ?? MAX_MESSAGE), { cause: details.cause });
    this.name = 'SidecarError';
    this.code = details.code;
    this.stage = details.stage;
    this.retryAfterMs = details.retryAfterMs;
    this.output = details.output;
  }

  /** The same error in other words; itself where they are the same. */
  said(inWords: (message: string) => string): SidecarError {
    const message = inWords(this.message);
    if (message === this.message) return this;
    const { code, stage, cause, retryAfterMs, output } = this;
    return new SidecarError(message, {
      ...{ code, stage, cause, maxMessage: message.length },
      ...(retryAfterMs !== undefined && { retryAfterMs }),
      ...(output !== undefined && { output }),
    });
  }
}

/** Turns anything thrown into a SidecarError; what is not one of ours keeps its text under code `internal`. */
export function toSidecarError(thrown: unknown, stage: Stage = 'internal'): SidecarError {
  if (thrown instanceof SidecarError) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new SidecarError(`Cannot go on: ${reason}`, { code: 'internal', stage, cause: thrown });
}

/** The `code` of a Node.js system error (`ENOENT`), or undefined for anything else. */
export function errnoOf(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

/** The message with its code at the end, `… [source.denied]`, by which documentation and searches find it. */
export function withCode(message: string, code: string | null): string {
  // Mistakes in settings and on the command line are many at once, and explain themselves.
  return code === null || code === 'settings' ? message : `${message} [${code}]`;
}
