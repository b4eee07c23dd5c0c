// Which names files of a directory output may have: none that leaves the directory, hides in it or cannot be created.
import { Buffer } from 'node:buffer';
import { shownKey } from '../lib/bounds.ts';
import { atOnce, type Sliced } from '../lib/slices.ts';

/** Longest name of one file or directory, in bytes: the limit of every usual Linux file system. */
const MAX_PART_BYTES = 255;

/** Longest path, in bytes. Linux takes 4,095; the rest is room for the directory of the generation. */
const MAX_PATH_BYTES = 3_900;

/**
 * Why these names cannot stand together below a directory, or null. Names are relative, with `/`.
 * @param directory the output's path, for the length of the whole.
 */
export function findNameProblem(names: readonly string[], directory: string): string | null {
  return atOnce(findingNameProblem(names, directory));
}

/** The same in slices. */
export function* findingNameProblem(names: readonly string[], directory: string): Sliced<string | null> {
  const all = new Set<string>();
  for (const name of names) {
    const problem = problemOf(name, directory);
    if (problem !== null) return `the name "${shownKey(name)}" ${problem}`;
    if (all.has(name)) return `the name "${shownKey(name)}" is given twice`;
    all.add(name);
    yield;
  }
  for (const name of names) {
    for (let slash = name.indexOf('/'); slash !== -1; slash = name.indexOf('/', slash + 1)) {
      const folder = name.slice(0, slash);
      if (all.has(folder))
        return `the name "${shownKey(folder)}" is both a file and a folder ("${shownKey(name)}")`;
    }
    yield;
  }
  return null;
}

function problemOf(name: string, directory: string): string | null {
  if (name === '') return 'is empty';
  if (name.includes('\0')) return 'holds a NUL';
  if (name.startsWith('/')) return 'is an absolute path';
  const parts = name.split('/');
  if (parts.includes('..')) return 'leaves the directory';
  if (name.startsWith('..')) return 'begins with "..", which the directory keeps for itself';
  if (parts.includes('')) return 'has an empty part';
  if (parts.includes('.')) return 'has a part "."';
  if (parts.some((part) => Buffer.byteLength(part) > MAX_PART_BYTES)) {
    return `has a part longer than ${MAX_PART_BYTES} bytes`;
  }
  if (Buffer.byteLength(`${directory}/${name}`) > MAX_PATH_BYTES) return 'makes too long a path';
  return null;
}
