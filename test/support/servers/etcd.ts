// A real etcd for tests, on free ports of the loopback interface, and a writer that shares nothing with the provider.
import { execFile } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { Etcd3, type IOptions } from 'etcd3';
import { type Daemon, daemon, dataFolder } from './daemon.ts';
import { accepts, freePorts } from './ports.ts';
import { serverBinary } from './prerequisites.ts';

const run = promisify(execFile);

export interface EtcdServerOptions {
  /** Paths of PEM files. With `clientCa` a client certificate is demanded; `clientCert` is the writer's own. */
  readonly tls?: {
    readonly ca: string;
    readonly cert: string;
    readonly key: string;
    readonly clientCa?: string;
    readonly clientCert?: { readonly cert: string; readonly key: string };
  };
  /** Further words for etcd's command line. */
  readonly parameters?: readonly string[];
  /** One of several members; default is a cluster of one on free ports. */
  readonly member?: EtcdMember;
}

interface EtcdMember {
  readonly name: string;
  readonly port: number;
  readonly peerPort: number;
  /** Every member as `name=peer URL`, separated by commas. */
  readonly cluster: string;
}

/** A key, and the value it gets; null deletes it. */
type EtcdChange = readonly [string | Buffer, string | Buffer | null];

export interface EtcdServer extends Daemon {
  /** Of 127.0.0.1. */
  readonly port: number;
  /** Runs etcdctl against this server and gives what it printed. */
  ctl(...words: string[]): Promise<string>;
  /** Every key that begins so, with its value. */
  all(prefix: string): Promise<readonly (readonly [string, Buffer])[]>;
  put(key: string | Buffer, value: string | Buffer): Promise<void>;
  delete(key: string | Buffer): Promise<void>;
  deletePrefix(prefix: string): Promise<void>;
  /** Puts all of them in transactions of at most 100 keys, which one by one are seen whole or not at all. */
  putAll(values: Readonly<Record<string, string | Buffer>>): Promise<void>;
  /** Puts (a value) and deletes (null) these keys in one transaction, under one revision, which it returns. */
  txn(changes: readonly EtcdChange[]): Promise<string>;
  /** Compacts the history up to now, at once. */
  compact(): Promise<void>;
  /** Throws the data away; the server must not run. */
  wipe(): void;
  /** Saves everything the store holds now to a file of this server's own, for `restore`. */
  snapshot(): Promise<void>;
  /** Rebuilds the data from the last snapshot, under another cluster id; the server must not run. */
  restore(): Promise<void>;
  /** Users `root` (password `root`) and `reader` (password `secret`), who may read below `/app/`; then turns auth on. */
  enableAuth(): Promise<void>;
  /** Turns auth off: no credentials are needed. */
  disableAuth(): Promise<void>;
  /** Gives a user another password; every token there was is void. */
  changePassword(user: string, password: string): Promise<void>;
  /** Stops it for good and removes its data. */
  end(): Promise<void>;
}

type Policy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>;

/**
 * The writer's library would repeat a write whose outcome is unknown, and answer for the server for 5 s after three
 * failures: a test must know what it wrote.
 */
const AT_ONCE = { execute: (work: () => unknown) => work() } as unknown as Policy;
const ONE_TRY = { faultHandling: { host: () => AT_ONCE, global: AT_ONCE } };

