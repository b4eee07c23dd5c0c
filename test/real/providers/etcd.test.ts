// The etcd provider against a real etcd, in good and bad times.
import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { settingsForProvider } from '../../../src/settings/secrets.ts';
import type { ProviderOptions } from '../../../src/source/provider.ts';
import {
  endOf,
  following,
  followUrl,
  open,
  proxyTo,
  type Settings,
  treeOf,
} from '../../support/providers/etcd-parts.ts';
import { type Authority, createAuthority, writeCertificate } from '../../support/servers/certificates.ts';
import { type EtcdServer, startEtcd } from '../../support/servers/etcd.ts';
import { freePorts } from '../../support/servers/ports.ts';
import { type FaultProxy, startProxy } from '../../support/servers/proxy.ts';
import { loadSettings } from '../../support/settings/only-target.ts';
import { openEtcd } from '../../support/source/open.ts';
import {
  countResources,
  describeProviderLaw,
  failureOf,
  follow,
  leftOver,
  providerOptions,
  snapshotOf,
  textOf,
} from '../../support/source/provider-contract.ts';

const PASSWORD = 'pa55-word';

describeProviderLaw('etcd', async () => {
  const server = await startEtcd();
  const [closed = 0] = await freePorts(1);
  const at = (port: number, overrides?: Partial<ProviderOptions>) =>
    openEtcd(`etcd://u:${PASSWORD}@127.0.0.1:${port}/doc`, providerOptions(overrides));
  return {
    open: (overrides) => openEtcd(`etcd://127.0.0.1:${server.port}/doc`, providerOptions(overrides)),
    put: (text) => server.put('/doc', text),
    empty: () => server.delete('/doc'),
    openUnreachable: (overrides) => at(closed, overrides),
    openAt: at,
    secrets: [PASSWORD],
    sameWithinMs: 15_000,
    stop: () => server.end(),
  };
});

