// What the etcd3 library does wrong (its defects E1 to E18, each by its number), and that the provider does not.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EtcdConnection, openEtcdConnection } from '../../../src/source/etcd/connection.ts';
import { explainEtcd } from '../../../src/source/etcd/failure.ts';
import { type EtcdEvent, etcdRange } from '../../../src/source/etcd/keys.ts';
import { until } from '../../support/e2e/until.ts';
import {
  type Ends,
  endOf,
  following,
  followUrl,
  open,
  proxyTo,
  treeOf,
} from '../../support/providers/etcd-parts.ts';
import { type EtcdServer, startEtcd } from '../../support/servers/etcd.ts';
import { http2Mute } from '../../support/servers/http2-mute.ts';
import { failureOf, listenSilently, snapshotOf } from '../../support/source/provider-contract.ts';

const KIB = 'x'.repeat(1_024);
/** No listing but the first within a test: only the watch can report a change. */
const RARELY = { updateFrequencyMs: 600_000 };

const READER = { ETCDCTL_USER: 'reader', ETCDCTL_PASSWORD: 'secret' };

/** Its tokens live for a second. */
async function startEtcdWithUsers(): Promise<EtcdServer> {
  const server = await startEtcd({ parameters: ['--auth-token-ttl=1'] });
  await server.ctl('put', '/app/k', 'v');
  await server.enableAuth();
  return server;
}

/** Keys `<prefix><from>` to `<prefix><to>` with this value. */
function keys(prefix: string, from: number, to: number, value: string): Record<string, string> {
  return Object.fromEntries(Array.from({ length: to - from }, (_, at) => [prefix + (from + at), value]));
}

interface User {
  readonly user: string;
  readonly password: string;
}

/** A connection of the provider's own kind, closed at the end of the test. */
function connectionTo({ onTestFinished }: Ends, port: number, range: string, user?: User): EtcdConnection {
  const connection = openEtcdConnection({
    endpoint: `127.0.0.1:${port}`,
    tls: null,
    login: () => user ?? null,
    range: etcdRange(range),
    maxBytes: 16 * 1024 * 1024,
    timeoutMs: 5_000,
    signal: new AbortController().signal,
  });
  onTestFinished(() => connection.close());
  return connection;
}

/** What a watch from this revision fails with. */
function failureOfWatch(connection: EtcdConnection, revision: bigint) {
  return new Promise((resolve) => {
    connection.watch(revision, {
      onConfirmed: () => undefined,
      onEvents: () => undefined,
      onFailure: resolve,
    });
  }).then(explainEtcd);
}

