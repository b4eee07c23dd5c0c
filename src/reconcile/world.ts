// The steps of one target on the real machine: its volume, its state directory, its application and its clocks. What they remember
// between two calls is private to them, and nothing that is decided depends on it.

import { Confirmation, confirmSettingsOf } from '../application/confirm/confirm.ts';
import { bootStamp, bootTicks } from '../application/process/boot-clock.ts';
import { childrenOf } from '../application/process/liveness.ts';
import type { Lookup, LookedUp as Sight } from '../application/process/lookup.ts';
import { type ObservedProcess, observeProcess } from '../application/process/observe-process.ts';
import { reload } from '../application/reload/reload.ts';
import { hookOf, lookupOf } from '../application/reload/settings.ts';
import {
  findGenerations,
  keepGeneration,
  pruneGenerations,
  readGeneration,
} from '../ledger/kept-generations.ts';
import { EMPTY_LEDGER, type Ledger, type Published } from '../ledger/ledger.ts';
import { writeLedger } from '../ledger/ledger-file.ts';
import { openStateDirectory, type StateDirectory, stateDirectoryOf } from '../ledger/state-directory.ts';
import type { BootStamp } from '../ledger/types.ts';
import { type SidecarError, toSidecarError } from '../lib/errors.ts';
import { type Random, spread } from '../lib/schedule.ts';
import { openOutputs } from '../publish/outputs.ts';
import type { Volume } from '../publish/publisher.ts';
import { prepare } from '../render/prepare.ts';
import type { Environment } from '../settings/environment.ts';
import { pathsOf, placesOf } from '../settings/outputs.ts';
import { withoutSecrets } from '../settings/secrets.ts';
import type { Loaded, Settings } from '../settings/settings.ts';
import type { Steps } from './perform.ts';
import type { Event, Time } from './state.ts';
import { validateRelease } from './validate.ts';

export interface WorldOptions {
  readonly loaded: Loaded;
  readonly env: Environment;
  /** Who we are, for a second sidecar that waits for the lock. */
  readonly instance: string;
  /** Where the data comes from, without credentials. */
  readonly source: () => string;
  readonly random: Random;
}

/** What was seen during a publication counts for so long: an exceptionally slow disk makes it worthless. */
const PREFETCH_MS = 50;

export function time(): Time {
  return { ms: performance.now(), unixMs: Date.now() };
}

/** The state directory: its lock, and the ledger on the disk. */
class Store {
  readonly directory: string;
  readonly #open: () => Promise<StateDirectory>;
  readonly #onRelease: () => void;
  #held: StateDirectory | null = null;
  #saved: Ledger = EMPTY_LEDGER;
  #sequence = 0;
  /** The newest write that is known to outlive the machine. */
  #flushed = 0;

  constructor(directory: string, open: () => Promise<StateDirectory>, onRelease: () => void) {
    this.directory = directory;
    this.#open = open;
    this.#onRelease = onRelease;
  }

  async open(): Promise<StateDirectory> {
    const state = await this.#open();
    this.#held = state;
    this.#saved = state.ledger;
    this.#sequence = state.sequence;
    return state;
  }

  isHeld(): boolean {
    if (this.#held?.isHeld()) return true;
    // The output's own directory stays held: what is at its place now may be another one.
    this.#letGo();
    return false;
  }

  /** See `World.save`. */
  save(ledger: Ledger, event: Event): SidecarError | null | undefined {
    const how = DURABILITY[event.kind];
    if (how === undefined || this.#held === null || this.#saved === ledger) return undefined;
    try {
      this.#write(ledger, how === 'flushed' && !(event.kind === 'confirmed' && event.kept === null));
      return null;
    } catch (thrown) {
      return toSidecarError(thrown, 'ledger');
    }
  }

  /** The numbers of the generations that the ledger on the disk keeps. */
  get kept(): readonly number[] {
    return this.#saved.kept.map(({ generation }) => generation);
  }

  /** The state directory itself while it is ours, whatever has its name; else its path. */
  get held(): string {
    return this.#held?.held ?? this.directory;
  }

  /** At the end. */
  release(): void {
    this.#letGo();
    this.#onRelease();
  }

  #letGo(): void {
    this.#held?.release();
    this.#held = null;
  }

  #write(ledger: Ledger, flushed: boolean): void {
    const sequence = this.#sequence;
    // What is kept says so itself; a pin and blocks stand nowhere else.
    const isPrecious = ledger.pinned !== null || ledger.blocked.length > 0;
    const flushesOther = isPrecious && !flushed && this.#flushed === sequence - 1;
    this.#sequence = writeLedger(this.held, ledger, { sequence, flushed, flushesOther });
    if (flushed) this.#flushed = this.#sequence;
    else if (flushesOther) this.#flushed = sequence;
    this.#saved = ledger;
  }
}

/** What is saved before the step goes on, and what of it has to outlive the machine. The rest is saved with the next of these. */
const DURABILITY: Partial<Record<Event['kind'], 'written' | 'flushed'>> = {
  intended: 'written',
  notified: 'written',
  confirmed: 'flushed',
  kept: 'flushed',
  'trial-failed': 'flushed',
  'suspicion-confirmed': 'flushed',
  pinned: 'flushed',
  rested: 'written',
  ended: 'written',
};

/** What the loop of one target works with, and what others may ask of it. */
export interface RealWorld {
  readonly steps: Steps;
  readonly store: Store;
  /** Whether anything of ours is on the volume, looked at now. */
  readonly isThere: () => boolean;
}

