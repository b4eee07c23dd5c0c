// Several followed sources that look like one: all must have answered once; then the newest snapshot of each counts.
import type { SidecarError } from '../lib/errors.ts';
import type { Follow, Followed, SourceState } from './follower.ts';
import type { SourcePool } from './pool.ts';
import type { MergedPart, ProviderGroup, Snapshot, SourcePart, TargetSnapshot } from './provider.ts';

/** Puts sources together, in the order of SOURCE. */
export function groupOf(parts: readonly SourcePart[]): ProviderGroup {
  const shown = parts.map(({ name, provider }) => labelOf({ name, source: provider.source }));
  return { source: shown.join(' '), parts };
}

/** A source as SOURCE spells it, without credentials: `tls=/certs/`. */
export function labelOf({ name, source }: Pick<MergedPart, 'name' | 'source'>): string {
  return name === null ? source : `${name}=${source}`;
}

/**
 * Follows all of them, each with outages and delays of its own. `onNews` gets the state of the source it is about.
 * `state()` is that of all: up when all are, in contact since the one that has been silent for longest.
 */
export function followGroup(group: ProviderGroup, options: Follow, pool: SourcePool): Followed {
  const { parts } = group;
  const follows = parts.map(({ provider }) => pool.follow(provider, options));
  const merge = createMerge(parts);
  const states = (): readonly SourceState<Snapshot>[] => follows.map(({ state }) => state());
  return {
    state: () => combine(group.source, states(), merge),
    parts: states,
    sync: () => {
      for (const one of follows) one.sync();
    },
    done: Promise.all(follows.map(({ done }) => done)).then(() => undefined),
  };
}

/** One snapshot of several, in the order of `parts`. */
export function mergeSnapshots(parts: readonly SourcePart[], snapshots: readonly Snapshot[]): TargetSnapshot {
  const merged = snapshots.flatMap((snapshot, at): MergedPart[] => {
    const part = parts[at];
    if (part === undefined) return [];
    const { provider, ...place } = part;
    return [{ ...place, source: provider.source, snapshot }];
  });
  return {
    revision: snapshots.map(({ revision }) => revision).join(','),
    content: { kind: 'merged', parts: merged },
  };
}

type Merge = (snapshots: readonly (Snapshot | null)[]) => TargetSnapshot | null;

/** Merges again only when a snapshot is another one: the same input is to be the same object. */
function createMerge(parts: readonly SourcePart[]): Merge {
  let known: { readonly of: readonly Snapshot[]; readonly snapshot: TargetSnapshot } | null = null;
  return (snapshots) => {
    const there = snapshots.filter((snapshot) => snapshot !== null);
    if (there.length < parts.length) return null;
    if (known?.of.every((snapshot, at) => snapshot === there[at]) !== true) {
      known = { of: there, snapshot: mergeSnapshots(parts, there) };
    }
    return known.snapshot;
  };
}

function combine(url: string, states: readonly SourceState<Snapshot>[], merge: Merge): SourceState {
  const contacts = states.map(({ lastContactAt }) => lastContactAt);
  return {
    url,
    up: states.every(({ up }) => up),
    snapshot: merge(states.map(({ snapshot }) => snapshot)),
    lastContactAt: contacts.includes(null) ? null : Math.min(...contacts.map(Number)),
    lastChangeAt: latest(states.map(({ lastChangeAt }) => lastChangeAt)),
    error: errorOf(states),
    nextTryAt: earliest(states.map(({ nextTryAt }) => nextTryAt)),
    errors: sumOf(states),
  };
}

/** While sources have never answered their errors are what holds everything up; one that only is down does not. */
function errorOf(states: readonly SourceState[]): SidecarError | null {
  const missing = states.filter(({ snapshot }) => snapshot === null);
  const counted = missing.length > 0 ? missing : states;
  return counted.find(({ error }) => error !== null)?.error ?? null;
}

function latest(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.max(...known);
}

function earliest(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.min(...known);
}

function sumOf(states: readonly SourceState[]): Readonly<Record<string, number>> {
  const sum: Record<string, number> = {};
  for (const { errors } of states) {
    for (const [code, count] of Object.entries(errors)) sum[code] = (sum[code] ?? 0) + count;
  }
  return sum;
}
