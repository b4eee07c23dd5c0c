// The campaign against Consul: faults of the network many at once, faults of the agent one after the other.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type CampaignReport,
  type Place,
  runCampaign,
  type ServerFault,
} from '../support/campaign/campaign.ts';
import type { State } from '../support/campaign/history.ts';
import { type ConsulKey, type ConsulServer, startConsul } from '../support/servers/consul.ts';
import { startProxy } from '../support/servers/proxy.ts';
import { openConsul } from '../support/source/open.ts';
import { providerOptions } from '../support/source/provider-contract.ts';

const FROZEN_MS = 1_000;
/** A restart of a durable agent needs an election. */
const SERVER = { concurrency: 1, maxSteps: 8, largeBytes: 20_000 };

describe('Consul under generated writes and faults', () => {
  let server: ConsulServer;
  beforeAll(async () => {
    server = await startConsul();
  });
  afterAll(() => server.end());

  it('ends equal to the store, and shows no state it never had', async () => {
    const report = await runCampaign({ name: 'consul', open: placesIn(server), sequences: 250 });
    expect(report.sequences).toBeGreaterThanOrEqual(Number(process.env['CAMPAIGN_SEQUENCES'] ?? 250));
    expect(report.snapshots).toBeGreaterThan(report.sequences);
  }, 300_000);

  it('does so when the agent is frozen, loses everything, and is put back to what it was', async () => {
    const serverFaults = ['freeze', 'wipe', 'save', 'restore'];
    const more = { ...SERVER, serverFaults, sequences: 24 };
    const report = await runCampaign({ name: 'consul agent', open: placesIn(server), ...more });
    expect(countOf(report, serverFaults)).toBeGreaterThanOrEqual(2);
  }, 300_000);
});

describe('a Consul that keeps its data', () => {
  let server: ConsulServer;
  beforeAll(async () => {
    server = await startConsul({ durable: true });
  });
  afterAll(() => server.end());

  it('is followed through kills and restarts', async () => {
    const serverFaults = ['kill', 'restart'];
    const more = { ...SERVER, serverFaults, sequences: 8 };
    const report = await runCampaign({ name: 'consul server', open: placesIn(server), ...more });
    expect(countOf(report, serverFaults)).toBeGreaterThanOrEqual(2);
  }, 300_000);
});

function countOf({ faults }: CampaignReport, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + (faults[name] ?? 0), 0);
}

function placesIn(server: ConsulServer): (at: number) => Promise<Place> {
  return async (at) => {
    const prefix = `campaign/${at}/`;
    const proxy = await startProxy(server.port);
    const current = async (): Promise<State> => stateOf(await server.list(prefix), prefix);
    return {
      provider: openConsul(
        `consul://127.0.0.1:${proxy.port}/${prefix}`,
        providerOptions({ fetchTimeoutMs: 4_000 }),
      ),
      proxy,
      write: async (changes) => {
        await server.txn(changes.map(({ key, value }) => ({ key: prefix + key, value })));
        // A value put again keeps its index, so the store itself is asked for the highest.
        const indexes = (await server.list(prefix)).map(({ modifyIndex }) => modifyIndex);
        return indexes.length === 0 ? null : String(Math.max(...indexes));
      },
      current,
      serverFaults: serverFaults(server, current),
      close: async () => {
        await proxy.close();
        await server.deleteTree(prefix);
      },
    };
  };
}

function stateOf(keys: readonly ConsulKey[], prefix: string): State {
  return Object.fromEntries(keys.map(({ key, value }) => [key.slice(prefix.length), value.toString()]));
}

function serverFaults(
  server: ConsulServer,
  current: () => Promise<State>,
): Readonly<Record<string, ServerFault>> {
  let saved: { readonly state: State; readonly snapshot: Buffer } | null = null;
  const save = async (): Promise<{ readonly state: State; readonly snapshot: Buffer }> => {
    saved = { state: await current(), snapshot: await server.snapshot() };
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
    wipe: {
      keepsData: false,
      run: async () => {
        await server.wipe();
        await server.start();
        return [{}];
      },
    },
    save: { keepsData: false, run: () => save().then(() => []) },
    restore: {
      keepsData: false,
      run: async () => {
        const { state, snapshot } = saved ?? (await save());
        await server.restore(snapshot);
        return [state];
      },
    },
  };
}
