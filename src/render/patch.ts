// Two releases compared as a unified diff. Loaded when it is needed.
import { createTwoFilesPatch } from 'diff';
import { type OutputSettings, shownPlace } from '../settings/outputs.ts';
import type { Place } from '../settings/paths.ts';
import type { Generation, GenerationFile } from './generation.ts';
import type { Release } from './release.ts';

export interface PatchOptions {
  /** The outputs of the target: with several, files are named by their whole paths. */
  readonly outputs: readonly OutputSettings[];
  /** The longest time for one file, in milliseconds; default: as long as it takes. */
  readonly timeoutMs?: number;
}

/** What turns `before` into `after`; empty when nothing does. An output that only one of them has is left out. */
export function patchOf(before: Release, after: Release, { outputs, timeoutMs }: PatchOptions): string {
  const isAlone = outputs.length === 1;
  const patches = before.parts.map((part) => {
    const wanted = after.parts.find(({ path }) => path === part.path) ?? part;
    const place = isAlone ? null : outputAt(outputs, part.path);
    return compare(part.generation, wanted.generation, { place, timeoutMs });
  });
  return patches.join('');
}

function outputAt(outputs: readonly OutputSettings[], path: string): Place {
  return outputs.find(({ place }) => place.path === path)?.place ?? { kind: 'file', path };
}

interface Comparing {
  /** null where there is one output, whose name needs not be said. */
  readonly place: Place | null;
  readonly timeoutMs: number | undefined;
}

function compare(before: Generation, wanted: Generation, comparing: Comparing): string {
  if (before.rendering === wanted.rendering) return '';
  const { place } = comparing;
  const [old, now] = [filesOf(before), filesOf(wanted)];
  const names = [...new Set([...old.keys(), ...now.keys()])].sort();
  const patches = names
    .map((name) => compareFile(shownName(name, place), [old.get(name), now.get(name)], comparing))
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

function compareFile(
  name: string,
  [before, after]: readonly [Described | undefined, Described | undefined],
  { timeoutMs }: Comparing,
): string {
  const mode =
    before && after && before.mode !== after.mode
      ? `mode of ${name}: ${before.mode.toString(8)} -> ${after.mode.toString(8)}\n`
      : '';
  const [old, now] = [before?.bytes ?? new Uint8Array(), after?.bytes ?? new Uint8Array()];
  if (before && after && Buffer.compare(old, now) === 0) return mode;
  const [oldText, newText] = [textOf(old), textOf(now)];
  if (oldText === null || newText === null) return `${mode}Binary file ${name} differs\n`;
  const [from, to] = [before ? `a/${name}` : '/dev/null', after ? `b/${name}` : '/dev/null'];
  const texts = [from, to, oldText, newText, undefined, undefined] as const;
  const patch =
    timeoutMs === undefined
      ? createTwoFilesPatch(...texts, { context: 3 })
      : createTwoFilesPatch(...texts, { context: 3, timeout: timeoutMs });
  return mode + (patch ?? `File ${name} differs in too many places to show\n`);
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
