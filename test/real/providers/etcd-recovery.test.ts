// How soon the etcd provider under the real loop has the new value after an outage (E14: the library took up to 30 s).
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../support/e2e/until.ts';
import { following, open, proxyTo } from '../../support/providers/etcd-parts.ts';
import { type EtcdServer, startEtcd } from '../../support/servers/etcd.ts';
import { accepts } from '../../support/servers/ports.ts';

const RUNS = 12;
const OUTAGE_MS = 5_000;

describe('E14: after an outage of five seconds', () => {
  let server: EtcdServer;
  beforeAll(async () => {
    server = await startEtcd();
  });
  afterAll(() => server.end());

  const median = (times: readonly number[]): number =>
    [...times].sort((a, b) => a - b)[times.length >> 1] ?? 0;

  it('of the network the new value is there within a second, in the median', async (test) => {
    const proxies = await Promise.all(Array.from({ length: RUNS }, () => proxyTo(server, test)));
    await server.put('/recovery/k', 'before');
    const all = proxies.map(({ port }) => following(open(`etcd://127.0.0.1:${port}/recovery/`), test));
    await Promise.all(all.map((followed) => followed.until({ k: 'before' })));
    for (const proxy of proxies) {
      proxy.mode = 'refuse';
      proxy.cut();
    }
    await sleep(OUTAGE_MS);
    await server.put('/recovery/k', 'after');
    for (const proxy of proxies) proxy.mode = 'pass';
    const times = await Promise.all(all.map((followed) => followed.until({ k: 'after' })));
    console.log(`recovery from the network, ms: ${times.map(Math.round).join(' ')}`);
    expect(median(times)).toBeLessThan(1_000);
  });

  it('of the server the new value is there within a second, in the median', async (test) => {
    await server.put('/restart/k', 'before');
    const url = `etcd://127.0.0.1:${server.port}/restart/`;
    const all = Array.from({ length: RUNS }, () => following(open(url), test));
    await Promise.all(all.map((followed) => followed.until({ k: 'before' })));
    await server.stop('SIGKILL');
    await sleep(OUTAGE_MS);
    const starting = server.start();
    await until('the server takes connections', () => accepts(server.port));
    await until('it can be written to', () => server.put('/restart/k', 'after').then(() => true));
    const times = await Promise.all(all.map((followed) => followed.until({ k: 'after' })));
    await starting;
    console.log(`recovery from the server, ms: ${times.map(Math.round).join(' ')}`);
    expect(median(times)).toBeLessThan(1_000);
  });
});