describe.concurrent('of the faults of the library', () => {
  let server: EtcdServer;
  beforeAll(async () => {
    server = await startEtcd();
  });
  afterAll(() => server.end());
  const urlAt = (port: number, prefix: string) => `etcd://127.0.0.1:${port}${prefix}`;

  it('E1: a second cut while it catches up loses nothing', async (test) => {
    const proxy = await proxyTo(server, test);
    await server.put('/e1/k0', 'before');
    const followed = following(open(urlAt(proxy.port, '/e1/'), {}, RARELY), test);
    await followed.until({ k0: 'before' });
    proxy.mode = 'refuse';
    proxy.cut();
    await server.putAll(keys('/e1/k', 0, 3_000, KIB));
    await server.put('/e1/last', '1');
    for (const bytes of [300, 1_000_000, 2_500_000]) {
      const taken = proxy.connections();
      proxy.cutAfterBytes = bytes;
      proxy.mode = 'pass';
      await until('it was cut, and the next has begun', () => proxy.connections() > taken + 1);
    }
    proxy.cutAfterBytes = Number.POSITIVE_INFINITY;
    proxy.cut();
    await followed.until({ ...keys('k', 0, 3_000, KIB), last: '1' });
  });

  it('E1: a cut amid a stream of events loses nothing', async (test) => {
    const proxy = await proxyTo(server, test);
    await server.put('/e1b/k0', 'before');
    const followed = following(open(urlAt(proxy.port, '/e1b/'), {}, RARELY), test);
    await followed.until({ k0: 'before' });
    proxy.cutAfterBytes = 60_000;
    for (let at = 0; at < 500; at++) await server.put(`/e1b/k${at}`, KIB);
    proxy.cutAfterBytes = Number.POSITIVE_INFINITY;
    proxy.cut();
    await followed.until(keys('k', 0, 500, KIB));
    expect(followed.state().errors['source.disconnected']).toBeGreaterThan(1);
  });

  it('E2: a backlog of more than 4 MiB in one message arrives', async (test) => {
    const proxy = await proxyTo(server, test);
    const eight = KIB.repeat(8);
    await server.put('/e2/k0', 'before');
    // What is answered to the first listing waits here while the backlog is made that the watch begins with.
    proxy.delayMs = 2_500;
    const follower = followUrl(urlAt(proxy.port, '/e2/'), {}, RARELY);
    const first = follower.next();
    await until('the listing is under way', () => proxy.bytesFromServer() > 100);
    for (let at = 0; at < 1_000; at += 50) {
      await Promise.all(Object.entries(keys('/e2/k', at, at + 50, eight)).map(([k, v]) => server.put(k, v)));
    }
    expect(treeOf(snapshotOf(await first).content)).toEqual({ k0: 'before' });
    proxy.delayMs = 0;
    const all = keys('k', 0, 1_000, eight);
    await follower.until((content) => Object.keys(treeOf(content)).length === 1_000);
    await follower.stop();
    const again = followUrl(urlAt(server.port, '/e2/'));
    expect(treeOf(snapshotOf(await again.next()).content)).toEqual(all);
    await again.stop();
  });

  it('E3: a listing of more than 4 MiB is read', async () => {
    const value = KIB.repeat(900);
    await server.putAll({ '/e3/a': value });
    for (const name of ['b', 'c', 'd', 'e', 'f']) await server.put(`/e3/${name}`, value);
    const follower = followUrl(urlAt(server.port, '/e3/'));
    const read = treeOf(snapshotOf(await follower.next()).content);
    expect(Object.values(read).map((text) => text.length)).toEqual(Array(6).fill(value.length));
    await follower.stop();
  });
});

describe('of the faults of the library, compaction', () => {
  let server: EtcdServer;
  beforeAll(async () => {
    server = await startEtcd();
  });
  afterAll(() => server.end());

  /** Follows through a proxy that holds the answer to the first listing back until this was done. */
  async function overtaken(prefix: string, test: Ends, meanwhile: () => Promise<void>) {
    const proxy = await proxyTo(server, test);
    proxy.delayMs = 700;
    const followed = following(open(`etcd://127.0.0.1:${proxy.port}${prefix}`, {}, RARELY), test);
    await until('the listing is under way', () => proxy.bytesFromServer() > 100);
    await meanwhile();
    await server.compact();
    proxy.delayMs = 0;
    return followed;
  }

  it('E4, E5, E6: what was compacted away between the listing and the watch is read, and no outage', async (test) => {
    await server.put('/e4/k', '0');
    const followed = await overtaken('/e4/', test, async () => {
      for (let round = 1; round <= 5; round++) await server.put('/e4/k', String(round));
    });
    await followed.until({ k: '5' });
    expect(followed.state().errors).toEqual({});
    await server.put('/e4/k', '6');
    await followed.until({ k: '6' }, 2_000);
  });

  // etcd before 3.4.34 and 3.5.16 leaves such a delete out of a watch that begins in the past.
  it('a delete at the very revision that was compacted is not lost, nor torn from its transaction', async (test) => {
    await server.putAll({ '/e4b/gone': 'v', '/e4b/k': '0' });
    const followed = await overtaken('/e4b/', test, async () => {
      await server.txn([
        ['/e4b/k', '1'],
        ['/e4b/gone', null],
      ]);
    });
    await followed.until({ k: '1' });
    expect(followed.snapshots.map(({ content }) => treeOf(content))).toEqual([
      { gone: 'v', k: '0' },
      { k: '1' },
    ]);
  });

  it('a lone delete there is not lost either', async (test) => {
    await server.putAll({ '/e4c/gone': 'v', '/e4c/k': '0' });
    const followed = await overtaken('/e4c/', test, () => server.delete('/e4c/gone'));
    await followed.until({ k: '0' }, 2_000);
  });
});

