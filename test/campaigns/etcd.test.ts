// The campaign against etcd: faults of the network many at once, faults of the server one after the other.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Place, runCampaign, type ServerFault } from '../support/campaign/campaign.ts';
import { highestRevision, type Revisions, type State } from '../support/campaign/history.ts';
import { type EtcdServer, startEtcd } from '../support/servers/etcd.ts';
import { startProxy } from '../support/servers/proxy.ts';
import { openEtcd } from '../support/source/open.ts';
import { providerOptions } from '../support/source/provider-contract.ts';

const FROZEN_MS = 1_000;

describe('etcd under generated writes and faults', () => {
  let server: EtcdServer;
  beforeAll(async () => {
    server = await startEtcd();
  });
  afterAll(() => server.end());

  async function open(at: number): Promise<Place> {
    const prefix = `/campaign/${at}/`;
    const proxy = await startProxy(server.port);
    const revisions = highestRevision();
    const current = async (): Promise<State> => {
      const found = await server.all(prefix);
      return Object.fromEntries(found.map(([key, value]) => [key.slice(prefix.length), value.toString()]));
    };
    return {
      provider: openEtcd(
        `etcd://127.0.0.1:${proxy.port}${prefix}`,
        providerOptions({ fetchTimeoutMs: 4_000 }),
      ),
      proxy,
      write: async (changes) => {
        const revision = await server.txn(changes.map(({ key, value }) => [prefix + key, value]));
        return revisions.wrote(changes, revision);
      },
      current,
      serverFaults: serverFaults(server, revisions, current),
      close: async () => {
        await proxy.close();
        await server.deletePrefix(prefix);
      },
    };
  }

  it('ends equal to the store, and shows no state it never had', async () => {
    const report = await runCampaign({ name: 'etcd', open, sequences: 250 });
    expect(report.sequences).toBeGreaterThanOrEqual(Number(process.env['CAMPAIGN_SEQUENCES'] ?? 250));
    expect(report.snapshots).toBeGreaterThan(report.sequences);
  }, 300_000);

  it('does so when the server is killed, frozen, compacted, wiped and rebuilt', async () => {
    const names = ['kill', 'restart', 'freeze', 'compact', 'wipe', 'save', 'rebuild'];
    const more = { serverFaults: names, concurrency: 1, maxSteps: 10, largeBytes: 20_000 };
    const report = await runCampaign({ name: 'etcd server', open, sequences: 30, ...more });
    expect(report.snapshots).toBeGreaterThan(report.sequences);
  }, 300_000);
});

function serverFaults(
  server: EtcdServer,
  revisions: Revisions,
  current: () => Promise<State>,
): Readonly<Record<string, ServerFault>> {
  const beginning = revisions.save();
  let saved: { readonly state: State; readonly back: () => void } | null = null;
  const save = async (): Promise<{ readonly state: State; readonly back: () => void }> => {
    await server.snapshot();
    saved = { state: await current(), back: revisions.save() };
    return saved;
  };
  const keeping = (work: () => Promise<void>): ServerFault => ({
    keepsData: true,
    run: () => work().then(() => []),
  });
  return {
    kill: keeping(async () => {
      await server.stop('SIGKILL');
      await server.start();
    }),
    restart: keeping(async () => {
      await server.stop();
      await server.start();
    }),
    freeze: keeping(async () => {
      server.freeze();
      await sleep(FROZEN_MS);
      server.thaw();
    }),
    compact: keeping(() => server.compact()),
    wipe: {
      keepsData: false,
      run: async () => {
        await server.stop('SIGKILL');
        server.wipe();
        await server.start();
        beginning();
        return [{}];
      },
    },
    save: { keepsData: false, run: () => save().then(() => []) },
    rebuild: {
      keepsData: false,
      run: async () => {
        const { state, back } = saved ?? (await save());
        await server.stop('SIGKILL');
        await server.restore();
        await server.start();
        back();
        return [state];
      },
    },
  };
}
