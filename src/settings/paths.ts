// Settings that are paths, and what must be true of them at the start.
import { closeSync, lstatSync, openSync, readdirSync, statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { InvalidValue } from '../lib/invalid-value.ts';
import { readSmallText, whyUnreadable } from '../lib/small-file.ts';
import type { Kind } from './kind.ts';

/** A place in the file system; the path is absolute and has no trailing slash. */
export interface Place {
  readonly kind: 'file' | 'directory';
  readonly path: string;
}

/** A path, relative to the working directory; absolute when parsed. Nothing needs to be there. */
export const path: Kind<string> = { type: 'path', parse: absolute };

function absolute(text: string, cwd: string): string {
  if (text.includes('\0')) throw new InvalidValue('a path has no NUL character');
  return resolve(cwd, text);
}

/** A file that must be there and readable at the start. */
export const readableFile: Kind<string> = {
  type: 'path',
  parse: (text, cwd) => {
    const file = absolute(text, cwd);
    if (placeOf(file).kind === 'directory') throw new InvalidValue('it is a directory; a file is needed');
    return file;
  },
};

/** A file, or a directory of files, that must be there and readable at the start. */
export const readablePlace: Kind<Place> = {
  type: 'path',
  parse: (text, cwd) => placeOf(absolute(text, cwd)),
};

/** A file; or, with a trailing slash, a directory. */
export const output: Kind<Place> = {
  type: 'path',
  parse: (text, cwd) => {
    const place = absolute(text, cwd);
    if (place === '/') throw new InvalidValue('the root directory cannot be an output');
    if (text.endsWith('/')) return { kind: 'directory', path: place };
    if (['.', '..'].includes(basename(text)) || isDirectory(place)) {
      throw new InvalidValue(
        'it is a directory; an output that is a directory ends with a slash',
        `${text}/`,
      );
    }
    return { kind: 'file', path: place };
  },
};

/** What cannot be looked at is left to the publication, which says why and tries again. */
function isDirectory(place: string): boolean {
  try {
    return lstatSync(place).isDirectory();
  } catch {
    return false;
  }
}

function placeOf(place: string): Place {
  try {
    const found = statSync(place);
    if (found.isDirectory()) {
      readdirSync(place);
      return { kind: 'directory', path: place };
    }
    if (!found.isFile()) throw new InvalidValue('it is neither a file nor a directory');
    closeSync(openSync(place, 'r'));
    return { kind: 'file', path: place };
  } catch (error) {
    throw error instanceof InvalidValue ? error : new InvalidValue(whyUnreadable(error));
  }
}

const LARGEST_SECRET_BYTES = 2 ** 16;

/** The content of a file that holds a secret, at most 64 KiB, without one trailing newline. Throws an InvalidValue. */
export function readSecretFile(path: string): string {
  const secret = readSmallText(path, LARGEST_SECRET_BYTES, '64KiB').replace(/\r?\n$/, '');
  if (secret === '') throw new InvalidValue('it is empty');
  return secret;
}
