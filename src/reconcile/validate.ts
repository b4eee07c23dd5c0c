// Asks the checkers of all outputs about a private copy of a release, in which the outputs lie as they will on the volume.

import { withStagedCopy } from '../ledger/staged-copy.ts';
import type { Release } from '../render/release.ts';
import { runValidateCommand } from '../render/validate-command.ts';
import { type Environment, environmentForCommands } from '../settings/environment.ts';
import { shownPlace } from '../settings/outputs.ts';
import { checkerHint, checkerOf } from '../settings/preset.ts';
import { withoutSecrets } from '../settings/secrets.ts';
import type { Loaded } from '../settings/settings.ts';

export interface Validation {
  readonly loaded: Loaded;
  readonly env: Environment;
  /** The copy is made below it. */
  readonly directory: string;
  readonly release: Release;
}

/**
 * Runs VALIDATE_COMMAND of one output after the other; the first that refuses ends it.
 * @throws SidecarError of stage `validate`, or what the disk said of the copy.
 */
export async function validateRelease(
  { loaded, env, directory, release }: Validation,
  signal: AbortSignal,
): Promise<void> {
  const { OUTPUTS, VALIDATE_TIMEOUT: timeoutMs } = loaded.settings;
  const commands = OUTPUTS.flatMap((output) => {
    const files = release.parts.find(({ path }) => path === output.place.path)?.generation.files ?? [];
    const argv = checkerOf(
      loaded,
      output,
      files.map(({ name }) => name),
    );
    return argv === undefined ? [] : [{ output, argv }];
  });
  if (commands.length === 0) return;
  const mask = (printed: string): string => withoutSecrets(loaded, printed);
  const how = { env: environmentForCommands(env), timeoutMs, signal, mask, hint: checkerHint(loaded) };
  const outputs = OUTPUTS.map(({ place }) => place);
  await withStagedCopy(directory, { outputs, release }, async (copyOf) => {
    for (const { output, argv } of commands) {
      const of = OUTPUTS.length > 1 ? shownPlace(output.place) : undefined;
      await runValidateCommand({ ...how, argv, path: copyOf(output.place.path), of });
    }
  });
}
