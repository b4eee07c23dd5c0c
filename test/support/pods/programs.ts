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
import { rootOf, type SetName } from '../servers/prerequisites.ts';

const run = promisify(execFile);

/** A program out of a package set. */
export interface Program {
  readonly set: SetName;
  /** Files and folders of the packages that are needed, without the leading slash; programs bring their libraries. */
  readonly paths: readonly string[];
}

/** What is known by name. */
const PROGRAMS = {
  nginx: { set: 'nginx', paths: ['usr/sbin/nginx'] },
  haproxy: { set: 'haproxy', paths: ['usr/sbin/haproxy'] },
  prometheus: { set: 'prometheus', paths: ['usr/bin/prometheus'] },
  promtool: { set: 'prometheus', paths: ['usr/bin/promtool'] },
  unbound: { set: 'unbound', paths: ['usr/sbin/unbound'] },
  'unbound-checkconf': { set: 'unbound', paths: ['usr/sbin/unbound-checkconf'] },
  etcd: { set: 'etcd', paths: ['usr/bin/etcd'] },
  consul: { set: 'consul', paths: ['usr/bin/consul'] },
  busybox: { set: 'busybox', paths: ['bin/busybox'] },
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
    const { set, paths }: Program = typeof one === 'string' ? PROGRAMS[one] : one;
    const from = rootOf(set);
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
