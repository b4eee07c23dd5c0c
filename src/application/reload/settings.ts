// From the settings to the one hook of a target and to what is watched of its process.

import { SidecarError } from '../../lib/errors.ts';
import { loadPattern, type TextPattern } from '../../lib/linear-regexp.ts';
import { type Environment, environmentForCommands } from '../../settings/environment.ts';
import { currentOf } from '../../settings/secrets.ts';
import type { Loaded, Settings } from '../../settings/settings.ts';
import { createLookup, type Lookup } from '../process/lookup.ts';
import { identityOf } from '../tls.ts';
import type { ReloadHook } from './hook.ts';

/** Which hook the settings ask for; two are refused when settings are read. */
export function hookKind({
  RELOAD_URL,
  RELOAD_COMMAND,
  RELOAD_SIGNAL,
}: Settings): 'none' | ReloadHook['kind'] {
  if (RELOAD_URL !== undefined) return 'http';
  if (RELOAD_COMMAND !== undefined) return 'command';
  return RELOAD_SIGNAL === undefined || RELOAD_SIGNAL === 'none' ? 'none' : 'signal';
}

/** The hook as it is to be used now: secrets given as files are read again. null: publish only. */
export function hookOf(loaded: Loaded, env: Environment): ReloadHook | null {
  const {
    RELOAD_SIGNAL,
    RELOAD_COMMAND,
    RELOAD_METHOD,
    RELOAD_BODY,
    RELOAD_STATUS,
    RELOAD_TIMEOUT,
    RELOAD_GATE,
  } = loaded.settings;
  const timeoutMs = RELOAD_TIMEOUT;
  const url = currentOf(loaded, 'RELOAD_URL');
  if (url !== undefined) {
    const headers = currentOf(loaded, 'RELOAD_HEADERS') ?? [];
    const body = RELOAD_BODY === undefined ? {} : { body: RELOAD_BODY };
    return {
      kind: 'http',
      url,
      method: RELOAD_METHOD,
      headers,
      ...body,
      status: RELOAD_STATUS,
      timeoutMs,
      tls: () => identityOf(loaded),
    };
  }
  if (RELOAD_COMMAND !== undefined) {
    return { kind: 'command', argv: RELOAD_COMMAND, timeoutMs, env: environmentForCommands(env) };
  }
  if (RELOAD_SIGNAL === undefined || RELOAD_SIGNAL === 'none') return null;
  return { kind: 'signal', signal: RELOAD_SIGNAL, gateOff: RELOAD_GATE === 'off' };
}

/**
 * The look-up of the named process; null when none is named.
 * @throws SidecarError `reload.pattern-unsupported` for an expression that cannot be searched for.
 */
export async function lookupOf(settings: Settings): Promise<Lookup | null> {
  const { APP_PROCESS, APP_CONTAINER, APP_PID_FILE, RELOAD_SIGNAL, RELOAD_GATE } = settings;
  if (APP_PROCESS === undefined && APP_CONTAINER === undefined && APP_PID_FILE === undefined) return null;
  const isSignal = hookKind(settings) === 'signal';
  return createLookup({
    ...(APP_PROCESS?.kind === 'name' && { name: APP_PROCESS.name }),
    ...(APP_PROCESS?.kind === 'pattern' && { pattern: await patternOf(APP_PROCESS.text) }),
    ...(APP_CONTAINER !== undefined && { container: APP_CONTAINER }),
    ...(APP_PID_FILE !== undefined && { pidFile: APP_PID_FILE }),
    signal: isSignal && RELOAD_SIGNAL !== undefined && RELOAD_SIGNAL !== 'none' ? RELOAD_SIGNAL : null,
    gateOff: RELOAD_GATE === 'off',
  });
}

async function patternOf(source: string): Promise<TextPattern> {
  try {
    return await loadPattern(source);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    const message = `Cannot use APP_PROCESS "/${source}/": ${why}`;
    throw new SidecarError(message, { code: 'reload.pattern-unsupported', stage: 'reload', cause: thrown });
  }
}
