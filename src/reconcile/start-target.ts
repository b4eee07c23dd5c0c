// One target started: its source and templates followed, its loop running, and what can be asked of it by hand.

import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { processFolder, readComm } from '../application/process/proc.ts';
import { describeHook } from '../application/reload/describe.ts';
import { lookupOf } from '../application/reload/settings.ts';
import { createVisibleProcesses } from '../application/visible-processes.ts';
import type { KeptGeneration } from '../ledger/ledger.ts';
import { type Log, withFields } from '../lib/log.ts';
import { sleep } from '../lib/wait.ts';
import { differences } from '../render/difference.ts';
import type { Environment } from '../settings/environment.ts';
import { pathsOf } from '../settings/outputs.ts';
import { presetStatus } from '../settings/presets/describe.ts';
import { withoutSecrets } from '../settings/secrets.ts';
import type { Loaded } from '../settings/settings.ts';
import type { SourcePool } from '../source/pool.ts';
import type { OpenProvider } from '../source/provider.ts';
import { announce, newReports } from './announce.ts';
import { followInputs } from './inputs.ts';
import type { Report } from './journal.ts';
import { perform } from './perform.ts';
import { policyOf } from './policy.ts';
import { HANDED_OVER, Reconciler } from './reconciler.ts';
import { chooseGeneration, notInControl } from './sentences.ts';
import { type State, startOf } from './state.ts';
import type { TargetView } from './view.ts';
import { openWorld, time } from './world.ts';

export interface TargetOptions {
  readonly name: string;
  readonly loaded: Loaded;
  readonly env: Environment;
  /** Opens the source; its provider is loaded already. */
  readonly open: OpenProvider;
  readonly instance: string;
  readonly log: Log;
  /** The sources that are followed already; default: none. */
  readonly pool?: SourcePool;
  /** Called whenever there is nothing to do for now. */
  readonly onRest?: (state: State) => void;
  /** Called when the lock of the state directory is ours. Must return at once. */
  readonly onOpen?: () => void;
  /** Called for each outcome that is news. Must return at once. */
  readonly onReport?: (report: Report) => void;
  /**
   * Until the source has answered it is asked for so long, in milliseconds, and a failure is no answer: for a run that is
   * to end. Without it the first failure counts, and at the latest FETCH_TIMEOUT.
   */
  readonly asksForMs?: number;
}

export interface RunningTarget extends TargetView {
  /** The folder of the state directory that belongs to this output. */
  readonly stateDirectory: string;
  /** Reads the source and the templates now, and tries again what was rejected; `retry`: what is blocked as well. */
  readonly sync: (retry?: boolean) => void;
  /**
   * Rolls back to a kept generation and stays there, over restarts; null: the newest one that is not on the volume.
   * @throws SidecarError `control.*` when there is no such generation, or `ledger.write`: nothing has changed then.
   */
  readonly pin: (generation: number | null, asker: PinAsker) => KeptGeneration;
  /** Follows the source again. @returns false when it was not pinned. @throws SidecarError `ledger.write`: it is still pinned then. */
  readonly unpin: () => boolean;
  /** Ends the loop and the watches; what is undone is owed. `handsOver`: another one goes on for the same output. */
  readonly stop: (options?: { readonly handsOver?: boolean }) => Promise<void>;
}

/** Who asks for a generation, and why (null: that was not said). */
interface PinAsker {
  readonly by: string;
  readonly reason: string | null;
}

/**
 * Starts one target.
 * @throws SidecarError `settings.source` when the URL cannot work.
 */
export function startTarget(options: TargetOptions): RunningTarget {
  const { name, loaded, env, instance, onRest, onOpen, onReport, asksForMs } = options;
  const output = pathsOf(loaded.settings.OUTPUTS).join(' ');
  const log = withFields(options.log, { target: name, output });
  const { FETCH_TIMEOUT, STALE_AFTER, PRESET } = loaded.settings;
  const stopping = new AbortController();
  let isStarted = false;
  const { source, template, read } = followInputs(
    {
      ...{ ...options, log },
      // What a source keeps on the disk is ours alone while the lock is.
      workDirectory: () =>
        isStarted && reconciler.state.session.isOpen ? join(store.directory, 'sources') : null,
      isFailureAnAnswer: asksForMs === undefined,
      onNews: () => {
        if (isStarted) post();
      },
    },
    stopping.signal,
  );
  const { steps, store, isThere, release } = openWorld({
    loaded,
    env,
    instance,
    source: () => source.state().url,
  });
  const policy = policyOf({ loaded, instance, askUntil: time().ms + (asksForMs ?? FETCH_TIMEOUT) });
  const say = announce(log, {
    hook: describeHook(loaded.settings),
    programOf: (pid) => readComm(processFolder(pid)),
  });
  const reconciler = new Reconciler(startOf(policy), {
    ...{ time, sleep, turn: nextTurn },
    perform: (action, state, signal) => perform(action, state, steps, signal),
    save: (ledger, how) => store.save(ledger, how),
    announce: (before, event, after) => {
      say(before, event, after);
      if (onReport !== undefined) newReports(before, after).forEach(onReport);
      if (event.kind === 'rested') onRest?.(after);
      if (event.kind === 'opened') onOpen?.();
    },
    release,
  });
  const difference = differences({
    outputs: loaded.settings.OUTPUTS,
    readVolume: steps.readVolume,
    mask: (text) => withoutSecrets(loaded, text),
  });
  const post = (): void => reconciler.post({ kind: 'source', ...read() });
  isStarted = true;
  const done = Promise.all([reconciler.run(stopping.signal), source.done, template?.done]);
  return {
    ...{ name, source, template, staleAfterMs: STALE_AFTER, stateDirectory: store.directory },
    get state() {
      return reconciler.state;
    },
    isThere,
    preset: PRESET === undefined ? null : presetStatus(PRESET),
    settings: loaded.settings,
    inSight: createVisibleProcesses(
      () => lookupOf(loaded.settings),
      () => reconciler.state.session.process?.id ?? null,
    ),
    difference: async () => {
      const { volume, held, candidate } = reconciler.state.session;
      const shown = volume?.rendering ?? null;
      return await difference({ shown, held, wanted: candidate?.generation ?? null });
    },
    sync: (retry = false) => {
      source.sync();
      template?.sync();
      reconciler.post({ kind: 'retry-asked', unblocks: retry });
    },
    pin: (generation, { by, reason }) => {
      const { ledger, session } = reconciler.state;
      if (!session.isOpen) throw notInControl();
      const chosen = chooseGeneration(ledger, { generation, onVolume: session.volume?.rendering ?? null });
      if (session.held?.rendering !== chosen.rendering) {
        try {
          steps.readCopy(chosen);
        } catch (thrown) {
          // One that cannot be read is not chosen.
          reconciler.post({ kind: 'copy-lost', rendering: chosen.rendering });
          throw thrown;
        }
      }
      const { rendering, generation: number } = chosen;
      const words = { by, ...(reason !== null && { reason }) };
      const pinned = { rendering, generation: number, at: Date.now(), ...words };
      reconciler.post({ kind: 'pinned', pinned });
      return chosen;
    },
    unpin: () => {
      const { ledger, session } = reconciler.state;
      if (!session.isOpen) throw notInControl();
      if (ledger.pinned === null) return false;
      reconciler.post({ kind: 'pinned', pinned: null });
      return true;
    },
    stop: async ({ handsOver = false } = {}) => {
      stopping.abort(handsOver ? HANDED_OVER : undefined);
      await done;
    },
  };
}
