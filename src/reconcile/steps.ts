// What the loop needs of the world, one function for each step.

import type { ConfirmResult } from '../application/confirm/confirm.ts';
import type { ObservedProcess } from '../application/process/observe-process.ts';
import type { ReloadContext, ReloadResult } from '../application/reload/hook.ts';
import type { KeptGeneration, Published, Trial } from '../ledger/ledger.ts';
import type { BootStamp, ProcessId } from '../ledger/types.ts';
import type { StagedRelease } from '../publish/outputs.ts';
import type { Input } from '../render/input.ts';
import type { Release } from '../render/release.ts';
import type { Opened, SeenVolume, Time } from './state.ts';

/** What commands and hooks printed comes without our secrets. */
export interface Steps {
  readonly time: () => Time;
  /** Takes the lock, reads what is there and removes left-overs. @throws SidecarError `state.locked`, or what the disk said. */
  readonly open: () => Promise<Opened>;
  /** Whether lock and ledger are where they were; when they are not, the lock is given up. */
  readonly isHeld: () => boolean;
  /** Reads the volume, and removes generations whose grace time is over. */
  readonly observe: () => Promise<SeenVolume>;
  readonly observeNow: () => SeenVolume;
  /** What the volume shows. */
  readonly readVolume: () => Release;
  /** Now, on the boot clock. */
  readonly moment: () => BootStamp;
  /** Waits until what is visible outlives a crash of the machine. @throws SidecarError of stage `publish`. */
  readonly settled: () => Promise<void>;
  /** Writes all that has to be written, of which nothing is visible yet. */
  readonly stage: (generation: Release) => Promise<StagedRelease>;
  /** @throws SidecarError `state.generation-damaged`. */
  readonly readCopy: (kept: KeptGeneration) => Release;
  readonly writeCopy: (kept: KeptGeneration, generation: Release) => Promise<void>;
  /** Removes the copies of what the saved ledger does not keep. */
  readonly pruneCopies: () => void;
  readonly render: (input: Input, revision: string) => Promise<Release>;
  /** @throws SidecarError of stage `validate`, or what the disk said. */
  readonly validate: (generation: Release, signal: AbortSignal) => Promise<void>;
  readonly findProcess: (published: Published) => ObservedProcess;
  readonly childrenOf: (process: ProcessId) => readonly ProcessId[];
  /** null: there is no hook. */
  readonly notify: (
    context: Omit<ReloadContext, 'output' | 'outputs'>,
    signal: AbortSignal,
  ) => Promise<ReloadResult | null>;
  readonly confirm: (view: ConfirmView, signal: AbortSignal) => Promise<ConfirmResult>;
}

interface ConfirmView {
  readonly trial: Trial;
  readonly published: Published;
  /** Finds the process: called only where the verdict depends on it. */
  readonly current: () => ProcessId | null;
  /** The trial was started by a run before this one. */
  readonly isResumed: boolean;
}
