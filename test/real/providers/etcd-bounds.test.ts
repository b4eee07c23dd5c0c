// What the etcd provider takes at most (bytes of names and values, keys, connections), and what it leaves out.
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { following, followUrl, open, treeOf } from '../../support/providers/etcd-parts.ts';
import { type EtcdServer, startEtcd } from '../../support/servers/etcd.ts';
import { portOf } from '../../support/servers/ports.ts';
import { failureOf, snapshotOf } from '../../support/source/provider-contract.ts';

describe('an etcd with much in it', () => {
  let server: EtcdServer;
  beforeAll(async () => {
    server = await startEtcd();
  });
  afterAll(() => server.end());
  const url = (path: string) => `etcd://127.0.0.1:${server.port}${path}`;
  const fill = (prefix: string, count: number, pad = 0) => {
    const names = Array.from({ length: count }, (_, i) => `${prefix}${'x'.repeat(pad)}${i}`);
    return server.putAll(Object.fromEntries(names.map((name) => [name, ''])));
  };
  const refused = (path: string, reason: string) =>
    `Cannot read etcd "${url(path)}": 127.0.0.1:${server.port}: ${reason}`;

  it('counts names while it lists, so that empty keys with long names do not fill the memory', async () => {
    await fill('/names/', 5_000, 1_996);
    const error = await failureOf(open(url('/names/'), {}, { maxBytes: 3_000_000 }));
    expect(error.code).toBe('source.too-large');
    // Refused after the second page of a thousand keys of 1,999 or 2,000 bytes.
    expect(error.message).toMatch(/: it holds at least (?:399|400)\d{4} bytes, MAX_SIZE allows 3000000$/);
  });

  it('takes one key for every 128 bytes of MAX_SIZE, and at least a thousand', async () => {
    await fill('/keys/', 2_001);
    const error = await failureOf(open(url('/keys/'), {}, { maxBytes: 256_000 }));
    expect(error.code).toBe('source.too-large');
    const reason = 'it holds at least 2001 keys, MAX_SIZE "256000" allows 2000 (one for 128 bytes)';
    expect(error.message).toBe(refused('/keys/', reason));
    await server.delete('/keys/0');
    const follower = followUrl(url('/keys/'), {}, { maxBytes: 256_000 });
    expect(Object.keys(treeOf(snapshotOf(await follower.next()).content))).toHaveLength(2_000);
    await follower.stop();
  });

  it('leaves out keys that only mark a folder, when they are read and when they come later', async () => {
    await server.putAll({ '/app/': '', '/app/sub/': '', '/app/sub/k': 'v' });
    const follower = followUrl(url('/app/'));
    const first = snapshotOf(await follower.next());
    expect(treeOf(first.content)).toEqual({ 'sub/k': 'v' });
    await server.put('/app/late/', '');
    await server.put('/app/late/k', 'w');
    expect(treeOf((await follower.nextSnapshot()).content)).toEqual({ 'sub/k': 'v', 'late/k': 'w' });
    await follower.stop();
    await server.txn([
      ['/app/sub/k', null],
      ['/app/late/k', null],
    ]);
    const again = followUrl(url('/app/'));
    expect(snapshotOf(await again.next()).content).toEqual({ kind: 'nothing' });
    await again.stop();
  });
});

it('makes one connection for each try, and none after it was closed', async (context) => {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on('error', () => undefined).destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const source = following(open(`etcd://127.0.0.1:${portOf(server)}/app/`), context);
  const tries = () => Object.values(source.state().errors).reduce((a, b) => a + b, 0);
  await expect.poll(tries, { timeout: 20_000 }).toBeGreaterThanOrEqual(8);
  // A second connection would come a second after the first.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(connections - tries()).toBeLessThanOrEqual(1);
});
