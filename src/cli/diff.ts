// What a publication would change, as a unified diff, writing nothing.

import { readLedger } from '../ledger/ledger-file.ts';
import { openOutputs } from '../publish/outputs.ts';
import { inputOf } from '../render/input.ts';
import { patchOf } from '../render/patch.ts';
import { originsOfKeys, prepare, renderingExtras, templatePaths } from '../render/prepare.ts';
import { largestRelease } from '../render/release.ts';
import type { Environment } from '../settings/environment.ts';
import { placesOf, stateDirectoryOf } from '../settings/outputs.ts';
import { providerOptions } from '../settings/provider-options.ts';
import type { Loaded } from '../settings/settings.ts';
import type { OpenProvider } from '../source/provider.ts';
import { readOnce } from '../source/read-once.ts';
import { openTemplates } from '../source/template-source.ts';

export interface DiffOptions {
  readonly loaded: Loaded;
  readonly env: Environment;
  readonly open: OpenProvider;
}

/**
 * Reads and renders once and compares with the volume. Empty when nothing would change.
 * @throws SidecarError as the source, the guards and the rendering do.
 */
export async function diff({ loaded, env, open }: DiffOptions): Promise<string> {
  const { OUTPUT, OUTPUTS, STATE_DIR, FETCH_TIMEOUT, MAX_SIZE } = loaded.settings;
  const options = providerOptions(loaded, env);
  const provider = open(options);
  const snapshot = await readOnce(provider, FETCH_TIMEOUT);
  const followed = openTemplates(templatePaths(loaded.settings), options);
  const templates = followed && (await readOnce(followed, FETCH_TIMEOUT));
  const extra = renderingExtras(loaded, env);
  const input = inputOf(snapshot, templates, { hasTemplates: templates !== null, extra });
  if (input === null) return '';
  const { published } = readLedger(stateDirectoryOf(OUTPUT, STATE_DIR)).ledger;
  const revision = published?.input === input.id ? published.revision : snapshot.revision;
  const wanted = await prepare(input, { loaded, env, source: provider.source, revision });
  const outputs = openOutputs(placesOf(OUTPUTS), largestRelease(MAX_SIZE));
  const { rendering, problem } = outputs.look();
  if (problem !== null) throw problem;
  if (rendering === wanted.rendering) return '';
  const origins = await originsOfKeys(input, { loaded, source: provider.source });
  // Before the first file: a program that applies the patch skips these lines.
  return (
    origins.map((line) => `# from ${line}\n`).join('') + patchOf(outputs.read(), wanted, { outputs: OUTPUTS })
  );
}
