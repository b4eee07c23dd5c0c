// Servers of Debian packages that need libraries this machine may not have: unpacked together, and started with them.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { libraryFolders } from '../servers/prepare.ts';
import { rootOf } from '../servers/prerequisites.ts';

const SERVERS = {
  'syslog-ng': {
    path: 'usr/sbin/syslog-ng',
    flags: (root: string) => [`--module-path=${join(root, 'usr/lib/syslog-ng/3.38')}`],
    folders: ['usr/lib/syslog-ng'],
  },
  dnsmasq: { path: 'usr/sbin/dnsmasq', flags: () => [], folders: [] },
  haproxy: { path: 'usr/sbin/haproxy', flags: () => [], folders: [] },
  nginx: { path: 'usr/sbin/nginx', flags: () => [], folders: [] },
} as const;

export type Packaged = keyof typeof SERVERS;

/** Puts a command of that name into `folder/bin`, which starts the real program; gives its path. */
export function installCommand(name: Packaged, folder: string): string {
  const { libraries, program, flags } = unpackedServer(name);
  mkdirSync(join(folder, 'bin'), { recursive: true });
  const command = join(folder, 'bin', name);
  const words = [program, ...flags].map((word) => `'${word}'`).join(' ');
  writeFileSync(command, `#!/bin/sh\nLD_LIBRARY_PATH='${libraries.join(':')}' exec ${words} "$@"\n`);
  chmodSync(command, 0o755);
  return command;
}

/** The files of a server, unpacked. */
export function unpackedServer(name: Packaged) {
  const { path, flags, folders } = SERVERS[name];
  const root = rootOf(name);
  const libraries = [libraryFolders(root), ...folders.map((folder) => join(root, folder))];
  return { root, libraries, program: join(root, path), flags: flags(root) };
}
