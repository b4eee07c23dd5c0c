// The directory output, laid out as a mounted ConfigMap: complete generations, `..data` swapped by one rename, and
// visible names that link through it.

import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf, SidecarError } from '../lib/errors.ts';
import { faultPoint } from '../lib/fault-point.ts';
import { atOnce, inSlices, type Sliced } from '../lib/slices.ts';
import { type DescribedFile, digestingFiles, type Generation } from '../render/generation.ts';
import type { Owner } from '../settings/types.ts';
import { changeOwner, diskError, flush, openNewFile, removeIfPossible } from './atomic-file.ts';
import { listed, ownerOf } from './file.ts';
import type { Publisher, Volume } from './publisher.ts';

const DATA = '..data';
const GENERATION = '..gen-';
const STAGE = '..stage-';
const LINK = '..link-';
const DIRECTORY_MODE = 0o755;

/** How long a generation stays readable after it was replaced: a reader may have resolved `..data` just before. */
export const GRACE_MS = 60_000;

/** Flushes run beside each other so that the file system can put many into one commit of its journal. */
const FLUSHES_AT_ONCE = 16;

export function directoryPublisher(root: string, owner: Owner | null): Publisher {
  const retired: Retired = { since: new Map(), goes: new Set() };
  return {
    look: () => atOnce(lookingAtDirectory(root, owner)),
    lookInSlices: () => inSlices(lookingAtDirectory(root, owner)),
    read: () => {
      const generation = linkAt(root, DATA);
      return generation === undefined ? [] : atOnce(readingGeneration(join(root, generation), owner));
    },
    isThere: () => fs.existsSync(join(root, DATA)),
    publish: async (generation) => {
      const bytes = generation.files.reduce((sum, file) => sum + file.bytes.length, 0);
      try {
        await publishDirectory(root, generation);
      } catch (error) {
        throw diskError(error, `${root}/`, bytes);
      }
    },
    recover: () => recover(root),
    prune: (now) => prune(root, retired, now),
  };
}

async function publishDirectory(root: string, generation: Generation): Promise<void> {
  requireDirectory(root);
  const names = visibleNames(generation.files.map((file) => file.name));
  await inSlices(refusingForeign(root, names));
  const id = randomBytes(6).toString('hex');
  const stage = join(root, STAGE + id);
  try {
    await writeStage(stage, generation);
    fs.renameSync(stage, join(root, GENERATION + id));
    faultPoint('flush');
    putLink(root, GENERATION + id, DATA);
    faultPoint('swap');
    await flushDirectory(root);
  } catch (error) {
    fs.rmSync(stage, { recursive: true, force: true });
    if (linkAt(root, DATA) !== GENERATION + id)
      fs.rmSync(join(root, GENERATION + id), { recursive: true, force: true });
    throw error;
  }
  await inSlices(mendingNames(root, names));
  faultPoint('names');
  await flushDirectory(root);
}

async function writeStage(stage: string, generation: Generation): Promise<void> {
  const directories = new Set<string>([stage]);
  makeDirectory(stage, generation.owner);
  const open: number[] = [];
  try {
    for (const { name, bytes } of generation.files) {
      const path = join(stage, name);
      makeParents(stage, dirname(path), generation.owner, directories);
      open.push(openNewFile(path, bytes, generation));
      if (open.length >= FLUSHES_AT_ONCE) await flushAndClose(open);
    }
    faultPoint('stage');
    await flushAndClose(open);
  } finally {
    for (const fd of open) fs.closeSync(fd);
  }
  await flushDirectories([...directories]);
}

async function flushAndClose(open: number[]): Promise<void> {
  await Promise.all(open.map((fd) => flush(fd)));
  for (const fd of open.splice(0)) fs.closeSync(fd);
}

function makeParents(stage: string, directory: string, owner: Owner | null, made: Set<string>): void {
  if (directory === stage || made.has(directory)) return;
  makeParents(stage, dirname(directory), owner, made);
  makeDirectory(directory, owner);
  made.add(directory);
}

function makeDirectory(path: string, owner: Owner | null): void {
  fs.mkdirSync(path, 0o700);
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW);
  try {
    if (owner !== null) changeOwner(fd, owner);
    fs.fchmodSync(fd, DIRECTORY_MODE);
  } finally {
    fs.closeSync(fd);
  }
}