describe('an etcd that works', () => {
  let server: EtcdServer;
  let proxy: FaultProxy;
  beforeAll(async () => {
    server = await startEtcd();
    proxy = await startProxy(server.port);
  });
  afterAll(async () => {
    await proxy.close();
    await server.end();
  });
  const url = (path: string) => `etcd://127.0.0.1:${server.port}${path}`;

  it('gives a tree below a prefix, follows puts and deletes, and sorts what it gives', async () => {
    await server.putAll({ '/t1/db/host': 'h1', '/t1/db/port': '1', '/t1/a': 'x' });
    const follower = followUrl(url('/t1/'));
    const first = snapshotOf(await follower.next());
    expect(treeOf(first.content)).toEqual({ a: 'x', 'db/host': 'h1', 'db/port': '1' });
    await server.put('/t1/b', 'new');
    const second = await follower.nextSnapshot();
    expect(second.content.kind === 'tree' && second.content.entries.map(({ key }) => key)).toEqual([
      'a',
      'b',
      'db/host',
      'db/port',
    ]);
    await server.deletePrefix('/t1/db/');
    expect(treeOf((await follower.nextSnapshot()).content)).toEqual({ a: 'x', b: 'new' });
    await server.deletePrefix('/t1/');
    expect((await follower.nextSnapshot()).content).toEqual({ kind: 'nothing' });
    await follower.stop();
  });

  it('takes the highest mod_revision of what it read for the revision', async () => {
    await server.put('/rev/one', '1');
    await server.put('/rev/two', '2');
    await server.put('/elsewhere', '3');
    const { kvs } = JSON.parse(await server.ctl('get', '--prefix', '/rev/', '-w', 'json'));
    const highest = Math.max(...kvs.map((kv: { mod_revision: number }) => kv.mod_revision));
    const follower = followUrl(url('/rev/'));
    expect(snapshotOf(await follower.next()).revision).toBe(String(highest));
    await follower.stop();
  });

  it('names a document after the last part of its key', async () => {
    await server.put('/conf/app.yaml', 'a: 1');
    const follower = followUrl(url('/conf/app.yaml'));
    expect(snapshotOf(await follower.next()).content).toEqual({
      kind: 'document',
      bytes: Buffer.from('a: 1'),
      name: 'app.yaml',
      contentType: null,
      pointer: null,
    });
    await follower.stop();
  });

  it('finds a key without a leading slash, and one with odd characters, by ?key=', async () => {
    await server.put('plain/a+b %', 'v');
    const follower = followUrl(url('?key=plain/a+b%20%25'));
    expect(textOf(snapshotOf(await follower.next()).content)).toBe('v');
    await follower.stop();
    const tree = followUrl(url('/?key=plain/'));
    expect(treeOf(snapshotOf(await tree.next()).content)).toEqual({ 'a+b %': 'v' });
    await tree.stop();
  });

  it('neither shows nor is woken by a sibling prefix', async () => {
    await server.putAll({ '/app/k': '1', '/app2/k': 'other', '/app': 'other' });
    const follower = followUrl(url('/app/'));
    expect(treeOf(snapshotOf(await follower.next()).content)).toEqual({ k: '1' });
    await server.put('/app2/k', 'changed');
    await server.put('/app', 'changed');
    await server.put('/app/k', '2');
    // The watch brings the changes in their order: one of a sibling would bring the first tree once more.
    expect(treeOf((await follower.nextSnapshot()).content)).toEqual({ k: '2' });
    await server.put('/app2/k', 'changed again');
    await server.put('/app/k', '3');
    expect(treeOf((await follower.nextSnapshot()).content)).toEqual({ k: '3' });
    await follower.stop();
  });

  it('says the same, and no snapshot, of what siblings wrote between its first read and its watch', async () => {
    await server.putAll({ '/late/k': '1', '/late2/k': 'other' });
    proxy.delayMs = 150;
    const follower = followUrl(`etcd://127.0.0.1:${proxy.port}/late/`);
    expect(treeOf(snapshotOf(await follower.next()).content)).toEqual({ k: '1' });
    await server.put('/late2/k', 'changed');
    expect(await follower.next()).toEqual({ kind: 'same' });
    proxy.delayMs = 0;
    await server.put('/late/k', '2');
    expect(treeOf((await follower.nextSnapshot()).content)).toEqual({ k: '2' });
    await follower.stop();
  });

  it('reads a single key and none that begin with it or come after it', async () => {
    await server.putAll({ '/single/doc': 'mine', '/single/doc/x': 'other', '/single/doc2': 'other' });
    const follower = followUrl(url('/single/doc'), {}, { maxBytes: 'mine'.length });
    expect(textOf(snapshotOf(await follower.next()).content)).toBe('mine');
    await server.put('/single/doc2', 'changed');
    await server.put('/single/doc/x', 'changed');
    await server.put('/single/doc', 'new');
    expect(textOf((await follower.nextSnapshot()).content)).toBe('new');
    await server.delete('/single/doc');
    expect((await follower.nextSnapshot()).content).toEqual({ kind: 'nothing' });
    await follower.stop();
  });

  it('never shows a transaction in half', async () => {
    await server.putAll({ '/txn/a': '0', '/txn/b': '0', '/txn/c': '0' });
    const follower = followUrl(url('/txn/'));
    const writing = (async () => {
      for (let round = 1; round <= 200; round++) {
        const stamp = String(round);
        await server.putAll({ '/txn/a': stamp, '/txn/b': stamp, '/txn/c': stamp });
      }
    })();
    await follower.until((content) => {
      const { a, b, c } = treeOf(content);
      expect([b, c]).toEqual([a, a]);
      return a === '200';
    });
    await writing;
    await follower.stop();
  });

  it('loses no change between its first read and its watch', async () => {
    await server.put('/gap', '0');
    proxy.delayMs = 150;
    const follower = followUrl(`etcd://127.0.0.1:${proxy.port}/gap`);
    let round = 0;
    let isOpen: boolean = false;
    const writing = (async () => {
      while (!isOpen) await server.put('/gap', String(++round));
    })();
    const first = textOf(snapshotOf(await follower.next()).content);
    isOpen = true;
    await writing;
    expect(Number(first)).toBeLessThan(round);
    await follower.until((content) => textOf(content) === String(round));
    proxy.delayMs = 0;
    await follower.stop();
  });

  it('reads 10,000 keys over several pages, and follows one of them and all of them', async () => {
    const keys = Array.from({ length: 10_000 }, (_, at) => `/many/k${String(at).padStart(5, '0')}`);
    await server.putAll(Object.fromEntries(keys.map((key) => [key, 'v'])));
    const follower = followUrl(url('/many/'));
    const first = treeOf(snapshotOf(await follower.next()).content);
    expect(Object.keys(first)).toEqual(keys.map((key) => key.slice('/many/'.length)));
    await server.put('/many/k05000', 'changed');
    const second = treeOf((await follower.nextSnapshot()).content);
    expect(second).toEqual({ ...first, k05000: 'changed' });
    await server.deletePrefix('/many/');
    await follower.until((content) => content.kind === 'nothing');
    await follower.stop();
  });

  it('sees 10,000 keys put in 80 transactions, and none of them in half', async () => {
    const follower = followUrl(url('/put/'));
    expect(snapshotOf(await follower.next()).content).toEqual({ kind: 'nothing' });
    const writing = (async () => {
      for (let from = 0; from < 10_000; from += 125) {
        const all = Array.from({ length: 125 }, (_, at) => [`/put/k${from + at}`, 'x'.repeat(100)] as const);
        await server.txn(all);
      }
    })();
    let snapshots = 0;
    await follower.until((content) => {
      snapshots += 1;
      const entries = content.kind === 'tree' ? content.entries : [];
      expect(entries.length % 125).toBe(0);
      return entries.length === 10_000;
    });
    await writing;
    expect(snapshots).toBeLessThanOrEqual(80);
    await server.deletePrefix('/put/');
    await follower.stop();
  });

  it('reads a tree of several pages at one revision, whatever changes between them', async () => {
    const names = Array.from({ length: 3_500 }, (_, at) => `/pages/k${String(at).padStart(5, '0')}`);
    await server.putAll(Object.fromEntries(names.map((name) => [name, '0'])));
    let isOver: boolean = false;
    const writing = (async () => {
      for (let round = 1; !isOver; round++) {
        const stamp = String(round);
        const moving = [
          [`/pages/k00000-${round}`, stamp],
          [`/pages/k00000-${round - 1}`, null],
          [`/pages/k03499-${round}`, stamp],
          [`/pages/k03499-${round - 1}`, null],
        ] as const;
        await server.txn([...moving, ['/pages/k00000', stamp], ['/pages/k03499', stamp]]);
      }
    })();
    // Each of the four pages is this much later than the one before.
    proxy.delayMs = 60;
    for (let round = 0; round < 5; round++) {
      const follower = followUrl(`etcd://127.0.0.1:${proxy.port}/pages/`);
      const tree = treeOf(snapshotOf(await follower.next()).content);
      const stamp = tree['k00000'] ?? '';
      expect(tree['k03499']).toBe(stamp);
      expect([tree[`k00000-${stamp}`], tree[`k03499-${stamp}`]]).toEqual([stamp, stamp]);
      expect(Object.keys(tree).length).toBe(3_502);
      await follower.stop();
    }
    isOver = true;
    proxy.delayMs = 0;
    await writing;
    await server.deletePrefix('/pages/');
  });

  it('reads more than the 4 MiB that gRPC allows by default, up to MAX_SIZE', async () => {
    const value = Buffer.alloc(1_000_000, 'x');
    const names = ['1', '2', '3', '4', '5', '6'];
    for (const name of names) await server.put(`/big/${name}`, value);
    const follower = followUrl(url('/big/'));
    const { content } = snapshotOf(await follower.next());
    expect(content.kind === 'tree' && content.entries.map((entry) => entry.value.length)).toEqual(
      names.map(() => 1_000_000),
    );
    await follower.stop();
    const error = await failureOf(open(url('/big/'), {}, { maxBytes: 5_000_000 }));
    expect(error.code).toBe('source.too-large');
    expect(error.message).toBe(
      `Cannot read etcd "${url('/big/')}": 127.0.0.1:${server.port}: it holds at least 6000006 bytes, MAX_SIZE allows 5000000`,
    );
  });

  it('ends with an error when an event makes the source too large', async () => {
    await server.put('/grow', 'x');
    const follower = followUrl(url('/grow'), {}, { maxBytes: 100 });
    await follower.next();
    await server.put('/grow', 'x'.repeat(101));
    const error = await endOf(follower);
    expect(error.code).toBe('source.too-large');
    expect(error.message).toBe(
      `Cannot read etcd "${url('/grow')}": 127.0.0.1:${server.port}: it holds at least 101 bytes, MAX_SIZE allows 100`,
    );
  });

  it('keeps every byte of a value, and an empty one', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
    await server.putAll({ '/bin/all': bytes, '/bin/empty': '' });
    const follower = followUrl(url('/bin/'));
    const { content } = snapshotOf(await follower.next());
    expect(content).toEqual({
      kind: 'tree',
      entries: [
        { key: 'all', value: bytes },
        { key: 'empty', value: Buffer.alloc(0) },
      ],
    });
    await follower.stop();
  });

  it('refuses a key that is not UTF-8, naming it', async () => {
    await server.put('/odd/ok', '1');
    await server.put(Buffer.from([...Buffer.from('/odd/'), 0xff]), '1');
    const error = await failureOf(open(url('/odd/')));
    expect(error.code).toBe('source.bad-key');
    expect(error.message).toBe(
      `Cannot read etcd "${url('/odd/')}": 127.0.0.1:${server.port}: the key "/odd/\u00ff" is not UTF-8`,
    );
  });

  it('finds the one of three members that answers, wherever it stands', async () => {
    await server.put('/three', 'v');
    const [dead = 0, deader = 0] = await freePorts(2);
    const hosts = `127.0.0.1:${dead},127.0.0.1:${server.port},127.0.0.1:${deader}`;
    for (let round = 0; round < 6; round++) {
      const follower = followUrl(`etcd://${hosts}/three`);
      expect(textOf(snapshotOf(await follower.next()).content)).toBe('v');
      await server.put('/three', 'w');
      expect(textOf((await follower.nextSnapshot()).content)).toBe('w');
      await server.put('/three', 'v');
      await follower.stop();
    }
  });

  it('names every member that could not be asked', async () => {
    const [one = 0, two = 0] = await freePorts(2);
    const error = await failureOf(open(`etcd://u:p@127.0.0.1:${one},127.0.0.1:${two}/x`));
    expect(error.code).toBe('source.unreachable');
    expect(error.message).toBe(
      `Cannot read etcd "etcd://127.0.0.1:${one},127.0.0.1:${two}/x": 127.0.0.1:${one}: connection refused; 127.0.0.1:${two}: connection refused`,
    );
  });

  it('leaves nothing open after a hundred cuts', async () => {
    await server.put('/cuts', 'v');
    const cutUrl = `etcd://127.0.0.1:${proxy.port}/cuts`;
    const warm = followUrl(cutUrl);
    await warm.next();
    proxy.cut();
    await endOf(warm);
    const before = countResources();
    for (let round = 0; round < 100; round++) {
      const follower = followUrl(cutUrl);
      await follower.next();
      proxy.cut();
      expect((await endOf(follower)).code).toBe('source.disconnected');
    }
    await expect.poll(() => leftOver(before), { timeout: 15_000 }).toEqual([]);
  });
});

