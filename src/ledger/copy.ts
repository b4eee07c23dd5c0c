// The form of a copy of a release: one JSON text of what describes it, and of files in groups of one output and mode.

import { isUtf8 } from 'node:buffer';
import type { Sliced } from '../lib/slices.ts';
import { findNameProblem } from '../render/file-names.ts';
import { createGeneration, type GenerationFile } from '../render/generation.ts';
import { type Part, type Release, releaseOf } from '../render/release.ts';
import type { Owner } from '../settings/types.ts';
import type { KeptGeneration } from './ledger.ts';

/** Of one output with one mode: what every version reads. */
const FORMAT = 1;
/** Of several outputs, or several modes. */
const FORMAT_OF_SEVERAL = 2;
/** What the name of a file and its description may add to its bytes. */
const MOST_OF_NAME = 4_096;

type StoredFile =
  | { readonly name: string; readonly text: string }
  | { readonly name: string; readonly base64: string };

/** Files of one output with the same mode, in the order of the list of files. */
interface StoredGroup {
  readonly mode: number;
  readonly owner: Owner | null;
  readonly output: string;
  readonly count: number;
}

/** As every version writes what has one output and one mode. */
interface StoredOne {
  readonly format: typeof FORMAT;
  readonly kept: KeptGeneration;
  readonly mode: number;
  readonly owner: Owner | null;
  readonly files: readonly StoredFile[];
}

interface StoredSeveral {
  readonly format: typeof FORMAT_OF_SEVERAL;
  readonly kept: KeptGeneration;
  readonly groups: readonly StoredGroup[];
  readonly files: readonly StoredFile[];
}

type Stored = StoredOne | StoredSeveral;

/** One JSON text, written file by file; `parseCopy` reads it. */
export function* encodingCopy(kept: KeptGeneration, { parts: outputs }: Release): Sliced<Uint8Array> {
  const groups = outputs.flatMap(groupsOf);
  const parts: string[] = [];
  for (const file of groups.flatMap(({ files }) => files)) {
    parts.push(encodeFile(file));
    yield;
  }
  const [only] = groups;
  const head: Omit<StoredOne, 'files'> | Omit<StoredSeveral, 'files'> =
    only !== undefined && groups.length === 1
      ? { format: FORMAT, kept, mode: only.group.mode, owner: only.group.owner }
      : { format: FORMAT_OF_SEVERAL, kept, groups: groups.map(({ group }) => group) };
  return Buffer.from(`${JSON.stringify(head).slice(0, -1)},"files":[${parts.join(',')}]}\n`);
}

interface Grouped {
  readonly group: StoredGroup;
  readonly files: readonly GenerationFile[];
}

/** One group for each mode, also of an output without files. */
function groupsOf({ path, generation }: Part): readonly Grouped[] {
  const byMode = new Map<number, GenerationFile[]>();
  for (const file of generation.files) {
    const { mode = generation.mode } = file;
    const others = byMode.get(mode);
    if (others === undefined) byMode.set(mode, [file]);
    else others.push(file);
  }
  if (byMode.size === 0) byMode.set(generation.mode, []);
  const { owner } = generation;
  return [...byMode].map(([mode, files]) => {
    return { files, group: { mode, owner, output: path, count: files.length } };
  });
}

/** As text where that is not much longer than the bytes: a person can read it. Control characters make it six times as long. */
function encodeFile({ name, bytes }: GenerationFile): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isUtf8(buffer)) {
    const text = JSON.stringify({ name, text: buffer.toString() });
    if (text.length <= 1.5 * buffer.length + MOST_OF_NAME) return text;
  }
  return JSON.stringify({ name, base64: buffer.toString('base64') });
}

export interface Copy {
  readonly kept: KeptGeneration;
  /**
   * What it is of.
   * @param outputs paths of the outputs it is wanted for; undefined: any.
   * @throws half a sentence when it is of others.
   */
  readonly releaseFor: (outputs: readonly string[] | undefined) => Release;
}

/** A value as `encodingCopy` wrote it. Throws for anything else, with half a sentence. */
export function decodeCopy(value: unknown): Copy {
  const stored = value as Stored;
  const groups = groupsIn(stored);
  const paths = [...new Set(groups.map(({ group }) => group.output))];
  return {
    kept: stored.kept,
    releaseFor: (outputs = paths) => {
      const [only] = outputs;
      // A single output may have moved since.
      if (only !== undefined && outputs.length === 1 && paths.length === 1)
        return releaseOf([{ ...partOf(paths[0] ?? '', groups), path: only }]);
      if (!hasSame(outputs, paths)) throw new Error('it was kept for other outputs');
      return releaseOf(paths.map((path) => partOf(path, groups)));
    },
  };
}

function hasSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((one) => others.includes(one));
}

function groupsIn(stored: Stored): readonly Grouped[] {
  const files = stored.files.map(decodeFile);
  if (stored.format === FORMAT) {
    const { mode, owner } = stored;
    return [{ group: { mode, owner, output: '', count: files.length }, files }];
  }
  if (stored.format !== FORMAT_OF_SEVERAL)
    throw new Error('it was written by another version of config-sidecar');
  let at = 0;
  const groups = stored.groups.map((group) => {
    const { count } = group;
    if (!Number.isSafeInteger(count) || count < 0) throw new SyntaxError('no count');
    at += count;
    return { group, files: files.slice(at - count, at) };
  });
  if (at !== files.length) throw new SyntaxError('files of no output');
  return groups;
}

function partOf(path: string, groups: readonly Grouped[]): Part {
  const own = groups.filter(({ group }) => group.output === path);
  const [{ mode, owner }] = own.map(({ group }) => group) as [StoredGroup];
  // No setting gives more: a copy is no way to a set-uid file.
  if (own.some(({ group }) => (group.mode & ~0o777) !== 0))
    throw new Error('its mode is not one that a file of ours can have');
  const files = own.flatMap((one) =>
    one.files.map((file) => (one.group.mode === mode ? file : { ...file, mode: one.group.mode })),
  );
  const problem = findNameProblem(
    files.map(({ name }) => name),
    '',
  );
  if (problem !== null) throw new Error(problem);
  return { path, generation: createGeneration(files, { mode, owner }) };
}

function decodeFile(file: StoredFile): GenerationFile {
  const bytes = 'text' in file ? Buffer.from(file.text) : Buffer.from(file.base64, 'base64');
  return { name: file.name, bytes };
}
