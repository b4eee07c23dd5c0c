// What a target reads: its source and its templates, each followed, and what they hold put together.

import { errorFields, type Log } from '../lib/log.ts';
import { type Input, inputOf } from '../render/input.ts';
import { renderingExtras, templatePaths } from '../render/prepare.ts';
import type { Environment } from '../settings/environment.ts';
import { providerOptions } from '../settings/provider-options.ts';
import type { Loaded } from '../settings/settings.ts';
import {
  type Followed,
  follow,
  type SourceEvent,
  type SourceState,
  silenceBoundMs,
} from '../source/follow.ts';
import { SourcePool } from '../source/pool.ts';
import type { OpenProvider } from '../source/provider.ts';
import { openTemplates } from '../source/template-source.ts';

export interface InputOptions {
  readonly loaded: Loaded;
  readonly env: Environment;
  /** Opens the source. */
  readonly open: OpenProvider;
  readonly log: Log;
  /** The sources that are followed already; default: none. */
  readonly pool?: SourcePool;
  /** Where a source may keep something on the disk; null while the state directory is not ours. */
  readonly workDirectory: () => string | null;
  /** Whether a source that fails has had its chance. */
  readonly isFailureAnAnswer: boolean;
  readonly onNews: () => void;
}

export interface Inputs {
  readonly source: Followed;
  /** The followed templates; null without TEMPLATE. */
  readonly template: Followed | null;
  /** What they hold now. `isAsked`: all have answered or failed. */
  readonly read: () => { readonly isAsked: boolean; readonly input: Input | null };
}

/**
 * Follows them until the signal aborts.
 * @throws SidecarError `settings.source` when the URL cannot work.
 */
export function followInputs(options: InputOptions, signal: AbortSignal): Inputs {
  const { loaded, env, open, log, workDirectory, pool = new SourcePool(), onNews } = options;
  const { UPDATE_FREQUENCY, FETCH_TIMEOUT } = loaded.settings;
  const silentAfterMs = silenceBoundMs(UPDATE_FREQUENCY, FETCH_TIMEOUT);
  const ours = { ...providerOptions(loaded, env), workDirectory };
  const templates = openTemplates(templatePaths(loaded.settings), ours);
  const start = (provider: ReturnType<OpenProvider>, what: string): Followed =>
    follow(
      provider,
      {
        ...{ signal, silentAfterMs, random: Math.random, now: Date.now },
        onNews: (state, news) => {
          logNews(log, { [what]: state.url }, { state, news });
          onNews();
        },
      },
      pool,
    );
  const source = start(open(ours), 'source');
  const template = templates && start(templates, 'template');
  const extra = renderingExtras(loaded, env);
  const isAsked = (followed: Followed): boolean => {
    const { snapshot, error } = followed.state();
    return snapshot !== null || (error !== null && options.isFailureAnAnswer);
  };
  return {
    source,
    template,
    read: () => ({
      isAsked: isAsked(source) && (template === null || isAsked(template)),
      input: inputOf(source.state().snapshot, template?.state().snapshot ?? null, {
        hasTemplates: template !== null,
        extra,
      }),
    }),
  };
}

/** One line for each transition: an outage is logged at its beginning, when its reason changes, and at its end. */
function logNews(
  log: Log,
  fields: Readonly<Record<string, string>>,
  { state, news }: { readonly state: SourceState; readonly news: SourceEvent },
): void {
  const { error, snapshot } = state;
  if (news === 'snapshot') {
    const message = 'A version of the data was read.';
    log.debug('snapshot', { ...fields, revision: snapshot?.revision, message });
  } else if (news === 'up') log.info('source up', { ...fields, message: 'The source answers.' });
  else if (news === 'down' && error !== null) log.warn('source down', { ...fields, ...errorFields(error) });
}