describe('an etcd in bad times', () => {
  let server: EtcdServer;
  let proxy: FaultProxy;
  beforeAll(async () => {
    server = await startEtcd();
    proxy = await startProxy(server.port);
  });
  afterAll(async () => {
    await proxy.close();
    await server.end();
  });

  it('is reported when it is killed, and read again when it is back', async () => {
    const url = `etcd://127.0.0.1:${server.port}/app/`;
    const provider = open(url);
    await server.put('/app/k', 'before');
    const follower = follow(provider);
    await follower.next();
    await server.stop('SIGKILL');
    const error = await endOf(follower);
    expect(error.code).toBe('source.disconnected');
    expect(error.message).toContain(`Cannot read etcd "${url}": 127.0.0.1:${server.port}: `);
    await server.start();
    await server.put('/app/k', 'after');
    // nothing of the old history is needed any more.
    await server.compact();
    const again = follow(provider);
    expect(treeOf(snapshotOf(await again.next()).content)).toEqual({ k: 'after' });
    await server.put('/app/k', 'later');
    expect(treeOf((await again.nextSnapshot()).content)).toEqual({ k: 'later' });
    await again.stop();
  });

  it('gives no half of an answer that breaks off', async () => {
    const value = Buffer.alloc(500_000, 'x');
    for (const name of ['1', '2', '3']) await server.put(`/cut/${name}`, value);
    proxy.cutAfterBytes = 700_000;
    const error = await failureOf(open(`etcd://127.0.0.1:${proxy.port}/cut/`));
    expect(error.code).toBe('source.disconnected');
    proxy.cutAfterBytes = Number.POSITIVE_INFINITY;
  });
});

