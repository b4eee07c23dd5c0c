// Copies of confirmed generations in the state directory: what can be gone back to, also when the volume is empty.

import { isUtf8 } from 'node:buffer';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { errnoOf, SidecarError } from '../lib/errors.ts';
import { inSlices, type Sliced } from '../lib/slices.ts';
import { flush, openDirectory, removeIfPossible, writeFileAtomic } from '../publish/atomic-file.ts';
import { findNameProblem } from '../render/file-names.ts';
import { createGeneration, type Generation, type GenerationFile } from '../render/generation.ts';
import type { Owner } from '../settings/types.ts';
import type { Kept } from './ledger.ts';
import { readOwnText } from './own-file.ts';

const FOLDER = 'generations';
const FORMAT = 1;
const FILE_NAME = /^(0|[1-9]\d*)\.json$/;
/** What a crash in the middle of a write leaves. */
const LEFT_OVER = /^\.config-sidecar\.[0-9a-f]{16}\.[0-9a-f]{16}\.tmp$/;

type StoredFile =
  | { readonly name: string; readonly text: string }
  | { readonly name: string; readonly base64: string };

interface Stored {
  readonly format: number;
  readonly kept: Kept;
  readonly mode: number;
  readonly owner: Owner | null;
  readonly files: readonly StoredFile[];
}

/**
 * Writes the copy; it is on the disk, and for nobody but us to read, when this resolves.
 * @param directory the state directory.
 * @throws SidecarError `state.generation-write`; a copy of that number that was there before is untouched.
 */
export async function keepGeneration(directory: string, kept: Kept, generation: Generation): Promise<void> {
  const bytes = await inSlices(encoding(kept, generation));
  try {
    await makeFolder(directory);
    const path = join(directory, FOLDER, fileName(kept.generation));
    await writeFileAtomic(path, bytes, { mode: 0o600, owner: null });
  } catch (thrown) {
    throw cannotKeep(thrown, directory, { number: kept.generation, size: bytes.length });
  }
}

/**
 * Reads a copy, and makes sure that it is the generation that is wanted: same files, bytes, modes and owner.
 * @throws SidecarError `state.generation-damaged`: missing, unreadable, or anything but what was kept.
 */
export function readGeneration(directory: string, kept: Kept): Generation {
  try {
    const { generation } = openFolder(directory, (folder) => readCopy(folder, kept.generation));
    if (generation.rendering !== kept.rendering) throw new Error('its files are not those that were kept');
    return generation;
  } catch (thrown) {
    throw damaged(thrown, directory, kept.generation);
  }
}

/**
 * What there are copies of, as they say themselves and newest first: for a start without a ledger. Only copies that are
 * whole; of two of the same rendering the newer.
 */
export function findGenerations(directory: string): readonly Kept[] {
  const found = new Map<string, Kept>();
  for (const kept of copiesIn(directory).sort((a, b) => b.confirmedAt - a.confirmedAt)) {
    if (!found.has(kept.rendering)) found.set(kept.rendering, kept);
  }
  return [...found.values()];
}

/** Removes the copies of other generations, and left-overs of a crash. Nothing else, and nothing through a link. */
export function pruneGenerations(directory: string, keep: readonly number[]): void {
  const kept = new Set(keep.map(fileName));
  ifPossible(() =>
    openFolder(directory, (folder) => {
      for (const { name, isDirectory } of namesIn(folder)) {
        const isOurs = (FILE_NAME.test(name) && !kept.has(name)) || LEFT_OVER.test(name);
        if (isOurs && !isDirectory) removeIfPossible(join(folder, name));
      }
    }),
  );
}

function fileName(generation: number): string {
  if (!Number.isSafeInteger(generation) || generation < 0) throw new Error('its number is none');
  return `${generation}.json`;
}

/** One JSON text, written file by file. */
function* encoding(kept: Kept, { files, mode, owner }: Generation): Sliced<Uint8Array> {
  const head: Omit<Stored, 'files'> = { format: FORMAT, kept, mode, owner };
  const parts: string[] = [];
  for (const file of files) {
    parts.push(JSON.stringify(encodeFile(file)));
    yield;
  }
  return Buffer.from(`${JSON.stringify(head).slice(0, -1)},"files":[${parts.join(',')}]}\n`);
}

function encodeFile({ name, bytes }: GenerationFile): StoredFile {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isUtf8(buffer) ? { name, text: buffer.toString() } : { name, base64: buffer.toString('base64') };
}

