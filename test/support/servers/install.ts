// Before any test: sees to it that real etcd and Consul are there, from PATH or fetched into `.cache/`.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { debianRoot, fetchDebian } from './fetch-debian.ts';

export { fetchDebian } from './fetch-debian.ts';

const SERVERS = {
  etcd: { packages: ['etcd-server'], suite: undefined },
  etcdctl: { packages: ['etcd-client'], suite: undefined },
  // The last Debian release that carries Consul.
  consul: { packages: ['consul'], suite: 'bullseye' },
} as const;

/** A program of a store that tests run. */
export type ServerProgram = keyof typeof SERVERS;

/** vitest's globalSetup. Fetches what is missing; a second run finds it. */
export default async function setup(): Promise<void> {
  for (const program of Object.keys(SERVERS) as ServerProgram[]) {
    if (onPath(program) !== undefined) continue;
    const { packages, suite } = SERVERS[program];
    await fetchDebian(packages, suite);
    serverBinary(program);
  }
}

/** Absolute path of a store's program; throws when `setup` has not run. */
export function serverBinary(program: ServerProgram): string {
  const { packages, suite } = SERVERS[program];
  const fetched = join(debianRoot(packages, suite), 'usr/bin', program);
  const path = onPath(program) ?? (isExecutable(fetched) ? fetched : undefined);
  if (path === undefined) {
    throw new Error(
      `Cannot find "${program}": neither on PATH nor at ${fetched}; run the whole test command`,
    );
  }
  return path;
}

function onPath(program: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
