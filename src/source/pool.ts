// Sources that several targets name: each is followed once, and every target that named it hears of it.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { aborted } from '../lib/wait.ts';
import { type Follow, type Followed, followOne } from './follower.ts';
import type { Provider, Snapshot } from './provider.ts';

type Listener = Follow<Snapshot>['onNews'];

interface Shared {
  readonly followed: Followed<Snapshot>;
  readonly listeners: Set<Listener>;
  readonly end: AbortController;
}

/** Every source that is followed in this process. */
export class SourcePool {
  readonly #shared = new Map<string, Shared>();

  /**
   * Follows a source, together with all who follow one of the same identity. The bounds and delays are those of the first; it
   * ends with the last.
   */
  follow(provider: Provider, options: Follow<Snapshot>): Followed<Snapshot> {
    const { identity } = provider;
    if (identity === undefined) return followOne(provider, options);
    const known = this.#shared.get(identity);
    const shared = known ?? this.#begin(identity, provider, options);
    const { state, sync } = shared.followed;
    const leave = join(shared, options, known !== undefined);
    return { state, sync, done: this.#left(identity, shared, { signal: options.signal, leave }) };
  }

  #begin(identity: string, provider: Provider, options: Follow<Snapshot>): Shared {
    const listeners = new Set<Listener>();
    const end = new AbortController();
    const onNews: Listener = (state, news) => {
      for (const listener of [...listeners]) listener(state, news);
    };
    const shared = {
      listeners,
      end,
      followed: followOne(provider, { ...options, signal: end.signal, onNews }),
    };
    this.#shared.set(identity, shared);
    return shared;
  }

  async #left(
    identity: string,
    { listeners, end, followed }: Shared,
    { signal, leave }: { readonly signal: AbortSignal; readonly leave: () => void },
  ): Promise<void> {
    await aborted(signal);
    leave();
    if (listeners.size > 0 || end.signal.aborted) return;
    this.#shared.delete(identity);
    end.abort();
    await followed.done;
  }
}

/** Hears all news from now on; one who joins late hears first what is known. Returns what ends that. */
function join(
  { followed, listeners }: Shared,
  { signal, onNews }: Follow<Snapshot>,
  isLate: boolean,
): () => void {
  let hasHeard = !isLate;
  const listener: Listener = (state, news) => {
    hasHeard = true;
    onNews(state, news);
  };
  const catchUp = async (): Promise<void> => {
    await nextTurn();
    if (hasHeard || signal.aborted) return;
    const state = followed.state();
    if (state.up) onNews(state, 'up');
    else if (state.error !== null) onNews(state, 'down');
    if (state.snapshot !== null) onNews(state, 'snapshot');
  };
  listeners.add(listener);
  if (isLate) void catchUp();
  return () => void listeners.delete(listener);
}