describe('of the faults of the library, a store that was rebuilt', () => {
  let server: EtcdServer;
  beforeAll(async () => {
    server = await startEtcd();
  });
  afterAll(() => server.end());

  async function wipe(): Promise<void> {
    await server.stop('SIGKILL');
    server.wipe();
    await server.start();
  }

  async function followedThroughProxy(prefix: string, test: Ends) {
    const proxy = await proxyTo(server, test);
    const followed = following(open(`etcd://127.0.0.1:${proxy.port}${prefix}`, {}, RARELY), test);
    return { followed, proxy };
  }

  it('E7: the same keys put again at a lower revision are there within five seconds, said once', async (test) => {
    for (let round = 0; round < 50; round++) await server.putAll({ '/e7/a': `${round}`, '/e7/b': 'old' });
    const { followed, proxy } = await followedThroughProxy('/e7/', test);
    await followed.until({ a: '49', b: 'old' });
    proxy.mode = 'refuse';
    await wipe();
    await server.putAll({ '/e7/a': 'new', '/e7/b': 'new' });
    proxy.mode = 'pass';
    expect(await followed.until({ a: 'new', b: 'new' }, 5_000)).toBeLessThan(5_000);
    const revisions = followed.snapshots.map(({ revision }) => Number(revision));
    expect(revisions.at(-1)).toBeLessThan(revisions[0] ?? 0);
    const said = followed.snapshots.filter(({ content }) => treeOf(content)['a'] === 'new');
    expect(said.length).toBe(1);
    await server.put('/e7/a', 'followed');
    await followed.until({ a: 'followed', b: 'new' }, 2_000);
  });

  it('E7: a watch of a revision that the store has not reached yet ends at once', async (test) => {
    const connection = connectionTo(test, server.port, '/e7b/');
    const { revision } = await connection.list();
    const reason = await failureOfWatch(connection, revision + 99n);
    expect(reason).toEqual({
      code: 'source.went-back',
      text: `the store was restored or rebuilt: it is behind revision ${revision + 99n}`,
    });
  });

  it('E7: a store that was wiped and is empty is nothing', async (test) => {
    await server.put('/e7c/k', 'v');
    const { followed, proxy } = await followedThroughProxy('/e7c/', test);
    await followed.until({ k: 'v' });
    proxy.mode = 'refuse';
    await wipe();
    proxy.mode = 'pass';
    await followed.until({});
    expect(followed.snapshots.at(-1)?.content).toEqual({ kind: 'nothing' });
  });

  it('E7: a store rebuilt from a snapshot of before is followed from there', async (test) => {
    await server.put('/e7d/k', 'saved');
    await server.snapshot();
    for (let round = 0; round < 20; round++) await server.put('/e7d/k', `lost ${round}`);
    const { followed, proxy } = await followedThroughProxy('/e7d/', test);
    await followed.until({ k: 'lost 19' });
    proxy.mode = 'refuse';
    await server.stop('SIGKILL');
    await server.restore();
    await server.start();
    proxy.mode = 'pass';
    await followed.until({ k: 'saved' });
    await server.put('/e7d/k', 'after');
    await followed.until({ k: 'after' }, 2_000);
  });
});