describe('an etcd with users', () => {
  let server: EtcdServer;
  beforeAll(async () => {
    server = await startEtcd({ parameters: ['--auth-token-ttl=1'] });
    await server.ctl('put', '/app/k', 'v');
    await server.ctl('put', '/other/k', 'v');
    await server.enableAuth();
  });
  afterAll(() => server.end());
  const url = (user: string, path = '/app/') => `etcd://${user}127.0.0.1:${server.port}${path}`;

  it('is read with user and password, however they are given', async () => {
    const ways: [string, Settings][] = [
      ['', { ETCDCTL_USER: 'reader', ETCDCTL_PASSWORD: 'secret' }],
      ['', { ETCDCTL_USER: 'reader:secret' }],
      ['reader:secret@', {}],
      ['reader@', { ETCDCTL_PASSWORD: 'secret' }],
      ['reader:secret@', { ETCDCTL_USER: 'nobody:wrong' }],
    ];
    for (const [user, settings] of ways) {
      const follower = followUrl(url(user), settings);
      expect(treeOf(snapshotOf(await follower.next()).content)).toMatchObject({ k: expect.any(String) });
      await server.ctl('put', '/app/k', user + JSON.stringify(settings));
      await follower.nextSnapshot();
      await follower.stop();
    }
  });

  it('refuses a wrong password, no password, and what the user may not read', async () => {
    const message = (reason: string, path = '/app/') =>
      `Cannot read etcd "${url('', path)}": 127.0.0.1:${server.port}: ${reason}`;
    const wrong = await failureOf(open(url('reader:WRONG@')));
    expect(wrong.code).toBe('source.denied');
    expect(wrong.message).toBe(
      message('user or password are not accepted; check ETCDCTL_USER and ETCDCTL_PASSWORD'),
    );
    const none = await failureOf(open(url('')));
    expect(none.code).toBe('source.denied');
    expect(none.message).toBe(message('etcd asks for a user; set ETCDCTL_USER and ETCDCTL_PASSWORD'));
    const other = await failureOf(open(url('reader:secret@', '/other/')));
    expect(other.code).toBe('source.denied');
    expect(other.message).toBe(
      message('the user may not read this; grant it, or give another ETCDCTL_USER', '/other/'),
    );
  });

  it('is logged in to with the new password when the file that holds it is replaced', async (test) => {
    const file = join(mkdtempSync(join(tmpdir(), 'config-sidecar-etcd-password-')), 'password');
    writeFileSync(file, 'secret\n');
    const env = {
      SOURCE: url(''),
      OUTPUT: join(dirname(file), 'out.json'),
      ETCDCTL_USER: 'reader',
      ETCDCTL_PASSWORD_FILE: file,
    };
    const setting = settingsForProvider(await loadSettings({ flags: [], env, cwd: '/' }));
    const proxy = await proxyTo(server, test);
    await server.ctl('put', '/app/k', 'before');
    const followed = following(
      openEtcd(`etcd://127.0.0.1:${proxy.port}/app/`, providerOptions({ setting })),
      test,
    );
    await followed.until({ k: 'before' });
    await server.changePassword('reader', 'changed');
    proxy.cut();
    await expect.poll(() => followed.state().error?.code, { timeout: 15_000 }).toBe('source.denied');
    writeFileSync(`${file}.new`, 'changed\n');
    renameSync(`${file}.new`, file);
    await server.ctl('put', '/app/k', 'after');
    await followed.until({ k: 'after' }, 30_000);
    rmSync(dirname(file), { recursive: true });
    await server.changePassword('reader', 'secret');
  });
});

