// The real servers that containers of tests run: where each comes from, and how it is laid out with the libraries it needs.
import { execFile } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { fetchDebian } from '../servers/fetch-debian.ts';

const run = promisify(execFile);

/** A program out of Debian packages. */
export interface Program {
  /** Its own package and those with libraries that this machine may lack. */
  readonly packages: readonly string[];
  /** A Debian release; default: this machine's own. */
  readonly suite?: string;
  /** Files and folders of the packages that are needed, without the leading slash; programs bring their libraries. */
  readonly paths: readonly string[];
}

const PROMETHEUS = ['prometheus'];
const UNBOUND = ['unbound', 'libprotobuf-c1', 'libevent-2.1-7', 'libnghttp2-14', 'libpython3.11'];

/** What is known by name. */
export const PROGRAMS = {
  nginx: { packages: ['nginx'], paths: ['usr/sbin/nginx'] },
  haproxy: {
    packages: ['haproxy', 'liblua5.3-0', 'libopentracing-c-wrapper0', 'libopentracing1'],
    paths: ['usr/sbin/haproxy'],
  },
  prometheus: { packages: PROMETHEUS, paths: ['usr/bin/prometheus'] },
  promtool: { packages: PROMETHEUS, paths: ['usr/bin/promtool'] },
  unbound: { packages: UNBOUND, paths: ['usr/sbin/unbound'] },
  'unbound-checkconf': { packages: UNBOUND, paths: ['usr/sbin/unbound-checkconf'] },
  etcd: { packages: ['etcd-server'], paths: ['usr/bin/etcd'] },
  consul: { packages: ['consul'], suite: 'bullseye', paths: ['usr/bin/consul'] },
  busybox: { packages: ['busybox-static'], paths: ['bin/busybox'] },
} as const satisfies Readonly<Record<string, Program>>;

export type ProgramName = keyof typeof PROGRAMS;

/** Puts programs, their libraries, a shell and what every system has into a folder that becomes the root of a container. */
export async function layOut(root: string, programs: readonly (ProgramName | Program)[]): Promise<void> {
  for (const folder of ['bin', 'etc', 'run', 'tmp', 'var/tmp'])
    mkdirSync(join(root, folder), { recursive: true });
  for (const folder of ['tmp', 'var/tmp']) chmodSync(join(root, folder), 0o1777);
  writeFileSync(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
  );
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
  await addPrograms(root, ['busybox', ...programs]);
  symlinkSync('busybox', join(root, 'bin/sh'));
}

/** Puts programs and their libraries into a folder, and nothing else. */
export async function addPrograms(root: string, programs: readonly (ProgramName | Program)[]): Promise<void> {
  for (const one of programs) {
    const { packages, suite, paths }: Program = typeof one === 'string' ? PROGRAMS[one] : one;
    const from = await fetchDebian(packages, suite);
    for (const path of paths) {
      copy(join(from, path), join(root, path));
      for (const library of await librariesOf(join(from, path), from)) {
        copy(library, join(root, library.startsWith(`${from}/`) ? library.slice(from.length) : library));
      }
    }
  }
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(realpathSync(from), to, { recursive: true });
}

/** Whole paths of the shared libraries a program needs; none for one that is static, or no program. */
async function librariesOf(path: string, from: string): Promise<readonly string[]> {
  const folders = ['usr/lib', 'lib'].flatMap((folder) => {
    const whole = join(from, folder);
    const names = existsSync(whole) ? readdirSync(whole).filter((name) => name.endsWith('-linux-gnu')) : [];
    return names.map((name) => join(whole, name));
  });
  const env = { ...process.env, LD_LIBRARY_PATH: folders.join(':') };
  const { stdout } = await run('ldd', [path], { env }).catch(() => ({ stdout: '' }));
  const missing = /(\S+) => not found/.exec(stdout)?.[1];
  if (missing !== undefined)
    throw new Error(`Cannot run "${path}" in a container: no package gives ${missing}`);
  return stdout.match(/\/\S+(?= \(0x)/g) ?? [];
}
