// What the settings want to be seen before a configuration counts as known to work.
import type { TlsIdentity } from '../../lib/http/http.ts';
import type { AnswerMatch } from '../../settings/answer-match.ts';
import { currentOf } from '../../settings/secrets.ts';
import type { Loaded } from '../../settings/settings.ts';
import { identityOf } from '../tls.ts';

export interface ConfirmSettings {
  /** `CONFIRM_PERIOD`; 0: no process has to survive. */
  readonly periodMs: number;
  /** `CONFIRM_TIMEOUT` */
  readonly timeoutMs: number;
  /** `CONFIRM_WORKERS` */
  readonly workers: boolean;
  /** `CONFIRM_SUCCESSES` */
  readonly successes: number;
  /** `CONFIRM_URL`, read at every use, since it can be a secret in a file; may throw a SidecarError. */
  readonly url: (() => string) | undefined;
  /** `CONFIRM_HEADERS`, secret and read as `url` is. */
  readonly headers?: () => readonly (readonly [name: string, value: string])[];
  /** The certificates for it, read as `url` is. */
  readonly tls?: () => TlsIdentity;
  /** `CONFIRM_MATCH` */
  readonly match: AnswerMatch | undefined;
}

export function confirmSettingsOf(loaded: Loaded): ConfirmSettings {
  const { settings } = loaded;
  const { CONFIRM_URL } = settings;
  return {
    periodMs: settings.CONFIRM_PERIOD,
    timeoutMs: settings.CONFIRM_TIMEOUT,
    workers: settings.CONFIRM_WORKERS,
    successes: settings.CONFIRM_SUCCESSES,
    url: CONFIRM_URL === undefined ? undefined : () => currentOf(loaded, 'CONFIRM_URL') ?? CONFIRM_URL,
    headers: () => currentOf(loaded, 'CONFIRM_HEADERS') ?? [],
    tls: () => identityOf(loaded),
    match: settings.CONFIRM_MATCH,
  };
}
