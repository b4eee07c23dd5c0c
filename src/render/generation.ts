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
  return { files: sorted, ...options, rendering: yield* digestingFiles(describing(sorted, options)) };
}

/** One file as it is, or should be, on the volume. */
export interface DescribedFile extends GenerationFile {
  readonly mode: number;
  readonly owner: Owner | null;
}

/** One at a time: ten thousand of them would be made for nothing but this. */
function* describing(
  files: readonly GenerationFile[],
  { mode, owner }: { readonly mode: number; readonly owner: Owner | null },
): Generator<DescribedFile, void, void> {
  for (const file of files) yield { name: file.name, bytes: file.bytes, mode: file.mode ?? mode, owner };
}

/** The rendering digest of files in name order; lengths are part of it, so no two sets can run together. */
export function digestOfFiles(files: readonly DescribedFile[]): string {
  return atOnce(digestingFiles(files));
}

/** The same in slices. */
export function* digestingFiles(files: Iterable<DescribedFile>): Sliced<string> {
  const hash = createHash('sha256');
  const gathered = Buffer.allocUnsafe(GATHERED_BYTES);
  let length = 0;
  for (const { name, bytes, mode, owner } of files) {
    const who = owner === null ? '' : `${owner.uid}:${owner.gid ?? ''}`;
    const head = JSON.stringify([name, mode.toString(8), who, bytes.length]);
    // In UTF-8 no character of it takes more than three bytes.
    const most = head.length * 3 + bytes.length;
    if (length + most > GATHERED_BYTES) {
      hash.update(gathered.subarray(0, length));
      length = 0;
    }
    if (most > GATHERED_BYTES) hash.update(head).update(bytes);
    else {
      length += gathered.write(head, length);
      gathered.set(bytes, length);
      length += bytes.length;
    }
    yield;
  }
  hash.update(gathered.subarray(0, length));
  return `sha256:${hash.digest('hex')}`;
}

/** Small files are digested together, since each call costs as much as some hundred bytes; so little is no allocation of its own. */
const GATHERED_BYTES = 4_000;