interface Copy {
  readonly kept: Kept;
  readonly generation: Generation;
}

/** Throws for whatever is not a copy, with half a sentence. */
function readCopy(folder: string, number: number): Copy {
  const stored = JSON.parse(readOwnText(join(folder, fileName(number)))) as Stored;
  if (stored.format !== FORMAT) throw new Error('it was written by another version of config-sidecar');
  const { mode, owner, kept } = stored;
  const files = stored.files.map(decodeFile);
  const problem = findNameProblem(
    files.map(({ name }) => name),
    '',
  );
  if (problem !== null) throw new Error(problem);
  // No setting gives more: a copy is no way to a set-uid file.
  if ((mode & ~0o777) !== 0) throw new Error('its mode is none that a file of ours can have');
  return { kept, generation: createGeneration(files, { mode, owner }) };
}

function decodeFile(file: StoredFile): GenerationFile {
  const bytes = 'text' in file ? Buffer.from(file.text) : Buffer.from(file.base64, 'base64');
  return { name: file.name, bytes };
}

function copiesIn(directory: string): Kept[] {
  const copies = ifPossible(() =>
    openFolder(directory, (folder) =>
      namesIn(folder).flatMap(({ name }) => ifPossible(() => keptIn(folder, name)) ?? []),
    ),
  );
  return copies ?? [];
}

/** What a whole copy says of itself; null for anything else. */
function keptIn(folder: string, name: string): Kept | null {
  const number = Number(FILE_NAME.exec(name)?.[1]);
  if (Number.isNaN(number)) return null;
  const { kept, generation } = readCopy(folder, number);
  return kept.rendering === generation.rendering && kept.generation === number ? kept : null;
}

function namesIn(folder: string): readonly { readonly name: string; readonly isDirectory: boolean }[] {
  return fs
    .readdirSync(folder, { withFileTypes: true })
    .map((entry) => ({ name: entry.name, isDirectory: entry.isDirectory() }));
}

/** A link in its place is somebody else's doing, and goes; where it led is left alone. */
async function makeFolder(directory: string): Promise<void> {
  const path = join(directory, FOLDER);
  const there = fs.lstatSync(path, { throwIfNoEntry: false });
  if (there?.isDirectory()) return;
  if (there?.isSymbolicLink()) fs.unlinkSync(path);
  fs.mkdirSync(path, 0o700);
  const parent = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  await flush(parent).finally(() => fs.closeSync(parent));
}

/** Through a handle: whatever its name is given to meanwhile, it is this directory that is used. */
function openFolder<T>(directory: string, use: (folder: string) => T): T {
  const { fd, path } = openDirectory(join(directory, FOLDER));
  try {
    return use(path);
  } finally {
    fs.closeSync(fd);
  }
}

function ifPossible<T>(act: () => T): T | null {
  try {
    return act();
  } catch {
    return null;
  }
}

function cannotKeep(
  cause: unknown,
  directory: string,
  { number, size }: { readonly number: number; readonly size: number },
): SidecarError {
  const path = join(directory, FOLDER, fileName(number));
  const isFull = ['ENOSPC', 'EDQUOT'].includes(errnoOf(cause) ?? '');
  const reason = isFull
    ? `no space is left for ${size} bytes. Make the volume larger, or give STATE_DIR one of its own`
    : cause instanceof Error
      ? cause.message
      : String(cause);
  return new SidecarError(
    `Cannot keep generation ${number} as "${path}": ${reason}. It cannot be gone back to.`,
    { code: 'state.generation-write', stage: 'ledger', cause },
  );
}

function damaged(cause: unknown, directory: string, number: number): SidecarError {
  const path = join(directory, FOLDER, fileName(number));
  const reason = explain(cause);
  return new SidecarError(`Cannot go back to generation ${number} in "${path}": ${reason}`, {
    code: 'state.generation-damaged',
    stage: 'ledger',
    cause,
  });
}

function explain(cause: unknown): string {
  const errno = errnoOf(cause);
  if (errno === 'ENOENT') return 'it is not there any more';
  if (errno === 'ELOOP' || errno === 'ENOTDIR') return 'somebody put a link in its place';
  if (errno !== undefined) return `it cannot be read (${errno})`;
  if (cause instanceof SyntaxError || cause instanceof TypeError) return 'it is cut or changed';
  return cause instanceof Error ? cause.message : String(cause);
}
