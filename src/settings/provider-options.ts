// From the settings to what a provider may know of them.

import type { ProviderOptions } from '../source/provider.ts';
import type { Environment } from './environment.ts';
import { settingsForProvider } from './secrets.ts';
import type { Loaded } from './settings.ts';
import { SOURCE_KINDS } from './sources.ts';

/** The settings as a provider takes them. */
export function providerOptions(loaded: Loaded, env: Environment): ProviderOptions {
  const { UPDATE_FREQUENCY, FETCH_TIMEOUT, MAX_SIZE } = loaded.settings;
  return {
    updateFrequencyMs: UPDATE_FREQUENCY,
    fetchTimeoutMs: FETCH_TIMEOUT,
    maxBytes: MAX_SIZE,
    setting: settingsForProvider(loaded),
    searchPath: env['PATH'],
    platformEnv: Object.fromEntries(
      SOURCE_KINDS.flatMap(({ platform = [] }) => platform).map((name) => [name, env[name]]),
    ),
    proxyEnv: Object.fromEntries(
      Object.entries(env).filter(([name]) => /^(https?|all|no)_proxy$/i.test(name)),
    ),
  };
}
