// Real servers out of Debian packages, unpacked into the project's cache: nothing is installed.
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fetchDebian } from '../servers/fetch-debian.ts';

export interface Programs {
  /** Where the packages are unpacked. */
  readonly root: string;
  /** Absolute path of a program of theirs. */
  readonly path: (name: string) => string;
  /** PATH and LD_LIBRARY_PATH with which they run. */
  readonly env: Readonly<Record<string, string>>;
}

const FOLDERS = ['usr/sbin', 'usr/bin', 'sbin', 'bin'];

/** Fetches the packages named: the server's, and those libraries of it that a bare machine does not have. None: its own. */
export async function debianPrograms(packages: readonly string[]): Promise<Programs> {
  const root = packages.length === 0 ? '/' : await fetchDebian(packages);
  const libraries = ['usr/lib', 'lib'].flatMap((folder) =>
    [folder, ...platformFolders(join(root, folder)).map((name) => join(folder, name))].map((one) =>
      join(root, one),
    ),
  );
  const path = (name: string): string => {
    const found = FOLDERS.map((folder) => join(root, folder, name)).find(isProgram);
    if (found === undefined) throw new Error(`Cannot find "${name}" in the packages ${packages.join(' ')}`);
    return found;
  };
  const env = {
    PATH: [...FOLDERS.map((folder) => join(root, folder)), process.env['PATH'] ?? ''].join(':'),
    LD_LIBRARY_PATH: libraries.filter((one) => existsSync(one)).join(':'),
  };
  return { root, path, env };
}

/** `x86_64-linux-gnu` */
function platformFolders(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('-linux-gnu')) : [];
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