/** Starts etcd and waits until it answers. */
export async function startEtcd(options: EtcdServerOptions = {}): Promise<EtcdServer> {
  const member = options.member ?? (await onlyMember());
  const { port } = member;
  const { tls } = options;
  const folder = dataFolder();
  const saved = `${folder.path}.snapshot`;
  const here = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  const flags = tls ? ctlTlsFlags(tls) : [];
  let user: string[] = [];
  const ctlWithInput = async (input: string, words: readonly string[]): Promise<string> => {
    const parameters = [`--endpoints=${here}`, '--command-timeout=10s', ...flags, ...user, ...words];
    const env = { PATH: process.env['PATH'], ETCDCTL_API: '3' };
    const running = run(serverBinary('etcdctl'), parameters, { env });
    // One that has ended without reading says by its exit code how it went.
    running.child.stdin?.on('error', () => undefined).end(input);
    return (await running).stdout;
  };
  const ctl = (...words: string[]): Promise<string> => ctlWithInput('', words);
  const process_ = daemon({
    program: serverBinary('etcd'),
    parameters: [...etcdFlags(folder.path, here, member), ...tlsFlags(tls), ...(options.parameters ?? [])],
    isUp: async () => (await accepts(port)) && (await ctl('get', 'never')) === '',
  });
  await process_.start();

  let writer: Etcd3 | null = null;
  const client = (): Etcd3 => {
    writer ??= new Etcd3({ hosts: here, ...ONE_TRY, ...(tls && { credentials: writerCredentials(tls) }) });
    return writer;
  };
  const forget = (): void => {
    writer?.close();
    writer = null;
  };
  return {
    ...process_,
    port,
    ctl,
    stop: async (signal) => {
      forget();
      await process_.stop(signal);
    },
    all: async (prefix) => {
      const { kvs } = await client().getAll().prefix(prefix).exec();
      return kvs.map(({ key, value }) => [key.toString(), value]);
    },
    put: async (key, value) => void (await client().put(key).value(value)),
    delete: async (key) => void (await client().delete().key(key)),
    deletePrefix: async (prefix) => void (await client().delete().prefix(prefix)),
    putAll: async (values) => {
      const all = Object.entries(values);
      for (let from = 0; from < all.length; from += 100) {
        const puts = all.slice(from, from + 100).map(([key, value]) => client().put(key).value(value));
        await client()
          .if('never', 'Create', '==', 0)
          .then(...puts)
          .commit();
      }
    },
    txn: async (changes) => {
      const requests = changes.map(([key, value]) =>
        value === null ? client().delete().key(key) : client().put(key).value(value),
      );
      const answer = await client()
        .if('never', 'Create', '==', 0)
        .then(...requests)
        .commit();
      return answer.header.revision;
    },
    compact: async () => {
      const { header } = await client().getAll().prefix('never').exec();
      await client()
        .kv.compact({ revision: header.revision, physical: true })
        .catch((thrown: Error) => {
          // Nothing was written since the last time.
          if (!thrown.message.includes('required revision has been compacted')) throw thrown;
        });
    },
    wipe: () => folder.wipe(),
    snapshot: async () => {
      rmSync(saved, { force: true });
      await ctl('snapshot', 'save', saved);
    },
    restore: async () => {
      folder.wipe();
      await ctl('snapshot', 'restore', saved, `--data-dir=${folder.path}`, ...memberFlags(member));
    },
    enableAuth: async () => {
      await ctl('user', 'add', 'root:root');
      await ctl('role', 'add', 'reading');
      await ctl('role', 'grant-permission', 'reading', '--prefix=true', 'read', '/app/');
      await ctl('user', 'add', 'reader:secret');
      await ctl('user', 'grant-role', 'reader', 'reading');
      await ctl('user', 'grant-role', 'root', 'root');
      await ctl('auth', 'enable');
      user = ['--user=root:root'];
    },
    disableAuth: async () => {
      await ctl('auth', 'disable');
      user = [];
    },
    changePassword: async (name, password) => {
      await ctlWithInput(`${password}\n`, ['user', 'passwd', name, '--interactive=false']);
    },
    end: async () => {
      forget();
      await process_.stop('SIGKILL');
      folder.wipe();
      rmSync(saved, { force: true });
    },
  };
}

async function onlyMember(): Promise<EtcdMember> {
  const [port = 0, peerPort = 0] = await freePorts(2);
  return { name: 'test', port, peerPort, cluster: `test=${peerUrl(peerPort)}` };
}

/** Where members of a cluster find each other. */
export function peerUrl(peerPort: number): string {
  return `http://127.0.0.1:${peerPort}`;
}

function memberFlags({ name, peerPort, cluster }: EtcdMember): string[] {
  const peer = peerUrl(peerPort);
  return [`--name=${name}`, `--initial-advertise-peer-urls=${peer}`, `--initial-cluster=${cluster}`];
}

function etcdFlags(data: string, here: string, member: EtcdMember): string[] {
  return [
    ...memberFlags(member),
    `--data-dir=${data}`,
    `--listen-client-urls=${here}`,
    `--advertise-client-urls=${here}`,
    `--listen-peer-urls=${peerUrl(member.peerPort)}`,
    '--unsafe-no-fsync',
    '--logger=zap',
    '--log-level=warn',
  ];
}

type Tls = EtcdServerOptions['tls'];

function tlsFlags(tls: Tls): string[] {
  if (tls === undefined) return [];
  const own = [`--cert-file=${tls.cert}`, `--key-file=${tls.key}`];
  if (tls.clientCa === undefined) return own;
  return [...own, '--client-cert-auth', `--trusted-ca-file=${tls.clientCa}`];
}

function ctlTlsFlags({ ca, clientCert }: NonNullable<Tls>): string[] {
  const own = clientCert ? [`--cert=${clientCert.cert}`, `--key=${clientCert.key}`] : [];
  return [`--cacert=${ca}`, ...own];
}

function writerCredentials({ ca, clientCert }: NonNullable<Tls>) {
  const rootCertificate = readFileSync(ca);
  if (clientCert === undefined) return { rootCertificate };
  return {
    rootCertificate,
    privateKey: readFileSync(clientCert.key),
    certChain: readFileSync(clientCert.cert),
  };
}
