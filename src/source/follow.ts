// Follows what a target reads: one source, or several that look like one.
import type { Follow, Followed, SourceState } from './follower.ts';
import { followGroup } from './merge.ts';
import type { SourcePool } from './pool.ts';
import type { Provider, ProviderGroup } from './provider.ts';

export type { Follow, Followed, SourceEvent, SourceState } from './follower.ts';
export { silenceBoundMs } from './follower.ts';

/** Starts following, together with others in the pool. Never throws and never ends before its signal aborts. */
export function follow(source: Provider | ProviderGroup, options: Follow, pool: SourcePool): Followed {
  return 'parts' in source ? followGroup(source, options, pool) : pool.follow(source, options);
}

/** The state of each source, in the order of SOURCE. */
export function statesOf(followed: Followed): readonly SourceState[] {
  return followed.parts?.() ?? [followed.state()];
}
