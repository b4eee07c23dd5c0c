// What others may see of a target.

import type { PresetStatus } from '../settings/presets/describe.ts';
import type { Followed } from '../source/follow.ts';
import type { Target } from './target.ts';

/** One target with what it follows. */
export interface TargetView {
  readonly name: string;
  readonly target: Target;
  readonly source: Followed;
  /** The followed templates; null without TEMPLATE. */
  readonly template: Followed | null;
  readonly staleAfterMs: number;
  /** PRESET; null without one. */
  readonly preset: PresetStatus | null;
}
