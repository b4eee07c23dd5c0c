// Generations that were replaced: kept for readers through their grace time, then removed; and what a crash has left.

import * as fs from 'node:fs';
import { atOnce, inSlices, type Sliced } from '../lib/slices.ts';
import type { Owner } from '../settings/types.ts';
import { type DirectoryHandle, openDirectory, within } from './directory-handle.ts';
import {
  currentGeneration,
  isGeneration,
  isLeftOver,
  mendingNames,
  refusingForeign,
  visibleNames,
} from './layout.ts';
import { ownNamesIn } from './ownership.ts';
import { listing, removeInBackground } from './remove-tree.ts';

/** How long a generation stays readable after it was replaced: a reader may have resolved `..data` just before. */
export const GRACE_MS = 60_000;
/** Judged by the files' own times, which can be set: so for twice the grace time. */
const LONG_MS = 2 * GRACE_MS;

export interface Retirement {
  /** Removes what was retired a minute ago, by the clock `now` (milliseconds). */
  readonly prune: (root: DirectoryHandle, now: number) => void;
  /** Removes a name in the background, once at a time. */
  readonly remove: (root: DirectoryHandle, name: string) => void;
  /** Which names of generations and left-overs in the directory are ours to remove. */
  readonly ours: (root: DirectoryHandle, names: readonly string[]) => readonly string[];
}

export function createRetirement(owner: Owner | null): Retirement {
  /** When a generation was first seen to be replaced. */
  const since = new Map<string, number>();
  /** Those that are being removed. */
  const goes = new Set<string>();
  /** Those that were visible in this run: ours whatever their owner, who may be the user of an earlier run. */
  const wasVisible = new Set<string>();
  let isListing = false;
  /** What was asked for while the directory was being listed: done right after. */
  let next: (() => void) | null = null;

  const remove = (root: DirectoryHandle, name: string): void => {
    if (goes.has(name)) return;
    goes.add(name);
    void removeInBackground(root, name).finally(() => goes.delete(name));
  };

  const ours = (root: DirectoryHandle, names: readonly string[]): readonly string[] => {
    const current = currentGeneration(root);
    if (current !== undefined) wasVisible.add(current);
    const isOwn = ownNamesIn(root, owner === null ? [] : [owner.uid]);
    return names.filter(
      (name) =>
        (isGeneration(name) || isLeftOver(name)) && name !== current && (wasVisible.has(name) || isOwn(name)),
    );
  };

  function* pruning(root: DirectoryHandle, now: number): Sliced<void> {
    isListing = true;
    try {
      const names = yield* listing(root);
      for (const name of ours(root, names).filter(isGeneration)) {
        const at = since.get(name) ?? now;
        since.set(name, at);
        if (goes.has(name) || now - at < GRACE_MS) continue;
        since.delete(name);
        wasVisible.delete(name);
        remove(root, name);
      }
    } finally {
      isListing = false;
      const again = next;
      next = null;
      again?.();
    }
  }

  const prune = (root: DirectoryHandle, now: number): void => {
    if (isListing) next = () => prune(root, now);
    else inSlices(pruning(root, now)).catch(() => {});
  };
  return { prune, remove, ours };
}

/** @param shown the directory as messages name it. */
export function recover(root: DirectoryHandle, shown: string, retirement: Retirement): void {
  const ours = retirement.ours(root, atOnce(listing(root)));
  for (const name of ours.filter(isLeftOver)) retirement.remove(root, name);
  const current = currentGeneration(root);
  if (current === undefined) return;
  for (const name of longRetired(root, current, ours.filter(isGeneration))) retirement.remove(root, name);
  const top = openDirectory(`${root.path}/${current}`);
  const names = visibleNames(within(top, (inside) => atOnce(listing(inside))));
  // What is foreign is said by the next look or publication, and not touched.
  atOnce(refusingForeign(root, shown, names));
  atOnce(mendingNames(root, names));
}

/** One was retired when the next was made. A sidecar that never lives for a minute would keep them all. */
function longRetired(root: DirectoryHandle, current: string, others: readonly string[]): readonly string[] {
  const madeAt = (name: string): number =>
    fs.lstatSync(`${root.path}/${name}`, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY;
  const generations = others.map((name) => ({ name, at: madeAt(name) })).sort((a, b) => a.at - b.at);
  return generations
    .filter((_, i) => Date.now() - (generations[i + 1]?.at ?? madeAt(current)) >= LONG_MS)
    .map(({ name }) => name);
}
