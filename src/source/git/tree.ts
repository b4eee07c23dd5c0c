// The files of one commit: listed, bounded, links resolved inside of the tree, and read in one go.
import { posix } from 'node:path';
import { shownKey } from '../../lib/bounds.ts';
import type { Entry } from '../provider.ts';
import { isSkipped } from '../scan.ts';
import { GitFailure } from './failure.ts';
import type { Contact, Repository } from './repository.ts';

/** One line of `ls-tree`. */
interface Listed {
  readonly mode: string;
  readonly id: string;
  readonly size: number;
  readonly path: string;
}

const MAX_FILES = 20_000;
/** No path on a disk is longer. */
const MAX_PATH = 4_096;
/** How many links may lead to one another. */
const MAX_LINKS = 16;
/** What a line of `ls-tree` costs besides the name, and `cat-file` for each object. */
const LINE_BYTES = 100;
const LINK = '120000';
const EXECUTABLE = '100755';
const SUBMODULE = '160000';

export interface TreeQuestion {
  readonly commit: string;
  /** '' for the whole. */
  readonly path: string;
  readonly maxBytes: number;
}

/** What is at a path: one file, or all files below it, or neither. */
export interface Files {
  readonly kind: 'file' | 'folder' | 'nothing';
  readonly entries: readonly Entry[];
}

/**
 * Reads the file at a path, or the files below it.
 * @throws GitFailure `source.too-large`, `source.bad-key` (a submodule, a link out of the tree, a file in LFS).
 */
export async function readFiles(
  repository: Repository,
  { commit, path, maxBytes }: TreeQuestion,
  contact: Contact,
): Promise<Files> {
  const words = ['ls-tree', '-r', '-z', '-l', '--full-tree', '--end-of-options', commit];
  const listed = parse(await repository.run(words, contact, (MAX_FILES + 1) * 1024));
  const links = await readLinks(repository, listed, contact);
  const files = resolve(listed, links, path);
  const size = files.reduce((sum, { size: bytes, key }) => sum + bytes + Buffer.byteLength(key), 0);
  if (size > maxBytes) throw new GitFailure('source.too-large', 'it is larger than MAX_SIZE');
  const contents = await readObjects(
    repository,
    files.map(({ id }) => id),
    size,
    contact,
  );
  const entries = files.map(({ key, isExecutable }, index) => {
    const value = contents[index] ?? Buffer.alloc(0);
    if (isPointerToLfs(value))
      throw new GitFailure('source.bad-key', `"${shownKey(key)}" is stored in LFS, which is not followed`);
    return { key, value, ...(isExecutable && { isExecutable }) };
  });
  const isFile = files.length === 1 && files[0]?.key === '';
  return { kind: isFile ? 'file' : files.length === 0 ? 'nothing' : 'folder', entries };
}

function parse(output: Buffer): readonly Listed[] {
  return output
    .toString('utf8')
    .split('\0')
    .flatMap((line) => {
      const [, mode = '', id = '', size = '', path = ''] =
        /^(\d+) \w+ ([0-9a-f]+) +(-|\d+)\t([\s\S]+)$/.exec(line) ?? [];
      if (path.length > MAX_PATH) {
        const reason = `the path "${shownKey(path)}" is longer than ${MAX_PATH} characters`;
        throw new GitFailure('source.bad-key', reason);
      }
      return mode === '' ? [] : [{ mode, id, size: Number(size) || 0, path }];
    });
}

async function readLinks(
  repository: Repository,
  listed: readonly Listed[],
  contact: Contact,
): Promise<ReadonlyMap<string, string>> {
  const links = listed.filter(({ mode }) => mode === LINK);
  if (links.length === 0) return new Map();
  const size = links.reduce((sum, { size: bytes }) => sum + bytes, 0);
  const targets = await readObjects(
    repository,
    links.map(({ id }) => id),
    size,
    contact,
  );
  return new Map(links.map(({ path }, index) => [path, targets[index]?.toString('utf8') ?? '']));
}

interface Found {
  readonly key: string;
  readonly isExecutable: boolean;
  readonly id: string;
  readonly size: number;
}

