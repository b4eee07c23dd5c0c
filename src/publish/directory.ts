// The directory output: complete generations beside each other, of which one rename makes the next one visible.

import * as fs from 'node:fs';
import { errnoOf, SidecarError } from '../lib/errors.ts';
import { faultPoint } from '../lib/fault-point.ts';
import { atOnce, inSlices, type Sliced } from '../lib/slices.ts';
import { digestingFiles, type Generation } from '../render/generation.ts';
import { type DirectoryHandle, openDirectory, openPlace, within } from './directory-handle.ts';
import { diskError } from './disk-error.ts';
import { HeldDirectory } from './held-directory.ts';
import { LateFlush } from './late-flush.ts';
import {
  checkingNames,
  currentGeneration,
  DATA,
  isGeneration,
  mendingNames,
  newName,
  putLink,
  refusingForeign,
  visibleNames,
} from './layout.ts';
import type { FoundStaged, Publisher, PublisherOptions, Staged, Volume } from './place.ts';
import { readingGeneration, TooLarge } from './read-generation.ts';
import { listing, removeInBackground } from './remove-tree.ts';
import { createRetirement, type Retirement, recover } from './retired.ts';
import { writeGeneration } from './write-generation.ts';
import type { WrittenFiles } from './written-files.ts';

interface DirectoryPlace extends PublisherOptions {
  readonly path: string;
  readonly directory: HeldDirectory;
  readonly late: LateFlush;
  /** The generation that was published last; null when it is not known to be as it was written. */
  last: WrittenFiles | null;
}

export function directoryPublisher(path: string, options: PublisherOptions): Publisher {
  const directory = new HeldDirectory(path, openRoot);
  const place: DirectoryPlace = { ...options, path, directory, late: new LateFlush(), last: null };
  const retirement = createRetirement(options.owner);
  return {
    hold: () => directory.refuseReplaced(),
    look: () => atOnce(lookingAtDirectory(place)),
    lookInSlices: () => inSlices(lookingAtDirectory(place)),
    read: () => readCurrent(place),
    isThere: () => directory.isInPlace() && fs.existsSync(`${path}/${DATA}`),
    stage: (generation) => stage(place, generation),
    settled: () =>
      place.late.settled().catch((error) => {
        throw diskError(error, `${path}/`);
      }),
    findStaged: (name) => findStaged(place, retirement, name),
    recover: () =>
      ifInPlace(directory, (root) => {
        // The run before may have ended between a rename and the flush.
        place.late.begin(root);
        recover(root, path, retirement);
      }),
    prune: (now) => ifInPlace(directory, (root) => retirement.prune(root, now)),
    release: () => directory.release(),
  };
}

/** The look that follows says what is wrong with the directory. */
function ifInPlace(directory: HeldDirectory, work: (root: DirectoryHandle) => void): void {
  try {
    work(directory.use());
  } catch {}
}

function openRoot(path: string): DirectoryHandle {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory()) return openPlace(path);
  const [code, reason] = stat?.isSymbolicLink()
    ? [
        'publish.symbolic-link',
        'it is a symbolic link, which is not followed. Name the directory it points to.',
      ]
    : stat === undefined
      ? ['publish.no-directory', 'it does not exist. Create it, or mount the volume there.']
      : ['publish.not-a-directory', 'it is not a directory. Leave out the trailing slash for a file output.'];
  throw new SidecarError(`Cannot publish "${path}/": ${reason}`, { code, stage: 'publish' });
}

async function stage(place: DirectoryPlace, generation: Generation): Promise<Staged> {
  const { path, directory } = place;
  try {
    const root = directory.use();
    const names = visibleNames(generation.files.map((file) => file.name));
    await inSlices(refusingForeign(root, path, names));
    return stagedAs(place, root, { ...(await write(place, root, generation)), names });
  } catch (error) {
    throw diskError(error, `${path}/`, needOf(generation));
  }
}

async function write(
  { last: before }: DirectoryPlace,
  root: DirectoryHandle,
  generation: Generation,
): Promise<Omit<StagedNames, 'names'>> {
  const [unfinished, name] = [newName('stage'), newName('gen')];
  try {
    const written = await writeGeneration(root, { name: unfinished, before }, generation);
    fs.renameSync(`${root.path}/${unfinished}`, `${root.path}/${name}`);
    faultPoint('flush');
    return { name, before, written: written.movedTo(name) };
  } catch (error) {
    await removeInBackground(root, unfinished);
    throw error;
  }
}

