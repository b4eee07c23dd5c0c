// What others see of a target that runs: status, metrics, page and commands.

import type { VisibleProcesses } from '../application/visible-processes.ts';
import type { PresetStatus } from '../settings/presets/describe.ts';
import type { Settings } from '../settings/settings.ts';
import type { Followed } from '../source/follow.ts';
import type { State } from './state.ts';

/** One target with what it follows. */
export interface TargetView {
  readonly name: string;
  readonly settings: Settings;
  /** As it is now: a plain value. */
  readonly state: State;
  /** Whether anything of ours is on the volume, looked at now. */
  readonly isThere: () => boolean;
  readonly source: Followed;
  /** The followed templates; null without TEMPLATE. */
  readonly template: Followed | null;
  readonly staleAfterMs: number;
  /** PRESET; null without one. */
  readonly preset: PresetStatus | null;
  /** The application and the other processes, as they are now. */
  readonly inSight: VisibleProcesses;
  /** What the source has and the volume does not show, as a diff with secrets masked; null: nothing, or not rendered. */
  readonly difference: () => Promise<string | null>;
}