/** The regular files at and below a path, each under its name relative to it; '' for the path itself. */
function resolve(
  listed: readonly Listed[],
  links: ReadonlyMap<string, string>,
  path: string,
): readonly Found[] {
  const byPath = new Map(listed.map((one) => [one.path, one]));
  const below = folders(listed);
  const all: Found[] = [];
  let left = MAX_FILES + 1;
  const find = (place: string, key: string, depth: number): void => {
    // Links that lead to folders of links can stand for any number of files, and for any number of folders without one.
    left -= 1;
    if (left < 0) throw new GitFailure('source.too-large', `there are more than ${MAX_FILES} files`);
    const real = follow(links, place, depth);
    const file = byPath.get(real);
    if (file !== undefined) {
      all.push(checked(file, key));
      return;
    }
    for (const one of below(real)) {
      const rest = relative(one.path, real);
      if (rest.split('/').some(isLeftOut)) continue;
      if (one.mode === LINK) find(one.path, join(key, rest), depth + 1);
      else {
        left -= 1;
        all.push(checked(one, join(key, rest)));
      }
      if (left < 0) throw new GitFailure('source.too-large', `there are more than ${MAX_FILES} files`);
    }
  };
  find(path, '', 0);
  return all;
}

/** What is listed below a folder: found by halves, since thousands of links may ask. */
function folders(listed: readonly Listed[]): (folder: string) => readonly Listed[] {
  const sorted = [...listed].sort((a, b) => (a.path < b.path ? -1 : 1));
  const firstFrom = (text: string): number => {
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sorted[middle]?.path ?? '') < text) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  // `0` follows `/`.
  return (folder) =>
    folder === '' ? sorted : sorted.slice(firstFrom(`${folder}/`), firstFrom(`${folder}0`));
}

/** The place a path leads to when links on the way are followed. */
function follow(links: ReadonlyMap<string, string>, place: string, depth: number): string {
  let parts = place.split('/').filter((part) => part !== '');
  for (let count = depth; count <= MAX_LINKS; count++) {
    const at = parts.findIndex((_, index) => links.has(parts.slice(0, index + 1).join('/')));
    if (at < 0) return parts.join('/');
    const link = parts.slice(0, at + 1).join('/');
    const target = links.get(link) ?? '';
    const led = posix.normalize(posix.join(posix.dirname(link), target));
    if (posix.isAbsolute(target) || led === '..' || led.startsWith('../')) {
      throw new GitFailure('source.bad-key', `the link "${shownKey(link)}" leads out of the repository`);
    }
    parts = [...led.split('/').filter((part) => part !== '.'), ...parts.slice(at + 1)];
  }
  throw new GitFailure('source.bad-key', `the link "${shownKey(place)}" leads round and round`);
}

function checked({ mode, id, size, path }: Listed, key: string): Found {
  if (mode !== SUBMODULE) return { key, id, size, isExecutable: mode === EXECUTABLE };
  throw new GitFailure(
    'source.bad-key',
    `"${shownKey(path)}" is a submodule, which is not followed; choose a path without it`,
  );
}

/** As in a directory on disk; and git's own files are no configuration. */
function isLeftOut(name: string): boolean {
  return isSkipped(name) || /^\.git(?:attributes|ignore|modules|keep)$/.test(name);
}

function relative(path: string, folder: string): string {
  return folder === '' ? path : path.slice(folder.length + 1);
}

function join(key: string, name: string): string {
  return key === '' ? name : `${key}/${name}`;
}

/** The bytes of objects, in the order asked for. */
async function readObjects(
  repository: Repository,
  ids: readonly string[],
  size: number,
  contact: Contact,
): Promise<readonly Buffer[]> {
  if (ids.length === 0) return [];
  const input = `${ids.join('\n')}\n`;
  // An object that several names have is counted for each of them.
  const output = await repository.run(
    ['cat-file', '--batch'],
    contact,
    size + ids.length * LINE_BYTES,
    input,
  );
  let at = 0;
  return ids.map((id) => {
    const end = output.indexOf(10, at);
    const [, bytes] = /^[0-9a-f]+ blob (\d+)$/.exec(output.toString('latin1', at, end)) ?? [];
    if (end < 0 || bytes === undefined) throw new GitFailure('source.failed', `the object ${id} is missing`);
    const start = end + 1;
    at = start + Number(bytes) + 1;
    return output.subarray(start, start + Number(bytes));
  });
}

function isPointerToLfs(value: Buffer): boolean {
  return (
    value.length < 1024 && value.toString('latin1', 0, 42) === 'version https://git-lfs.github.com/spec/v1'
  );
}
