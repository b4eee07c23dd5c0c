// The etcd provider against three members: some of them dead, frozen, or without a leader.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../support/e2e/until.ts';
import { type Ends, following, open, proxyTo } from '../../support/providers/etcd-parts.ts';
import type { EtcdServer } from '../../support/servers/etcd.ts';
import { type EtcdCluster, startEtcdCluster } from '../../support/servers/etcd-cluster.ts';
import type { FaultProxy } from '../../support/servers/proxy.ts';

/** No listing but the first within a test: only the watch can report a change. */
const RARELY = { updateFrequencyMs: 600_000 };

describe('an etcd of three members', () => {
  let cluster: EtcdCluster;
  beforeAll(async () => {
    cluster = await startEtcdCluster();
  });
  afterAll(() => cluster.end());

  /** Writes with patience: a new leader takes a second or two. */
  async function put(member: EtcdServer, key: string, value: string): Promise<void> {
    await until(`"${key}" is written`, async () => {
      await member.put(key, value);
      return true;
    });
  }

  /** A proxy before each member, and the member that is asked. */
  async function watched(path: string, test: Ends) {
    const proxies: FaultProxy[] = [];
    for (const member of cluster.members) proxies.push(await proxyTo(member, test));
    const hosts = proxies.map(({ port }) => `127.0.0.1:${port}`).join(',');
    const inUse = (): EtcdServer => {
      const at = proxies.findIndex((proxy) => proxy.open() > 0);
      const member = cluster.members[at];
      if (member === undefined) throw new Error('No member is asked');
      return member;
    };
    const others = (member: EtcdServer): EtcdServer[] => cluster.members.filter((other) => other !== member);
    return { url: `etcd://${hosts}${path}`, inUse, others };
  }

  it('is followed on when the member that is asked is killed', async (test) => {
    await put(cluster.members[0], '/kill/k', '1');
    const { url, inUse, others } = await watched('/kill/', test);
    const followed = following(open(url, {}, RARELY), test);
    await followed.until({ k: '1' });
    const member = inUse();
    const [other = member] = others(member);
    await member.stop('SIGKILL');
    await put(other, '/kill/k', '2');
    expect(await followed.until({ k: '2' })).toBeLessThan(5_000);
    await member.start();
  });

  it('is followed on within 15 seconds when the member that is asked is frozen', async (test) => {
    await put(cluster.members[0], '/freeze/k', '0');
    const { url, inUse, others } = await watched('/freeze/', test);
    const followed = following(open(url, {}, RARELY), test);
    await followed.until({ k: '0' });
    await put(cluster.members[0], '/freeze/k', '1');
    await followed.until({ k: '1' });
    const member = inUse();
    const [other = member] = others(member);
    member.freeze();
    const startedMs = performance.now();
    await put(other, '/freeze/k', '2');
    await followed.until({ k: '2' }, 20_000);
    expect(performance.now() - startedMs).toBeLessThan(15_000);
    member.thaw();
  });

  for (const [done, undo] of [
    ['frozen', 'thawed'],
    ['killed', 'started again'],
  ] as const) {
    it(`E12: a member whose two fellows are ${done} says that it has no leader, and is read when they are ${undo}`, async (test) => {
      const [asked, ...fellows] = cluster.members;
      const path = `/alone-${done}/`;
      await put(asked, `${path}k`, '1');
      const followed = following(open(`etcd://127.0.0.1:${asked.port}${path}`, {}, RARELY), test);
      await followed.until({ k: '1' });
      for (const fellow of fellows) await (done === 'frozen' ? fellow.freeze() : fellow.stop('SIGKILL'));
      expect(await followed.down(10_000)).toBeLessThan(10_000);
      expect(followed.state().error?.message).toBe(
        `Cannot read etcd "etcd://127.0.0.1:${asked.port}${path}": 127.0.0.1:${asked.port}: etcdserver: no leader`,
      );
      await Promise.all(fellows.map((fellow) => (done === 'frozen' ? fellow.thaw() : fellow.start())));
      await put(asked, `${path}k`, '2');
      // The listing says so as well: one that waited for a leader would take seven seconds.
      await followed.until({ k: '2' }, 4_000);
    });
  }

  it('is followed on by the members that are left when the first is dead from the beginning', async (test) => {
    const [first, second] = cluster.members;
    await put(second, '/dead/k', '1');
    await first.stop('SIGKILL');
    const followed = following(open(`etcd://${cluster.hosts}/dead/`, {}, RARELY), test);
    await followed.until({ k: '1' });
    await put(second, '/dead/k', '2');
    await followed.until({ k: '2' }, 5_000);
    await first.start();
  });
});
