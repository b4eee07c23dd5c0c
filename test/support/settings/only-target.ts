// Loads the settings of the one target that there is.
import {
  type Loaded,
  type LoadOptions,
  loadPartialTargets,
  loadTargets,
  ONLY_TARGET,
  type Settings,
  type Targets,
} from '../../../src/settings/settings.ts';

/** Throws a SettingsError. */
export async function loadSettings(options: LoadOptions): Promise<Loaded> {
  return only(await loadTargets(options));
}

/** The same where nothing is required. */
export async function loadPartialSettings(options: LoadOptions): Promise<Loaded<Partial<Settings>>> {
  return only(await loadPartialTargets(options));
}

function only<S>(targets: Targets<S>): Loaded<S> {
  const found = targets.get(ONLY_TARGET);
  if (found === undefined) throw new Error(`There are ${[...targets.keys()].join(', ')}`);
  return found;
}