describe.concurrent('of the faults of the library, silence', () => {
  let server: EtcdServer;
  beforeAll(async () => {
    server = await startEtcd();
  });
  afterAll(() => server.end());

  it('E8: a half-open connection is noticed within 15 seconds, and the state read again', async (test) => {
    const proxy = await proxyTo(server, test);
    await server.put('/e8/k', 'listed');
    const followed = following(open(`etcd://127.0.0.1:${proxy.port}/e8/`, {}, RARELY), test);
    await followed.until({ k: 'listed' });
    await server.put('/e8/k', 'watched');
    await followed.until({ k: 'watched' });
    proxy.mode = 'black-hole';
    await server.put('/e8/k', 'after');
    expect(await followed.down(15_000)).toBeLessThan(15_000);
    expect(followed.state().error?.message).toBe(
      `Cannot read etcd "etcd://127.0.0.1:${proxy.port}/e8/": 127.0.0.1:${proxy.port}: the connection was closed, or went silent`,
    );
    proxy.mode = 'pass';
    await followed.until({ k: 'after' });
  });

  it('E11: a server that takes connections and never answers has a deadline', async (test) => {
    const silent = await listenSilently();
    test.onTestFinished(() => silent.close());
    const url = `etcd://u:p@127.0.0.1:${silent.port}/x`;
    const error = await failureOf(open(url, {}, { fetchTimeoutMs: 700 }));
    expect([error.code, error.message]).toEqual([
      'source.timeout',
      `Cannot read etcd "etcd://127.0.0.1:${silent.port}/x": 127.0.0.1:${silent.port}: no answer in time`,
    ]);
  });

  it('E11: a watch that is never confirmed has one too', async (test) => {
    const proxy = await proxyTo(server, test);
    const ear = http2Mute();
    proxy.filter = ear.filter;
    // The first stream is the listing.
    ear.mute((stream) => stream > 1);
    await server.put('/e11/k', 'v');
    const follower = followUrl(`etcd://127.0.0.1:${proxy.port}/e11/`, {}, { fetchTimeoutMs: 1_000 });
    await follower.next();
    const startedMs = performance.now();
    const error = await endOf(follower);
    // Sooner than the keepalive, which would find nothing wrong here.
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect([error.code, error.message]).toEqual([
      'source.timeout',
      `Cannot read etcd "etcd://127.0.0.1:${proxy.port}/e11/": 127.0.0.1:${proxy.port}: the watch was not confirmed in time`,
    ]);
  });

  it('a watch that has gone deaf is found out by the next listing, and taken again', async (test) => {
    // Of its own: what others write between its listing and its watch would be listed at once.
    const server = await startEtcd();
    test.onTestFinished(() => server.end());
    const proxy = await proxyTo(server, test);
    const ear = http2Mute();
    proxy.filter = ear.filter;
    await server.put('/deaf/k', '1');
    const followed = following(open(`etcd://127.0.0.1:${proxy.port}/deaf/`), test);
    await followed.until({ k: '1' });
    await until('it watches', () => ear.highest() > 1);
    const deaf = ear.highest();
    ear.mute((stream) => stream <= deaf);
    await server.put('/deaf/k', '2');
    // At most every 10 s, spread by a tenth.
    expect(await followed.until({ k: '2' }, 20_000)).toBeGreaterThan(1_000);
    await server.put('/deaf/k', '3');
    await followed.until({ k: '3' }, 5_000);
    expect([followed.state().errors, proxy.connections()]).toEqual([{}, 1]);
  });

  it('E9: a watch outlives its token, and a drop of the connection after that', async (test) => {
    const server = await startEtcdWithUsers();
    test.onTestFinished(() => server.end());
    const proxy = await proxyTo(server, test);
    await server.ctl('put', '/app/k', '1');
    const followed = following(open(`etcd://127.0.0.1:${proxy.port}/app/`, READER), test);
    await followed.until({ k: '1' });
    // The first listing after the first comes with a token that is long over.
    const contactAt = followed.state().lastContactAt;
    await until('it is listed again', () => followed.state().lastContactAt !== contactAt);
    expect(followed.state().errors).toEqual({});
    await server.ctl('put', '/app/k', '2');
    await followed.until({ k: '2' }, 2_000);
    proxy.cut();
    await until('the cut is noticed', () => followed.state().errors['source.disconnected']);
    await server.ctl('put', '/app/k', '3');
    await followed.until({ k: '3' });
    expect(followed.state().errors).toEqual({ 'source.disconnected': 1 });
  });

  it('E15: many refusals do not close the way for later ones', async (test) => {
    const proxy = await proxyTo(server, test);
    await server.put('/e15/k', 'v');
    proxy.mode = 'refuse';
    const provider = open(`etcd://127.0.0.1:${proxy.port}/e15/`);
    for (let round = 0; round < 8; round++) {
      expect((await failureOf(provider)).message).not.toContain('circuit');
    }
    proxy.mode = 'pass';
    const follower = followUrl(`etcd://127.0.0.1:${proxy.port}/e15/`);
    expect(treeOf(snapshotOf(await follower.next()).content)).toEqual({ k: 'v' });
    await follower.stop();
  });

  it('E15: a listing of a server that has gone silent has a deadline', async (test) => {
    const proxy = await proxyTo(server, test);
    const connection = connectionTo(test, proxy.port, '/e15b/');
    await connection.list();
    proxy.mode = 'hold';
    const startedMs = performance.now();
    const reason = await connection.list(1_000).then(() => null, explainEtcd);
    expect(reason).toEqual({ code: 'source.timeout', text: 'no answer in time' });
    expect(performance.now() - startedMs).toBeLessThan(8_000);
  });

  it('E16: an event that cannot be taken ends the watch and nothing else; none of its batch is shown', async (test) => {
    await server.put('/e16/k', 'before');
    const followed = following(open(`etcd://127.0.0.1:${server.port}/e16/`, {}, RARELY), test);
    await followed.until({ k: 'before' });
    const odd = Buffer.from([...Buffer.from('/e16/'), 0xff]);
    await server.txn([
      ['/e16/a', 'same batch'],
      [odd, '1'],
      ['/e16/z', 'same batch'],
    ]);
    await followed.down(5_000);
    expect(followed.state().error?.message).toMatch(/: the key "\/e16\/\u00ff" is not UTF-8$/);
    expect(followed.snapshots.map(({ content }) => treeOf(content))).toEqual([{ k: 'before' }]);
    await server.delete(odd);
    await followed.until({ k: 'before', a: 'same batch', z: 'same batch' });
  });
});

