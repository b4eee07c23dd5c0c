// The hook of a target in a few words, for status and log: nothing that could be a secret.

import { maskUrl } from '../../lib/mask.ts';
import type { Settings } from '../../settings/settings.ts';

/**
 * `SIGHUP`, `POST http://127.0.0.1:9090/-/reload`, `command nginx`; null: publish only. Of a URL credentials and values of the
 * query are left out, of a command its arguments.
 */
export function describeHook({
  RELOAD_URL,
  RELOAD_METHOD,
  RELOAD_COMMAND,
  RELOAD_SIGNAL,
}: Settings): string | null {
  if (RELOAD_URL !== undefined) return `${RELOAD_METHOD} ${maskUrl(RELOAD_URL)}`;
  if (RELOAD_COMMAND !== undefined) return `command ${RELOAD_COMMAND[0] ?? ''}`;
  return RELOAD_SIGNAL === undefined || RELOAD_SIGNAL === 'none' ? null : RELOAD_SIGNAL;
}
