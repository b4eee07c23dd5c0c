// Looks the named process up for the loop, each time again: what it may be notified of, and until when it has to be left alone.

import type { Published } from '../../ledger/ledger.ts';
import { placesOf } from '../../settings/outputs.ts';
import type { Settings } from '../../settings/settings.ts';
import { lookupOf } from '../reload/settings.ts';
import type { ProcessFact } from '../types.ts';
import { bootTicks } from './boot-clock.ts';
import type { LookedUp, Lookup } from './lookup.ts';
import { createMountMemory } from './mount-memory.ts';
import { type ObservedProcess, observeProcess } from './observe-process.ts';

export interface ProcessFinder {
  /** Before the first of the others. @throws SidecarError `reload.pattern-unsupported`. */
  readonly open: () => Promise<void>;
  readonly find: (published: Published) => ObservedProcess;
  /**
   * Looks the process up while the disk is at work on a publication, for the look-up right after it. Nothing is lost by that:
   * a process that is there now started before, and that it is still the same and ready is checked again before it is notified.
   */
  readonly prefetch: () => void;
}

/** What was seen during a publication counts for so long: an exceptionally slow disk makes it worthless. */
const PREFETCH_MS = 50;

export function processFinder(settings: Settings): ProcessFinder {
  const mounts = createMountMemory(placesOf(settings.OUTPUTS));
  let lookup: Lookup | null = null;
  let prefetched: { readonly atMs: number; readonly found: LookedUp } | null = null;
  return {
    open: async () => {
      lookup ??= await lookupOf(settings);
    },
    find: (published) => {
      if (lookup === null) throw new Error('no process is named');
      const nowMs = performance.now();
      const known = prefetched;
      prefetched = null;
      const isFresh = known !== null && nowMs - known.atMs <= PREFETCH_MS;
      const from = isFresh ? { look: () => known.found } : lookup;
      const { fact, id } = observeProcess({ lookup: from, moment: published.moment, mounts, nowMs });
      return { fact: fact.kind === 'ready' ? afterDeath(published, settings.CONFIRM_PERIOD) : fact, id };
    },
    prefetch: () => {
      if (lookup === null) return;
      const atMs = performance.now();
      const found = lookup.look(atMs);
      // Only the good case: anything else may have changed by then.
      const isReady = found.kind === 'found' && found.readiness.kind === 'ready';
      prefetched = isReady ? { atMs, found } : null;
      if (isReady) mounts.prefetch(found.id, atMs);
    },
  };
}

/**
 * Where what was there before killed the application, a process from before this publication may have started with that and be
 * about to die of it: this publication would be blamed.
 */
function afterDeath({ moment, afterDeath: isAfterDeath }: Published, periodMs: number): ProcessFact {
  if (isAfterDeath !== true) return { kind: 'ready' };
  const ticks = bootTicks();
  const since = moment?.ticks ?? null;
  if (ticks === null || since === null) return { kind: 'ready' };
  const leftMs = periodMs - (ticks - since) * 10;
  return leftMs > 0 ? { kind: 'settling', until: performance.now() + leftMs } : { kind: 'ready' };
}
