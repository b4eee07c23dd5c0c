// The steps of one target on the real machine: its volume, its state directory, its application and its clocks. What they remember
// between two calls is private to them, and nothing that is decided depends on it.

import { Confirmation, confirmSettingsOf } from '../application/confirm/confirm.ts';
import { bootStamp, bootTicks, stampOf } from '../application/process/boot-clock.ts';
import { processFinder } from '../application/process/finder.ts';
import { childrenOf } from '../application/process/liveness.ts';
import { reload } from '../application/reload/reload.ts';
import { hookOf } from '../application/reload/settings.ts';
import { findGenerations, readGeneration } from '../ledger/kept-generations.ts';
import { openStateDirectory } from '../ledger/state-directory.ts';
import { Store } from '../ledger/store.ts';
import { freesAfterWork } from '../lib/engine.ts';
import { openOutputs } from '../publish/outputs.ts';
import type { Volume } from '../publish/publisher.ts';
import { prepare } from '../render/prepare.ts';
import { largestRelease } from '../render/release.ts';
import type { Environment } from '../settings/environment.ts';
import { pathsOf, placesOf, stateDirectoryOf } from '../settings/outputs.ts';
import { withoutSecrets } from '../settings/secrets.ts';
import type { Loaded } from '../settings/settings.ts';
import type { SeenVolume, Time } from './state.ts';
import type { Steps } from './steps.ts';
import { validateRelease } from './validate.ts';

export interface WorldOptions {
  readonly loaded: Loaded;
  readonly env: Environment;
  /** Who we are, for a second sidecar that waits for the lock. */
  readonly instance: string;
  /** Where the data comes from, without credentials. */
  readonly source: () => string;
}

const countWork = freesAfterWork();

export function time(): Time {
  return { ms: performance.now(), unixMs: Date.now(), chance: Math.random() };
}

/** What the loop of one target works with, and what others may ask of it. */
export interface RealWorld {
  readonly steps: Steps;
  readonly store: Store;
  /** Whether anything of ours is on the volume, looked at now. */
  readonly isThere: () => boolean;
  /** At the end: the lock, and the directories that are held. */
  readonly release: () => void;
}

/** As far as the files show it. */
function dated(volume: Volume): SeenVolume {
  return { ...volume, moment: stampOf(volume.changedAt) };
}

export function openWorld({ loaded, env, instance, source }: WorldOptions): RealWorld {
  const { OUTPUT: first, OUTPUTS, STATE_DIR, MAX_SIZE } = loaded.settings;
  const maxBytes = largestRelease(MAX_SIZE);
  const directory = stateDirectoryOf(first, STATE_DIR);
  const publisher = openOutputs(placesOf(OUTPUTS), maxBytes);
  const outputs = pathsOf(OUTPUTS);
  const find = processFinder(loaded.settings);
  const store = new Store(directory, async () => {
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
  });
  const masked = <Said extends object>(said: Said): Said =>
    'output' in said && typeof said.output === 'string'
      ? { ...said, output: withoutSecrets(loaded, said.output) }
      : said;
  let confirmation: Confirmation | null = null;
  countWork();
  const steps: Steps = {
    ...{ time, childrenOf, moment: bootStamp },
    open: async () => {
      await find.open();
      const { ledger, from } = await store.open();
      // Without a ledger the copies say themselves what was known to work.
      return {
        ledger,
        from,
        copies: ledger.generation > 0 ? [] : findGenerations(store.held, maxBytes),
        volume: dated(publisher.look()),
      };
    },
    isHeld: () => store.isHeld(),
    observe: async () => {
      const volume = await publisher.lookInSlices();
      publisher.prune(performance.now());
      return dated(volume);
    },
    observeNow: () => dated(publisher.look()),
    readVolume: () => publisher.read(),
    stage: async (generation) => {
      const staging = publisher.stage(generation);
      find.prefetch();
      countWork();
      return await staging;
    },
    settled: () => publisher.settled(),
    readCopy: (kept) => readGeneration(store.held, kept, { outputs, maxBytes }),
    writeCopy: (kept, generation) => store.copies.keep(kept, generation, maxBytes),
    pruneCopies: () => store.copies.prune(store.kept),
    render: (input, revision) => prepare(input, { loaded, env, source: source(), revision }),
    validate: (release, signal) => validateRelease({ loaded, env, directory, release }, signal),
    findProcess: (published) => find.find(published),
    notify: async (context, signal) => {
      const hook = hookOf(loaded, env);
      return hook && masked(await reload(hook, { ...context, output: first.path, outputs }, signal));
    },
    confirm: async (view, signal) => {
      confirmation ??= new Confirmation({
        settings: () => confirmSettingsOf(loaded),
        resumed: view.isResumed,
      });
      const sightings = {
        ...{ nowMs: Date.now(), ticks: bootTicks() },
        get current() {
          return view.current();
        },
      };
      return masked(await confirmation.look(view.trial, view.published, sightings, signal));
    },
  };
  return {
    steps,
    store,
    isThere: () => publisher.isThere(),
    release: () => {
      store.release();
      publisher.release();
    },
  };
}
