// A generation: the files of one output that become visible together, and the digest by which two of them are compared.

import { createHash } from 'node:crypto';
import { atOnce, type Sliced, sorting } from '../lib/slices.ts';
import type { Owner } from '../settings/types.ts';

/** One file of a generation. For a file output the one name is the output's own; else a relative path with `/`. */
export interface GenerationFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Permission bits of this file, where they are not those of the generation. */
  readonly mode?: number;
}

export interface Generation {
  /** Sorted by name, names unique. */
  readonly files: readonly GenerationFile[];
  /** Permission bits of every file that has none of its own (0o644). */
  readonly mode: number;
  readonly owner: Owner | null;
  /** `sha256:…` over names, modes, owner and bytes: what status calls `rendering`. */
  readonly rendering: string;
}

/** Sorts the files and computes the rendering digest. */
export function createGeneration(
  files: readonly GenerationFile[],
  options: { readonly mode: number; readonly owner: Owner | null },
): Generation {
  return atOnce(creatingGeneration(files, options));
}

/** The same in slices. */
export function* creatingGeneration(
  files: readonly GenerationFile[],
  options: { readonly mode: number; readonly owner: Owner | null },
): Sliced<Generation> {
  const sorted = yield* sorting(files, (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const described = sorted.map((file) => ({ ...options, ...file }));
  return { files: sorted, ...options, rendering: yield* digestingFiles(described) };
}

/** One file as it is, or should be, on the volume. */
export interface DescribedFile extends GenerationFile {
  readonly mode: number;
  readonly owner: Owner | null;
}

/** The rendering digest of files in name order; lengths are part of it, so no two sets can run together. */
export function digestOfFiles(files: readonly DescribedFile[]): string {
  return atOnce(digestingFiles(files));
}

/** The same in slices. */
export function* digestingFiles(files: readonly DescribedFile[]): Sliced<string> {
  const hash = createHash('sha256');
  for (const { name, bytes, mode, owner } of files) {
    const who = owner === null ? '' : `${owner.uid}:${owner.gid ?? ''}`;
    hash.update(JSON.stringify([name, mode.toString(8), who, bytes.length]));
    hash.update(bytes);
    yield;
  }
  return `sha256:${hash.digest('hex')}`;
}