type Files = Record<'ETCDCTL_CACERT' | 'ETCDCTL_CERT' | 'ETCDCTL_KEY', string>;

function encrypted(path: string): string {
  const options = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' } as const;
  return createPrivateKey(readFileSync(path)).export(options).toString();
}

function pem(title: string, base64: string): string {
  return `-----BEGIN ${title}-----\n${base64}\n-----END ${title}-----\n`;
}

describe('an etcd with TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'config-sidecar-etcd-tls-'));
  let server: EtcdServer;
  let other: string;
  let settings: Files;
  beforeAll(async () => {
    const authority: Authority = createAuthority('test authority');
    const ca = writeCertificate(folder, 'ca', authority).cert;
    other = writeCertificate(folder, 'other', createAuthority('other')).cert;
    const own = writeCertificate(folder, 'server', authority.issue('server'));
    const clientCert = writeCertificate(folder, 'client', authority.issue('client'));
    settings = { ETCDCTL_CACERT: ca, ETCDCTL_CERT: clientCert.cert, ETCDCTL_KEY: clientCert.key };
    server = await startEtcd({ tls: { ...own, ca, clientCa: ca, clientCert } });
    await server.put('/app/k', 'v');
  });
  afterAll(async () => {
    await server.end();
    rmSync(folder, { recursive: true });
  });
  const url = () => `etcds://127.0.0.1:${server.port}/app/`;
  const put = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  it('is read and followed with a client certificate', async () => {
    const follower = followUrl(url(), settings);
    expect(treeOf(snapshotOf(await follower.next()).content)).toEqual({ k: 'v' });
    await server.put('/app/k', 'w');
    expect(treeOf((await follower.nextSnapshot()).content)).toEqual({ k: 'w' });
    await server.put('/app/k', 'v');
    await follower.stop();
  });

  it('is refused when its authority is another one, and accepted once the file is replaced', async () => {
    const path = join(folder, 'rotating.crt');
    writeFileSync(path, readFileSync(other));
    const provider = open(url(), { ...settings, ETCDCTL_CACERT: path });
    const error = await failureOf(provider);
    expect(error.code).toBe('source.tls');
    expect(error.message).toMatch(
      /^Cannot read etcd "etcds:\/\/127\.0\.0\.1:\d+\/app\/": 127\.0\.0\.1:\d+: .*certificate/,
    );
    writeFileSync(path, readFileSync(settings.ETCDCTL_CACERT));
    const follower = follow(provider);
    expect(treeOf(snapshotOf(await follower.next()).content)).toEqual({ k: 'v' });
    await follower.stop();
  });

  it('cannot be read without the client certificate it demands, nor without TLS', async () => {
    const { ETCDCTL_CACERT } = settings;
    const without = await failureOf(open(url(), { ETCDCTL_CACERT }));
    expect(without.code).toBe('source.tls');
    expect(without.message).toBe(
      `Cannot read etcd "${url()}": 127.0.0.1:${server.port}: TLS failed: sslv3 alert bad certificate`,
    );
    const plain = await failureOf(open(url().replace('etcds:', 'etcd:')));
    expect(plain.code).toBe('source.disconnected');
    const unknown = await failureOf(open(url()));
    expect(unknown.message).toBe(
      `Cannot read etcd "${url()}": 127.0.0.1:${server.port}: unable to verify the first certificate`,
    );
  });

  it.each<[string, (files: Files) => Partial<Files>, (files: Files) => string]>([
    [
      'is encrypted',
      ({ ETCDCTL_KEY }) => ({ ETCDCTL_KEY: put('encrypted.key', encrypted(ETCDCTL_KEY)) }),
      () =>
        `ETCDCTL_KEY "${join(folder, 'encrypted.key')}": the private key is encrypted; decrypt it (openssl pkey -in encrypted.key -out plain.key) and protect the file by its mode`,
    ],
    [
      'belongs to another certificate',
      () => ({ ETCDCTL_KEY: writeCertificate(folder, 'other', createAuthority('other')).key }),
      ({ ETCDCTL_CERT }) =>
        `ETCDCTL_KEY "${join(folder, 'other.key')}": the private key does not belong to the certificate of ETCDCTL_CERT "${ETCDCTL_CERT}"`,
    ],
    [
      'has changed places with the certificate',
      ({ ETCDCTL_CERT, ETCDCTL_KEY }) => ({ ETCDCTL_CERT: ETCDCTL_KEY, ETCDCTL_KEY: ETCDCTL_CERT }),
      ({ ETCDCTL_KEY }) =>
        `ETCDCTL_CERT "${ETCDCTL_KEY}": it holds a private key and no certificate; are the two files swapped?`,
    ],
    [
      'is the certificate',
      ({ ETCDCTL_CERT }) => ({ ETCDCTL_KEY: ETCDCTL_CERT }),
      ({ ETCDCTL_CERT }) =>
        `ETCDCTL_KEY "${ETCDCTL_CERT}": it holds a certificate and no private key; are the two files swapped?`,
    ],
    [
      'is damaged',
      () => ({ ETCDCTL_KEY: put('damaged.key', pem('PRIVATE KEY', 'AAAA')) }),
      () =>
        `ETCDCTL_KEY "${join(folder, 'damaged.key')}": the private key in it is damaged, or of a kind that is not supported`,
    ],
    [
      'comes with a damaged authority',
      () => ({ ETCDCTL_CACERT: put('damaged.crt', pem('CERTIFICATE', 'AAAA')) }),
      () => `ETCDCTL_CACERT "${join(folder, 'damaged.crt')}": certificate 1 in it is damaged`,
    ],
    [
      'comes with an empty authority',
      () => ({ ETCDCTL_CACERT: put('empty.crt', '') }),
      () => `ETCDCTL_CACERT "${join(folder, 'empty.crt')}": it holds no certificate in PEM format`,
    ],
  ])('says which setting is wrong when the key %s', async (_name, change, reason) => {
    const error = await failureOf(open(url(), { ...settings, ...change(settings) }));
    expect(error.code).toBe('source.tls');
    expect(error.message).toBe(`Cannot use ${reason(settings)}`);
  });

  it('names the setting and the file that cannot be read', async () => {
    const missing = join(folder, 'missing.crt');
    const error = await failureOf(open(url(), { ...settings, ETCDCTL_CACERT: missing }));
    expect(error.code).toBe('source.tls');
    expect(error.message).toBe(`Cannot read ETCDCTL_CACERT "${missing}": the file does not exist`);
  });
});