/** A link made beside its name and renamed over it: there is no moment without one. */
function putLink(root: string, target: string, name: string): void {
  const link = join(root, LINK + randomBytes(6).toString('hex'));
  fs.symlinkSync(target, link);
  try {
    fs.renameSync(link, join(root, name));
  } catch (error) {
    fs.rmSync(link, { force: true });
    throw error;
  }
}

/** The names a reader sees: the first part of every path. */
export function visibleNames(names: readonly string[]): ReadonlySet<string> {
  return new Set(names.map((name) => name.split('/', 1)[0] ?? name));
}

/** Adds, then removes, so that no name which stays is ever missing. Only links into `..data` are ours. */
function* mendingNames(root: string, wanted: ReadonlySet<string>): Sliced<void> {
  for (const name of wanted) {
    if (linkAt(root, name) !== `${DATA}/${name}`) putLink(root, `${DATA}/${name}`, name);
    yield;
  }
  for (const name of yield* findingOurNames(root)) {
    if (!wanted.has(name)) fs.rmSync(join(root, name), { force: true });
  }
}

function* findingOurNames(root: string): Sliced<readonly string[]> {
  const ours: string[] = [];
  for (const name of listed(root)) {
    if (!name.startsWith('..') && linkAt(root, name)?.startsWith(`${DATA}/`)) ours.push(name);
    yield;
  }
  return ours;
}

function requireDirectory(root: string): void {
  const stat = fs.lstatSync(root, { throwIfNoEntry: false });
  if (stat?.isDirectory()) return;
  const [code, reason] = stat?.isSymbolicLink()
    ? [
        'publish.symbolic-link',
        'it is a symbolic link, which is not followed. Name the directory it points to.',
      ]
    : stat === undefined
      ? ['publish.no-directory', 'it does not exist. Create it, or mount the volume there.']
      : ['publish.not-a-directory', 'it is not a directory. Leave out the trailing slash for a file output.'];
  throw new SidecarError(`Cannot publish "${root}/": ${reason}`, { code, stage: 'publish' });
}

/** @throws SidecarError `publish.foreign` when something that is not ours has a name that is needed, or that of our link. */
export function* refusingForeign(root: string, names: ReadonlySet<string>): Sliced<void> {
  const foreign: string[] = [];
  for (const name of names) {
    const stat = fs.lstatSync(join(root, name), { throwIfNoEntry: false });
    if (stat !== undefined && !linkAt(root, name)?.startsWith(`${DATA}/`)) foreign.push(name);
    yield;
  }
  const data = fs.lstatSync(join(root, DATA), { throwIfNoEntry: false });
  if (data !== undefined && !linkAt(root, DATA)?.startsWith(GENERATION)) foreign.unshift(DATA);
  if (foreign.length === 0) return;
  throw new SidecarError(
    `Cannot publish "${root}/": ${foreign.map((name) => `"${name}"`).join(', ')} in it was not made by config-sidecar. ` +
      'Move it away, or choose an OUTPUT directory of its own.',
    { code: 'publish.foreign', stage: 'publish' },
  );
}

function linkAt(root: string, name: string): string | undefined {
  try {
    return fs.readlinkSync(join(root, name));
  } catch {
    return undefined;
  }
}

function* lookingAtDirectory(root: string, owner: Owner | null): Sliced<Volume> {
  try {
    requireDirectory(root);
    yield* refusingForeign(root, new Set());
    const generation = linkAt(root, DATA);
    if (generation === undefined) return { rendering: null, changedAt: null, problem: null };
    const files = yield* readingGeneration(join(root, generation), owner);
    const isComplete = yield* checkingNames(root, visibleNames(files.map((file) => file.name)));
    const changedAt = fs.lstatSync(join(root, DATA)).ctimeMs;
    const rendering = isComplete ? yield* digestingFiles(files) : 'incomplete';
    return { rendering, changedAt, problem: null };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { rendering: 'incomplete', changedAt: null, problem: null };
    return { rendering: null, changedAt: null, problem: diskError(error, `${root}/`) };
  }
}

