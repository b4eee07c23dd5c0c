// Settings that were accepted, as the rest of the program has them.

import type { OutputSettings } from './outputs.ts';
import type { Place } from './paths.ts';
import type { RawSetting } from './raw-setting.ts';
import type { Name, Values } from './table.ts';

/** Every setting by its name, with what follows from others filled in. Ask `secretOf` or `currentOf` for secrets. */
export type Settings = Omit<Values, 'OUTPUT' | 'OUTPUTS' | 'STATE_DIR'> & {
  /** The first output, which is the only one as a rule; it names the state directory. */
  readonly OUTPUT: Place;
  /** All outputs, at least one, with what OUTPUTS leaves out filled in. */
  readonly OUTPUTS: readonly OutputSettings[];
  /** Absolute path. */
  readonly STATE_DIR: string;
};

/** Settings that were accepted. */
export interface Loaded<S = Settings> {
  readonly settings: S;
  /** What was given, and where; names that are missing have their default. */
  readonly raw: ReadonlyMap<Name, RawSetting>;
  /** Sentences for what is legal but probably not meant. */
  readonly warnings: readonly string[];
  /** Relative paths start here. */
  readonly cwd: string;
}

/** Every target with its settings, in the order of the settings file; only `default` where that has no `targets:`. */
export type Targets<S = Settings> = ReadonlyMap<string, Loaded<S>>;
