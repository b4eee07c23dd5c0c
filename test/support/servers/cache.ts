// The project's own folder for what tests fetch; git ignores it.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The folder of `package.json`, also for a program that was compiled into the cache. */
export const PROJECT = above(import.meta.dirname);

export const CACHE = join(PROJECT, '.cache');

/** Programs that are not on this machine's PATH, each a script that starts the one in the cache. */
export const CACHED_PROGRAMS = join(CACHE, 'bin');

function above(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  if (dirname(folder) === folder) throw new Error('Cannot find package.json above the tests');
  return above(dirname(folder));
}