export function openWorld({ loaded, env, instance, source, random }: WorldOptions): RealWorld {
  const { OUTPUT: first, OUTPUTS, STATE_DIR, UPDATE_FREQUENCY, MAX_SIZE: maxBytes } = loaded.settings;
  const directory = stateDirectoryOf(first, STATE_DIR);
  const publisher = openOutputs(placesOf(OUTPUTS), maxBytes);
  const outputs = pathsOf(OUTPUTS);
  const find = processFinder(loaded.settings);
  const store = new Store(
    directory,
    async () => {
      // What has taken the place of an output's directory gets no state of ours either.
      publisher.hold();
      const state = await openStateDirectory(directory, first, instance);
      try {
        await publisher.complete(state.ledger.intended?.staged ?? []);
        publisher.recover();
        return state;
      } catch (thrown) {
        state.release();
        throw thrown;
      }
    },
    () => publisher.release(),
  );
  let confirmation: Confirmation | null = null;
  const steps: Steps = {
    ...{ time, random, childrenOf, momentOf, moment: bootStamp },
    mask: (text) => withoutSecrets(loaded, text),
    lookEveryMs: () => spread(UPDATE_FREQUENCY, random),
    open: async () => {
      await find.open();
      const { ledger, from } = await store.open();
      // Without a ledger the copies say themselves what was known to work.
      return {
        ledger,
        from,
        copies: ledger.generation > 0 ? [] : findGenerations(store.held, maxBytes),
        volume: publisher.look(),
      };
    },
    isHeld: () => store.isHeld(),
    observe: async () => {
      const volume = await publisher.lookInSlices();
      publisher.prune(performance.now());
      return volume;
    },
    observeNow: () => publisher.look(),
    readVolume: () => publisher.read(),
    stage: async (generation) => {
      const staging = publisher.stage(generation);
      find.prefetch();
      return await staging;
    },
    settled: () => publisher.settled(),
    readCopy: (kept) => readGeneration(store.held, kept, { outputs, maxBytes }),
    writeCopy: (kept, generation) => keepGeneration(store.held, kept, generation, maxBytes),
    pruneCopies: () => pruneGenerations(store.held, store.kept),
    render: (input, revision) => prepare(input, { loaded, env, source: source(), revision }),
    validate: (release, signal) => validateRelease({ loaded, env, directory, release }, signal),
    findProcess: (published) => find.find(published),
    settlesUntil: (published) => settlesUntil(published, loaded.settings.CONFIRM_PERIOD),
    notify: async (context, signal) => {
      const hook = hookOf(loaded, env);
      return hook && (await reload(hook, { ...context, output: first.path, outputs }, signal));
    },
    confirm: async (view, signal) => {
      confirmation ??= new Confirmation({
        settings: () => confirmSettingsOf(loaded),
        resumed: view.isResumed,
      });
      const sightings = {
        ...{ nowMs: Date.now(), ticks: bootTicks() },
        get current() {
          return view.current;
        },
      };
      return await confirmation.look(view.trial, view.published, sightings, signal);
    },
  };
  return { steps, store, isThere: () => publisher.isThere() };
}

/** From the files' own time, put later by a second since the two clocks are not one. */
function momentOf({ changedAt }: Volume): BootStamp {
  const { bootId, ticks } = bootStamp();
  if (changedAt === null || ticks === null) return { bootId: null, ticks: null };
  return { bootId, ticks: ticks - Math.floor((Date.now() - changedAt) / 10) + 100 };
}

/**
 * Where the one before killed the application, a process from before this publication may have started with that and be
 * about to die of it: this one would be blamed.
 */
function settlesUntil({ moment }: Published, periodMs: number): number | null {
  const ticks = bootTicks();
  const since = moment?.ticks ?? null;
  if (ticks === null || since === null) return null;
  const leftMs = periodMs - (ticks - since) * 10;
  return leftMs > 0 ? performance.now() + leftMs : null;
}

interface ProcessFinder {
  /** Before the first of the others. @throws SidecarError `reload.pattern-unsupported`. */
  readonly open: () => Promise<void>;
  readonly find: (published: Published) => ObservedProcess;
  /**
   * Looks the process up while the disk is at work on a publication, for the look-up right after it. Nothing is lost by that:
   * a process that is there now started before, and that it is still the same and ready is checked again before it is notified.
   */
  readonly prefetch: () => void;
}

/** Looks the named process up, each time anew. */
function processFinder(settings: Settings): ProcessFinder {
  const outputPaths = pathsOf(settings.OUTPUTS);
  let lookup: Lookup | null = null;
  let prefetched: { readonly atMs: number; readonly sight: Sight } | null = null;
  return {
    open: async () => {
      lookup ??= await lookupOf(settings);
    },
    find: ({ moment }) => {
      if (lookup === null) throw new Error('no process is named');
      const nowMs = performance.now();
      const known = prefetched;
      prefetched = null;
      const isFresh = known !== null && nowMs - known.atMs <= PREFETCH_MS;
      const from = isFresh ? { look: () => known.sight } : lookup;
      return observeProcess({ lookup: from, moment, outputPaths, nowMs });
    },
    prefetch: () => {
      if (lookup === null) return;
      const atMs = performance.now();
      const sight = lookup.look(atMs);
      // Only the good case: anything else may have changed by then.
      prefetched = sight.kind === 'found' && sight.readiness.kind === 'ready' ? { atMs, sight } : null;
    },
  };
}
