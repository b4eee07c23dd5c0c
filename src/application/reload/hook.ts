// The types of the reload step: the hooks, what they are given, and the results of a notification.

import type { ProcessId } from '../../ledger/types.ts';
import type { TlsIdentity } from '../../lib/http/http.ts';
import type { StatusRange } from '../../settings/web.ts';
import type { SentSignal } from '../process/readiness.ts';

export interface SignalHook {
  readonly kind: 'signal';
  readonly signal: SentSignal;
  /** `RELOAD_GATE=off`: send it to a process without a handler as well. */
  readonly gateOff: boolean;
}

export interface HttpHook {
  readonly kind: 'http';
  readonly url: string;
  readonly method: string;
  /** Secret; read them again for every try. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body?: string;
  /** The statuses that mean yes (`RELOAD_STATUS`), both ends included. */
  readonly status: readonly StatusRange[];
  readonly timeoutMs: number;
  /** Reads the certificates again; may throw a SidecarError `reload.tls`. */
  readonly tls?: () => TlsIdentity;
}

export interface CommandHook {
  readonly kind: 'command';
  readonly argv: readonly string[];
  readonly timeoutMs: number;
  /** The whole environment, but for the names that `ReloadContext` adds. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export type ReloadHook = SignalHook | HttpHook | CommandHook;

export interface ReloadContext {
  /** The application's process as the look-up just found it, or null when none is named. */
  readonly process: ProcessId | null;
  /** Path of the output, or of the first of several: `CONFIG_OUTPUT`. */
  readonly output: string;
  /** Of several outputs, the paths of all: `CONFIG_OUTPUTS`, a line for each. */
  readonly outputs?: readonly string[];
  /** Revision of what is on the volume now: `CONFIG_REVISION`. */
  readonly revision: string;
  /** Revision of the notification before, if any: `CONFIG_PREVIOUS_REVISION`, empty for none. */
  readonly previousRevision: string | null;
}

/**
 * What the loop does with a reload that is still owed: `unavailable` try again with growing delay; `misconfigured` try
 * again slowly, the settings are probably wrong; `refused` the application said no; `unknown` it may have been notified.
 */
export type OwedClass = 'unavailable' | 'misconfigured' | 'refused' | 'unknown';

/** `message` is a whole sentence without secrets; `output` is what the other side printed, cut to size. */
export type ReloadResult =
  | { readonly kind: 'told'; readonly evidence: 'answered' | null; readonly process: ProcessId | null }
  | {
      readonly kind: 'owed';
      readonly class: OwedClass;
      readonly code: string;
      readonly message: string;
      readonly output?: string;
      readonly retryAfterMs?: number;
    }
  /** Gone: the process ended, or its number belongs to another one by now; nothing was sent. */
  | { readonly kind: 'not-permitted' | 'gone'; readonly code: string; readonly message: string };