interface StagedNames {
  /** That of the new generation. */
  readonly name: string;
  /** The generation that was visible, from which files were linked; null: none. */
  readonly before: WrittenFiles | null;
  /** null: what is in it is not known. */
  readonly written: WrittenFiles | null;
  /** What becomes visible. */
  readonly names: ReadonlySet<string>;
}

function stagedAs(
  place: DirectoryPlace,
  root: DirectoryHandle,
  { name, before, written, names }: StagedNames,
): Staged {
  const discard = async (): Promise<void> => {
    if (currentGeneration(root) !== name) await removeInBackground(root, name);
  };
  const swap = async (): Promise<void> => {
    try {
      putLink(root, name, DATA);
      // A look since then may have seen that what was linked was changed.
      place.last = place.last === before ? written : null;
      faultPoint('swap');
    } catch (error) {
      await discard();
      throw error;
    }
    await inSlices(mendingNames(root, names));
    faultPoint('names');
    place.late.begin(root);
  };
  return {
    name,
    discard,
    // It was waited for at the staging, level by level.
    flushed: async () => {},
    swap: () =>
      swap().catch((error) => {
        throw diskError(error, `${place.path}/`, { files: names.size + 2 });
      }),
  };
}

function findStaged(place: DirectoryPlace, retirement: Retirement, name: string): FoundStaged | null {
  try {
    const root = place.directory.use();
    const isVisible = currentGeneration(root) === name;
    if (!isGeneration(name) || !(isVisible || retirement.ours(root, [name]).includes(name))) return null;
    const top = openDirectory(`${root.path}/${name}`);
    const names = visibleNames(within(top, (inside) => atOnce(listing(inside))));
    const staged = stagedAs(place, root, { name, names, before: place.last, written: null });
    return { ...staged, isVisible };
  } catch {
    return null;
  }
}

/** Two links and a directory beside the files. */
function needOf({ files }: Generation): { readonly bytes: number; readonly files: number } {
  const bytes = files.reduce((sum, file) => sum + file.bytes.length, 0);
  return { bytes, files: files.length + 2 };
}

function readCurrent({ directory, ...options }: DirectoryPlace): ReturnType<Publisher['read']> {
  const root = directory.use();
  const name = currentGeneration(root);
  try {
    return name === undefined ? [] : atOnce(readingGeneration(root, name, options));
  } catch (error) {
    if (error instanceof TooLarge) return [];
    throw error;
  }
}

function* lookingAtDirectory(place: DirectoryPlace): Sliced<Volume> {
  const volume = yield* lookingAtFiles(place);
  // What others have written into one file may be in others, which only look as before.
  if (place.last?.generation.rendering !== volume.rendering) place.last = null;
  return volume;
}

function* lookingAtFiles({ path, directory, ...options }: DirectoryPlace): Sliced<Volume> {
  try {
    const root = directory.use();
    yield* refusingForeign(root, path, new Set());
    const name = currentGeneration(root);
    if (name === undefined) return { rendering: null, changedAt: null, problem: null };
    const files = yield* readingGeneration(root, name, options);
    const isComplete = yield* checkingNames(root, visibleNames(files.map((file) => file.name)));
    const changedAt = fs.lstatSync(`${root.path}/${DATA}`).ctimeMs;
    const rendering = isComplete ? yield* digestingFiles(files) : 'incomplete';
    return { rendering, changedAt, problem: null };
  } catch (error) {
    return whatIsWrong(error, path, directory);
  }
}

/** Errors that every user who can write there may cause, and that the next publication repairs. */
const DAMAGE: readonly (string | undefined)[] = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES'];

function whatIsWrong(error: unknown, path: string, directory: HeldDirectory): Volume {
  const isDamage = error instanceof TooLarge || DAMAGE.includes(errnoOf(error));
  if (isDamage && directory.isInPlace()) return { rendering: 'incomplete', changedAt: null, problem: null };
  return { rendering: null, changedAt: null, problem: diskError(error, `${path}/`) };
}
