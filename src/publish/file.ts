// The file output: one file, replaced by a rename beside it.

import * as fs from 'node:fs';
import { basename, dirname } from 'node:path';
import { errnoOf, SidecarError } from '../lib/errors.ts';
import { atOnce } from '../lib/slices.ts';
import { type DescribedFile, digestOfFiles, type Generation } from '../render/generation.ts';
import { isTemporaryName, renameStaged, stageFile } from './atomic-file.ts';
import type { DirectoryHandle } from './directory-handle.ts';
import { diskError } from './disk-error.ts';
import { HeldDirectory } from './held-directory.ts';
import { LateFlush } from './late-flush.ts';
import { ownerOf, ownNamesIn } from './ownership.ts';
import type { FoundStaged, Publisher, PublisherOptions, Staged, Volume } from './place.ts';
import { listing, unlinkIfPossible } from './remove-tree.ts';
import { readBytes, withOpenFile } from './safe-open.ts';
import { specialFileAt } from './special-file.ts';

interface FilePlace extends PublisherOptions {
  readonly path: string;
  readonly name: string;
  readonly directory: HeldDirectory;
  readonly late: LateFlush;
  /** A regular file was here in this run: anything else at its place is a change by others, and is replaced. */
  hasBeenFile: boolean;
}

export function filePublisher(path: string, options: PublisherOptions): Publisher {
  const directory = new HeldDirectory(dirname(path));
  const place: FilePlace = {
    ...options,
    path,
    name: basename(path),
    directory,
    late: new LateFlush(),
    hasBeenFile: false,
  };
  return {
    hold: () => directory.refuseReplaced(),
    look: () => lookAtFile(place),
    lookInSlices: async () => lookAtFile(place),
    read: () => {
      const file = readExisting(place, directory.use());
      return file === null || typeof file === 'string' ? [] : [file];
    },
    isThere: () => directory.isInPlace() && fs.existsSync(path),
    stage: (generation) => stage(place, generation),
    settled: () =>
      place.late.settled().catch((error) => {
        throw diskError(error, path);
      }),
    findStaged: (hidden) => findStaged(place, hidden),
    recover: () => removeLeftOvers(place),
    prune: () => {},
    release: () => directory.release(),
  };
}

async function stage(place: FilePlace, generation: Generation): Promise<Staged> {
  const { path, name } = place;
  const [file] = generation.files;
  if (file === undefined || generation.files.length !== 1) {
    throw new SidecarError(
      `Cannot publish "${path}": ${generation.files.length} files do not fit a file output. End OUTPUT with a slash for a directory.`,
      { code: 'publish.shape', stage: 'publish' },
    );
  }
  try {
    const directory = place.directory.use();
    refuseSpecial(place, directory);
    const { mode, owner } = generation;
    const { hidden, flushed } = stageFile({ directory, name }, file.bytes, { mode, owner });
    const onDisk = flushed.catch((error) => {
      throw diskError(error, path, { bytes: file.bytes.length });
    });
    // It is reported to the one who waits for it.
    onDisk.catch(() => {});
    return { ...stagedAs(place, directory, hidden), flushed: () => onDisk };
  } catch (error) {
    throw diskError(error, path, { bytes: file.bytes.length });
  }
}

function stagedAs(place: FilePlace, directory: DirectoryHandle, hidden: string): Staged {
  const { path, name } = place;
  return {
    name: hidden,
    flushed: async () => {},
    swap: async () => {
      try {
        renameStaged({ directory, name }, hidden);
        place.late.begin(directory);
        place.hasBeenFile = true;
      } catch (error) {
        throw diskError(error, path);
      }
    },
    discard: async () => unlinkIfPossible(directory, hidden),
  };
}

function findStaged(place: FilePlace, hidden: string): FoundStaged | null {
  try {
    const directory = place.directory.use();
    const isOwn = ownNamesIn(directory, place.owner === null ? [] : [place.owner.uid]);
    const isFile = fs.lstatSync(`${directory.path}/${hidden}`, { throwIfNoEntry: false })?.isFile() === true;
    return isTemporaryName(hidden, place.name) && isFile && isOwn(hidden)
      ? { ...stagedAs(place, directory, hidden), isVisible: false }
      : null;
  } catch {
    return null;
  }
}

/** @throws SidecarError `publish.special-file` for a device, pipe or socket, or a link to one, that was there before us. */
function refuseSpecial({ path, name, hasBeenFile }: FilePlace, directory: DirectoryHandle): void {
  if (hasBeenFile) return;
  const kind = specialFileAt(directory, name);
  if (kind === null) return;
  throw new SidecarError(
    `Cannot publish "${path}": it is ${kind}, and only a regular file can be replaced. ` +
      'Name another OUTPUT; "config-sidecar diff" shows a configuration on standard output.',
    { code: 'publish.special-file', stage: 'publish' },
  );
}

function lookAtFile(place: FilePlace): Volume {
  try {
    const directory = place.directory.use();
    refuseSpecial(place, directory);
    const file = readExisting(place, directory);
    if (file === null) return { rendering: null, changedAt: null, problem: null };
    if (typeof file === 'string') return { rendering: `unreadable:${file}`, changedAt: null, problem: null };
    place.hasBeenFile = true;
    return { rendering: digestOfFiles([file]), changedAt: file.changedAt, problem: null };
  } catch (error) {
    return { rendering: null, changedAt: null, problem: diskError(error, place.path) };
  }
}

interface ExistingFile extends DescribedFile {
  readonly changedAt: number;
}

/**
 * The file; null when it is missing; a word for why it cannot be one of ours. It is not read through a link: the next
 * publication replaces that.
 * @throws the system's error, `EISDIR` for a directory.
 */
function readExisting(
  { name, owner, maxBytes }: FilePlace,
  directory: DirectoryHandle,
): ExistingFile | string | null {
  try {
    return withOpenFile(`${directory.path}/${name}`, (fd, stat) => {
      if (stat.isDirectory()) throw Object.assign(new Error('a directory'), { code: 'EISDIR' });
      if (!stat.isFile()) return 'special';
      if (stat.size > maxBytes) return 'too-large';
      const described = { mode: stat.mode & 0o7777, owner: ownerOf(stat, owner), changedAt: stat.ctimeMs };
      return { name, bytes: readBytes(fd, stat.size), ...described };
    });
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return null;
    if (errno === 'ELOOP' || errno === 'EACCES' || errno === 'ENXIO') return errno;
    throw error;
  }
}

function removeLeftOvers({ name, directory, owner, late }: FilePlace): void {
  try {
    const held = directory.use();
    // The run before may have ended between a rename and the flush.
    late.begin(held);
    const isOwn = ownNamesIn(held, owner === null ? [] : [owner.uid]);
    for (const entry of atOnce(listing(held))) {
      if (isTemporaryName(entry, name) && isOwn(entry)) unlinkIfPossible(held, entry);
    }
  } catch {
    // The next look says what is wrong with the directory.
  }
}
