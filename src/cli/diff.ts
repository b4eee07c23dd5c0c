// What a publication would change, as a unified diff, writing nothing.
import { createTwoFilesPatch } from 'diff';
import { readLedger } from '../ledger/ledger-file.ts';
import { stateDirectoryOf } from '../ledger/state-directory.ts';
import { openPublisher } from '../publish/publisher.ts';
import { providerOptions } from '../reconcile/provider-options.ts';
import type { Generation, GenerationFile } from '../render/generation.ts';
import { inputOf } from '../render/input.ts';
import { originsOfKeys, prepare, renderingExtras } from '../render/prepare.ts';
import type { Environment } from '../settings/environment.ts';
import type { Loaded } from '../settings/settings.ts';
import type { OpenProvider } from '../source/provider.ts';
import { readOnce } from '../source/read-once.ts';
import { openTemplate } from '../source/template-source.ts';

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
  const { OUTPUT, STATE_DIR, OUTPUT_OWNER, TEMPLATE, FETCH_TIMEOUT } = loaded.settings;
  const options = providerOptions(loaded, env);
  const provider = open(options);
  const snapshot = await readOnce(provider, FETCH_TIMEOUT);
  const templates =
    TEMPLATE === undefined ? null : await readOnce(openTemplate(TEMPLATE.path, options), FETCH_TIMEOUT);
  const extra = renderingExtras(loaded, env);
  const input = inputOf(snapshot, templates, { hasTemplates: TEMPLATE !== undefined, extra });
  if (input === null) return '';
  const { published } = readLedger(stateDirectoryOf(OUTPUT, STATE_DIR)).ledger;
  const revision = published?.input === input.id ? published.revision : snapshot.revision;
  const wanted = await prepare(input, { loaded, env, source: provider.source, revision });
  const publisher = openPublisher(OUTPUT, OUTPUT_OWNER ?? null, loaded.settings.MAX_SIZE);
  const { rendering, problem } = publisher.look();
  if (problem !== null) throw problem;
  if (rendering === wanted.rendering) return '';
  const origins = await originsOfKeys(input, { loaded, source: provider.source });
  // Before the first file: a program that applies the patch skips these lines.
  return origins.map((line) => `# from ${line}\n`).join('') + compare(publisher.read(), wanted);
}

type Described = GenerationFile & { readonly mode: number };

function compare(before: readonly Described[], wanted: Generation): string {
  const old = new Map(before.map((file) => [file.name, file]));
  const now = new Map(wanted.files.map((file) => [file.name, { ...file, mode: wanted.mode }]));
  const names = [...new Set([...old.keys(), ...now.keys()])].sort();
  const patches = names
    .map((name) => compareFile(name, old.get(name), now.get(name)))
    .filter((patch) => patch !== '');
  // Same bytes and modes in all files: then links, owners or something unreadable differ.
  return patches.length > 0
    ? patches.join('')
    : 'Files are the same; their links or owners would be restored.\n';
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
