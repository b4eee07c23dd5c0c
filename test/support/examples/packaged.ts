// Servers of Debian packages that need libraries this machine may not have: unpacked together, and started with them.
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetchDebian } from '../servers/fetch-debian.ts';

/** The release they are taken from, since names of libraries change from one to the next. */
const SUITE = 'bookworm';

const SERVERS = {
  'syslog-ng': {
    path: 'usr/sbin/syslog-ng',
    flags: (root: string) => [`--module-path=${join(root, 'usr/lib/syslog-ng/3.38')}`],
    folders: ['usr/lib/syslog-ng'],
    packages:
      'syslog-ng-core libivykis0 libnet1 libwrap0 libnsl2 libpcre3 libglib2.0-0 libjson-c5 libcap2 libsystemd0',
  },
  dnsmasq: {
    path: 'usr/sbin/dnsmasq',
    flags: () => [],
    folders: [],
    packages:
      'dnsmasq-base libnftables1 libnftnl11 libxtables12 libjansson4 libnetfilter-conntrack3 libnfnetlink0 libmnl0 libdbus-1-3',
  },
} as const;

export type Packaged = keyof typeof SERVERS;

/** Puts a command of that name into `folder/bin`, which starts the real program; gives its path. */
export async function installCommand(name: Packaged, folder: string): Promise<string> {
  const { libraries, program, flags } = await unpackServer(name);
  mkdirSync(join(folder, 'bin'), { recursive: true });
  const command = join(folder, 'bin', name);
  const words = [program, ...flags].map((word) => `'${word}'`).join(' ');
  writeFileSync(command, `#!/bin/sh\nLD_LIBRARY_PATH='${libraries.join(':')}' exec ${words} "$@"\n`);
  chmodSync(command, 0o755);
  return command;
}

/** The files of a server, unpacked. */
export async function unpackServer(name: Packaged) {
  const { path, flags, folders, packages } = SERVERS[name];
  const root = await fetchDebian(packages.split(' '), SUITE);
  const own = ['usr/lib', 'lib']
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder)).map((triplet) => join(folder, triplet)))
    .filter((folder) => folder.endsWith('-linux-gnu'));
  const libraries = [...own, ...folders].map((folder) => join(root, folder));
  return { root, libraries, program: join(root, path), flags: flags(root) };
}
