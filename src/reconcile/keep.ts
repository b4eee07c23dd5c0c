// One target kept in step: its source and templates followed, its loop running, its events logged.

import { errorFields, type Log } from '../lib/log.ts';
import type { Environment } from '../settings/environment.ts';
import { presetStatus } from '../settings/presets/describe.ts';
import { settingsForProvider } from '../settings/secrets.ts';
import type { Loaded } from '../settings/settings.ts';
import { type Followed, follow, type News, type SourceState, silenceBoundMs } from '../source/follow.ts';
import type { OpenProvider, ProviderOptions } from '../source/provider.ts';
import { openTemplate } from '../source/template-source.ts';
import { HANDED_OVER, Target } from './target.ts';
import type { TargetView } from './types.ts';
import type { Waiting } from './waiting.ts';

export interface KeepOptions {
  readonly name: string;
  readonly loaded: Loaded;
  readonly env: Environment;
  /** Opens the source; its provider is loaded already. */
  readonly open: OpenProvider;
  readonly instance: string;
  readonly log: Log;
  readonly onWait?: (waiting: Waiting) => void;
  /** See `TargetParts`. */
  readonly asksForMs?: number;
}

export interface Keeping extends TargetView {
  /** Read the source and the templates now, and try again what was rejected; `retry`: what is blocked as well. */
  readonly sync: (retry?: boolean) => void;
  /** Ends the loop and the watches; what is undone is owed. `handsOver`: another one goes on for the same output. */
  readonly stop: (options?: { readonly handsOver?: boolean }) => Promise<void>;
}

/**
 * Starts keeping a target in step.
 * @throws SidecarError `settings.source` when the URL cannot work.
 */
export function keep(options: KeepOptions): Keeping {
  const { name, loaded, env, open, instance, log, onWait, asksForMs } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const random = Math.random;
  const start = (provider: ReturnType<OpenProvider>, what: string): Followed => {
    const onNews = (state: SourceState, news: News): void => {
      logNews(log, { target: name, [what]: state.url }, { state, news });
      target?.notice();
    };
    const silentAfterMs = silenceBoundMs(loaded.settings.UPDATE_FREQUENCY, loaded.settings.FETCH_TIMEOUT);
    return follow(provider, { signal, random, now: Date.now, onNews, silentAfterMs });
  };
  const provided = providerOptions(loaded, env);
  const { TEMPLATE } = loaded.settings;
  let target: Target | null = null;
  const source = start(open(provided), 'source');
  const template = TEMPLATE === undefined ? null : start(openTemplate(TEMPLATE.path, provided), 'template');
  const clock = (): number => performance.now();
  target = new Target({
    ...{ name, loaded, env, source, template, instance, log, random, clock },
    ...(onWait !== undefined && { onWait }),
    ...(asksForMs !== undefined && { asksForMs }),
  });
  const done = Promise.all([target.run(signal), source.done, template?.done]);
  return {
    name,
    target,
    source,
    template,
    staleAfterMs: loaded.settings.STALE_AFTER,
    preset: loaded.settings.PRESET === undefined ? null : presetStatus(loaded.settings.PRESET),
    sync: (retry = false) => {
      source.sync();
      template?.sync();
      target.tryAgain({ unblock: retry });
    },
    stop: async ({ handsOver = false } = {}) => {
      stopping.abort(handsOver ? HANDED_OVER : undefined);
      await done;
    },
  };
}

/** What a provider is told of the settings. */
export function providerOptions(loaded: Loaded, env: Environment): ProviderOptions {
  const { UPDATE_FREQUENCY, FETCH_TIMEOUT, MAX_SIZE } = loaded.settings;
  return {
    updateFrequencyMs: UPDATE_FREQUENCY,
    fetchTimeoutMs: FETCH_TIMEOUT,
    maxBytes: MAX_SIZE,
    setting: settingsForProvider(loaded),
    searchPath: env['PATH'],
    proxyEnv: Object.fromEntries(
      Object.entries(env).filter(([name]) => /^(https?|all|no)_proxy$/i.test(name)),
    ),
  };
}

/** One line for each transition: an outage is told at its beginning, when its reason changes, and at its end. */
function logNews(
  log: Log,
  fields: Readonly<Record<string, string>>,
  { state, news }: { state: SourceState; news: News },
): void {
  if (news === 'snapshot') log.debug('snapshot', { ...fields, revision: state.snapshot?.revision });
  else if (news === 'up') log.info('source up', fields);
  else if (news === 'down' && state.error !== null)
    log.warn('source down', { ...fields, ...errorFields(state.error) });
}
