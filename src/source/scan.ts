// What is at a path right now: which files count, and a signature that stays equal until one of them is touched.
import { type BigIntStats, type Dirent, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoOf, SidecarError } from '../lib/errors.ts';

/** How messages name what is looked at: `Cannot read <thing> "<shown>": …`. */
export interface ScanTarget {
  readonly thing: string;
  readonly shown: string;
  readonly path: string;
}

/** One file that counts. */
interface ScannedFile {
  /** Name relative to the directory, with `/`; for a single file the last part of its path. */
  readonly key: string;
  readonly path: string;
  readonly isEmpty: boolean;
}

export interface Scan {
  readonly kind: 'document' | 'tree';
  /** In the order of their keys. */
  readonly files: readonly ScannedFile[];
  /** Directories, besides those on the way to the path, in which something may change that counts. */
  readonly directories: readonly string[];
  /** Paths, inodes, sizes and times of everything that was looked at. */
  readonly signature: string;
  /** When the youngest of it was modified, in milliseconds of the epoch. */
  readonly modifiedMs: number;
  /** All of it became visible by one swap of `..data`, so that nothing has to settle. */
  readonly isAtomic: boolean;
}

/** Which files of a tree count, and whether those around them may be left out when they cannot be read. */
export interface TreeRules {
  readonly accepts: (key: string) => boolean;
  readonly isLenient: boolean;
}

const MAX_ENTRIES = 20_000;
const MAX_DEPTH = 32;

/**
 * Looks at a path: a regular file is a document, a directory is a tree. Throws `source.not-found`, `source.denied`,
 * `source.wrong-type` (a pipe, a device), `source.too-large` (more than 20,000 entries) or `source.failed`.
 */
export function scan(subject: ScanTarget): Scan {
  const stats = statOf(subject, subject.path);
  if (stats.isDirectory()) return scanTree(subject, { accepts: () => true, isLenient: false });
  if (!stats.isFile())
    throw scanFailure(subject, 'source.wrong-type', 'it is neither a regular file nor a directory');
  return {
    kind: 'document',
    files: [{ key: basename(subject.path), path: subject.path, isEmpty: stats.size === 0n }],
    directories: [],
    signature: signatureOf(subject.path, stats),
    modifiedMs: Number(stats.mtimeMs),
    isAtomic: false,
  };
}

/**
 * Looks at the files below a directory. A `..data` link (the layout of mounted ConfigMaps) is resolved once, so that
 * all of it is one generation. Errors as `scan`.
 */
export function scanTree(subject: ScanTarget, rules: TreeRules): Scan {
  const generation = realPathOf(join(subject.path, '..data'));
  const walk: Walk = { subject, rules, files: [], directories: new Set(), signatures: [], modifiedMs: [0] };
  enter(walk, { path: generation ?? subject.path, prefix: '', above: [] });
  return {
    kind: 'tree',
    files: walk.files.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)),
    directories: [...walk.directories],
    signature: walk.signatures.join('\n'),
    modifiedMs: walk.modifiedMs.reduce((a, b) => Math.max(a, b)),
    isAtomic: generation !== null,
  };
}

/**
 * Names that are no part of a tree: those starting with `..` (the machinery of mounted ConfigMaps), and what editors and
 * programs leave for a moment: `x~`, `.x.swp`, `.#x`, `#x#`, `x.tmp`.
 */
export function isSkipped(name: string): boolean {
  return name.startsWith('..') || /~$|^\..*\.sw[a-z]$|^\.#|^#.*#$|\.tmp$/.test(name);
}

/**
 * `Cannot read <thing> "<shown>": <reason>`. The next try comes soon, whatever the reason: looking is cheap, and that
 * try waits for a change.
 */
export function scanFailure(subject: ScanTarget, code: string, reason: string): SidecarError {
  const message = `Cannot read ${subject.thing} "${subject.shown}": ${reason}`;
  return new SidecarError(message, { code, stage: 'source', retryAfterMs: RETRY_MS });
}

const RETRY_MS = 100;

/** What a file system error about the subject means. */
export function explainErrno(subject: ScanTarget, thrown: unknown, path: string): SidecarError {
  if (thrown instanceof SidecarError) return thrown;
  const errno = errnoOf(thrown) ?? 'unknown error';
  const at = path === subject.path ? '' : ` at "${path}"`;
  if (errno === 'ENOENT' || errno === 'ENOTDIR') {
    return scanFailure(subject, 'source.not-found', `there is nothing${at}; it is followed once it is there`);
  }
  if (errno === 'EACCES' || errno === 'EPERM') {
    return scanFailure(subject, 'source.denied', `permission denied${at}; make it readable for this user`);
  }
  return scanFailure(subject, 'source.failed', `${errno}${at}`);
}

interface Walk {
  readonly subject: ScanTarget;
  readonly rules: TreeRules;
  readonly files: ScannedFile[];
  readonly directories: Set<string>;
  readonly signatures: string[];
  readonly modifiedMs: number[];
}

interface Place {
  readonly path: string;
  readonly prefix: string;
  /** Identities of the directories above: a link back to one of them would lead round for ever. */
  readonly above: readonly string[];
}

function enter(walk: Walk, { path, prefix, above }: Place): void {
  const stats = statOf(walk.subject, path);
  const identity = `${stats.dev}:${stats.ino}`;
  if (above.includes(identity) || above.length > MAX_DEPTH) return;
  note(walk, path, stats);
  walk.directories.add(path);
  for (const entry of list(walk, path)) {
    if (isSkipped(entry.name) || isPassedOver(walk, entry)) continue;
    visit(walk, entry, {
      path: join(path, entry.name),
      prefix: prefix + entry.name,
      above: [...above, identity],
    });
  }
}

function visit(walk: Walk, entry: Dirent, place: Place): void {
  const counts = walk.rules.accepts(place.prefix);
  if (entry.isFile() && !counts) return;
  const target = entry.isSymbolicLink() ? realPathOf(place.path) : null;
  if (entry.isSymbolicLink() && target === null && walk.rules.isLenient && !counts) return;
  if (target !== null) walk.directories.add(dirname(target));
  const stats = statOf(walk.subject, place.path);
  if (stats.isDirectory()) {
    enter(walk, { ...place, prefix: `${place.prefix}/` });
  } else if (stats.isFile() && counts) {
    note(walk, place.path, stats);
    walk.files.push({ key: place.prefix, path: place.path, isEmpty: stats.size === 0n });
  }
}

function list(walk: Walk, path: string): Dirent[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    if (walk.signatures.length + entries.length <= MAX_ENTRIES) return entries;
    throw scanFailure(walk.subject, 'source.too-large', `there are more than ${MAX_ENTRIES} files below it`);
  } catch (thrown) {
    if (walk.rules.isLenient && errnoOf(thrown) === 'EACCES') return [];
    throw explainErrno(walk.subject, thrown, path);
  }
}

/** Around a template there may be a whole project: what surely holds no templates is not walked through. */
function isPassedOver(walk: Walk, entry: Dirent): boolean {
  if (!walk.rules.isLenient || entry.isFile()) return false;
  return entry.name === 'node_modules' || entry.name.startsWith('.');
}

function note(walk: Walk, path: string, stats: BigIntStats): void {
  walk.signatures.push(signatureOf(path, stats));
  walk.modifiedMs.push(Number(stats.mtimeMs));
}

function signatureOf(path: string, { dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${path} ${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}

function statOf(subject: ScanTarget, path: string): BigIntStats {
  try {
    return statSync(path, { bigint: true });
  } catch (thrown) {
    throw explainErrno(subject, thrown, path);
  }
}

function realPathOf(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
