// What a publication would change, as a unified diff, writing nothing.
import { createTwoFilesPatch } from 'diff';
import { readLedger } from '../ledger/ledger-file.ts';
import { stateDirectoryOf } from '../ledger/state-directory.ts';
import { openOutputs } from '../publish/outputs.ts';
import { providerOptions } from '../reconcile/provider-options.ts';
import type { Generation, GenerationFile } from '../render/generation.ts';
import { inputOf } from '../render/input.ts';
import { originsOfKeys, prepare, renderingExtras, templatePaths } from '../render/prepare.ts';
import type { Environment } from '../settings/environment.ts';
import { type OutputSettings, shownPlace } from '../settings/outputs.ts';
import type { Place } from '../settings/paths.ts';
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
  const outputs = openOutputs(
    OUTPUTS.map(({ place, owner }) => ({ ...place, owner })),
    MAX_SIZE,
  );
  const { rendering, problem } = outputs.look();
  if (problem !== null) throw problem;
  if (rendering === wanted.rendering) return '';
  const origins = await originsOfKeys(input, { loaded, source: provider.source });
  const isAlone = OUTPUTS.length === 1;
  const patches = outputs.read().parts.map((before) => {
    const after = wanted.parts.find(({ path }) => path === before.path) ?? before;
    return compare(before.generation, after.generation, isAlone ? null : outputAt(OUTPUTS, before.path));
  });
  // Before the first file: a program that applies the patch skips these lines.
  return origins.map((line) => `# from ${line}\n`).join('') + patches.join('');
}

function outputAt(outputs: readonly OutputSettings[], path: string): Place {
  return outputs.find(({ place }) => place.path === path)?.place ?? { kind: 'file', path };
}

/** @param place null where there is one output, whose name needs not be said. */
function compare(before: Generation, wanted: Generation, place: Place | null): string {
  if (before.rendering === wanted.rendering) return '';
  const [old, now] = [filesOf(before), filesOf(wanted)];
  const names = [...new Set([...old.keys(), ...now.keys()])].sort();
  const patches = names
    .map((name) => compareFile(shownName(name, place), old.get(name), now.get(name)))
    .filter((patch) => patch !== '');
  // Same bytes and modes in all files: then links, owners or something unreadable differ.
  if (patches.length > 0) return patches.join('');
  const what = place === null ? 'Files' : `Files of ${shownPlace(place)}`;
  return `${what} are the same; their links or owners would be restored.\n`;
}

/** A file of several outputs by its whole path: `patch -p1 -d /` finds it. */
function shownName(name: string, place: Place | null): string {
  if (place === null) return name;
  const { kind, path } = place;
  return (kind === 'file' ? path : `${path}/${name}`).slice(1);
}

type Described = GenerationFile & { readonly mode: number };

function filesOf({ files, mode }: Generation): ReadonlyMap<string, Described> {
  return new Map(files.map((file) => [file.name, { mode, ...file }]));
}

function compareFile(name: string, before: Described | undefined, after: Described | undefined): string {
  const mode =
    before && after && before.mode !== after.mode
      ? `mode of ${name}: ${before.mode.toString(8)} -> ${after.mode.toString(8)}\n`
      : '';
  const [old, now] = [before?.bytes ?? new Uint8Array(), after?.bytes ?? new Uint8Array()];
  if (before && after && Buffer.compare(old, now) === 0) return mode;
  const [oldText, newText] = [textOf(old), textOf(now)];
  if (oldText === null || newText === null) return `${mode}Binary file ${name} differs\n`;
  const [from, to] = [before ? `a/${name}` : '/dev/null', after ? `b/${name}` : '/dev/null'];
  return mode + createTwoFilesPatch(from, to, oldText, newText, undefined, undefined, { context: 3 });
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
