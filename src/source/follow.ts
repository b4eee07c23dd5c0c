// Follows what a target reads: one source, or several that look like one.
import { type Follow, type Followed, followOne, type SourceState } from './follower.ts';
import { followGroup } from './merge.ts';
import type { Provider, ProviderGroup } from './provider.ts';

export type { Follow, Followed, News, SourceState } from './follower.ts';
export { silenceBoundMs } from './follower.ts';

/** Starts following. Never throws and never ends before its signal aborts. */
export function follow(source: Provider | ProviderGroup, options: Follow): Followed {
  return 'parts' in source ? followGroup(source, options) : followOne(source, options);
}

/** The state of each source, in the order of SOURCE. */
export function statesOf(followed: Followed): readonly SourceState[] {
  return followed.parts?.() ?? [followed.state()];
}