function* checkingNames(root: string, wanted: ReadonlySet<string>): Sliced<boolean> {
  const there = yield* findingOurNames(root);
  if (there.length !== wanted.size) return false;
  for (const name of there) {
    if (!wanted.has(name) || linkAt(root, name) !== `${DATA}/${name}`) return false;
    yield;
  }
  return true;
}

function* readingGeneration(directory: string, owner: Owner | null): Sliced<readonly DescribedFile[]> {
  const files: DescribedFile[] = [];
  const folders = [''];
  for (let prefix = folders.pop(); prefix !== undefined; prefix = folders.pop()) {
    for (const entry of fs.readdirSync(join(directory, prefix), { withFileTypes: true })) {
      const name = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
      if (entry.isDirectory()) folders.push(name);
      else files.push(readDescribed(directory, name, owner));
      yield;
    }
  }
  return files.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function readDescribed(directory: string, name: string, owner: Owner | null): DescribedFile {
  const path = join(directory, name);
  const stat = fs.lstatSync(path);
  const bytes = stat.isFile() ? fs.readFileSync(path) : Buffer.from('not a regular file');
  return { name, bytes, mode: stat.mode & 0o7777, owner: ownerOf(stat, owner) };
}

function recover(root: string): void {
  if (fs.lstatSync(root, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  for (const name of listed(root)) {
    if (name.startsWith(STAGE) || name.startsWith(LINK)) removeIfPossible(join(root, name));
  }
  const generation = linkAt(root, DATA);
  if (!generation?.startsWith(GENERATION) || !fs.existsSync(join(root, generation))) return;
  removeLongRetired(root, generation);
  const names = visibleNames(listed(join(root, generation)));
  try {
    atOnce(refusingForeign(root, names));
    atOnce(mendingNames(root, names));
  } catch {
    // The next look or publication says so; nothing of somebody else's is touched.
  }
}

interface Retired {
  /** When a generation was first seen to be replaced. */
  readonly since: Map<string, number>;
  /** Those that are being removed. */
  readonly goes: Set<string>;
}

/** By the files' own time, which can be set: so for twice the grace time. */
const LONG_MS = 2 * GRACE_MS;

/** One was retired when the next was made. A sidecar that never lives for a minute would keep them all. */
function removeLongRetired(root: string, current: string): void {
  const madeAt = (name: string): number =>
    fs.lstatSync(join(root, name), { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY;
  const generations = listed(root)
    .filter((name) => name.startsWith(GENERATION))
    .map((name) => ({ name, at: name === current ? Number.POSITIVE_INFINITY : madeAt(name) }))
    .sort((a, b) => a.at - b.at);
  for (const [i, { name }] of generations.entries()) {
    const next = generations[i + 1];
    const retiredAt = next?.name === current ? madeAt(current) : (next?.at ?? Number.POSITIVE_INFINITY);
    if (name !== current && Date.now() - retiredAt >= LONG_MS) removeIfPossible(join(root, name));
  }
}

function prune(root: string, { since, goes }: Retired, now: number): void {
  const current = linkAt(root, DATA);
  for (const name of listed(root)) {
    if (!name.startsWith(GENERATION) || name === current || goes.has(name)) continue;
    const at = since.get(name) ?? now;
    since.set(name, at);
    if (now - at < GRACE_MS) continue;
    since.delete(name);
    goes.add(name);
    // One that cannot be removed (another user's, a read-only mount) is in nobody's way.
    inSlices(removing(join(root, name)))
      .catch(() => {})
      .finally(() => goes.delete(name));
  }
}

/** Nothing through a link. With many files it takes a while, and nobody waits for it. */
function* removing(path: string): Sliced<void> {
  if (!fs.lstatSync(path).isDirectory()) return fs.unlinkSync(path);
  for (const entry of fs.readdirSync(path, { withFileTypes: true })) {
    const inside = join(path, entry.name);
    if (entry.isDirectory()) yield* removing(inside);
    else fs.unlinkSync(inside);
    yield;
  }
  fs.rmdirSync(path);
}

async function flushDirectories(paths: readonly string[]): Promise<void> {
  for (let at = 0; at < paths.length; at += FLUSHES_AT_ONCE) {
    await Promise.all(paths.slice(at, at + FLUSHES_AT_ONCE).map(flushDirectory));
  }
}

async function flushDirectory(path: string): Promise<void> {
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  await flush(fd).finally(() => fs.closeSync(fd));
}
