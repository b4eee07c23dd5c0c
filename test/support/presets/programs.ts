// Real servers out of Debian packages, unpacked into the project's cache: nothing is installed.
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { libraryFolders } from '../servers/prepare.ts';
import { rootOf, type SetName } from '../servers/prerequisites.ts';

export interface Programs {
  /** Where the packages are unpacked. */
  readonly root: string;
  /** Absolute path of a program of theirs. */
  readonly path: (name: string) => string;
  /** PATH and LD_LIBRARY_PATH with which they run. */
  readonly env: Readonly<Record<string, string>>;
}

const FOLDERS = ['usr/sbin', 'usr/bin', 'sbin', 'bin'];

/** The programs of a package set; null: this machine's own. */
export function programsOf(set: SetName | null): Programs {
  const root = set === null ? '/' : rootOf(set);
  const path = (name: string): string => {
    const found = FOLDERS.map((folder) => join(root, folder, name)).find(isProgram);
    if (found === undefined) throw new Error(`Cannot find "${name}" below "${root}"`);
    return found;
  };
  const env = {
    PATH: [...FOLDERS.map((folder) => join(root, folder)), process.env['PATH'] ?? ''].join(':'),
    LD_LIBRARY_PATH: set === null ? '' : libraryFolders(root),
  };
  return { root, path, env };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Words before a program that logs to `/dev/stderr`: what it gets from a test is a socket, which cannot be opened. */
export function intoFile(path: string): readonly string[] {
  return ['sh', '-c', 'exec "$@" >>"$0" 2>&1', path];
}