describe('of the faults of the library, users', () => {
  let server: EtcdServer;
  beforeAll(async () => {
    server = await startEtcdWithUsers();
  });
  afterAll(() => server.end());

  it('E9: a server that was restarted and has forgotten all tokens is logged in to again', async (test) => {
    const proxy = await proxyTo(server, test);
    await server.ctl('put', '/app/k', 'before');
    const followed = following(open(`etcd://127.0.0.1:${proxy.port}/app/`, READER, RARELY), test);
    await followed.until({ k: 'before' });
    proxy.mode = 'refuse';
    await server.stop('SIGKILL');
    await server.start();
    await server.ctl('put', '/app/k', 'after');
    // The log that is replayed at the start gives the tokens another life, of a second.
    await sleep(3_000);
    proxy.mode = 'pass';
    await followed.until({ k: 'after' });
    expect(Object.keys(followed.state().errors)).toEqual(['source.disconnected']);
  });

  it('E10: a refused watch says why, and the next one is not held up by it', async (test) => {
    const reader = { user: 'reader', password: 'secret' };
    const allowed = connectionTo(test, server.port, '/app/', reader);
    await allowed.list();
    const refused = connectionTo(test, server.port, '/other/', reader);
    await refused.list().catch(() => undefined);
    const reason = await failureOfWatch(refused, 1n);
    expect(reason.code).toBe('source.denied');
    const { revision } = await allowed.list();
    const event = new Promise<readonly EtcdEvent[]>((resolve, reject) => {
      allowed.watch(revision, { onConfirmed: () => undefined, onEvents: resolve, onFailure: reject });
    });
    await server.ctl('put', '/app/k', 'heard');
    expect((await event).map(({ kv }) => kv.value.toString())).toEqual(['heard']);
  });

  it('E11: a wrong password is an error, at once', async () => {
    const wrong = { ...READER, ETCDCTL_PASSWORD: 'wrong' };
    const startedMs = performance.now();
    const error = await failureOf(open(`etcd://127.0.0.1:${server.port}/app/`, wrong));
    expect(error.code).toBe('source.denied');
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});
