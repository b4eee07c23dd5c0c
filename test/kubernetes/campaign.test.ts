// The campaign against a real API server: faults of the network many at once, faults of the server one after the other.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Place, runCampaign, type ServerFault } from '../support/campaign/campaign.ts';
import type { State } from '../support/campaign/history.ts';
import {
  followsBehindBalancer,
  followsObject,
  followsSelector,
} from '../support/campaign/kubernetes-campaigns.ts';
import { KUBERNETES_CAMPAIGN, objectPlaces } from '../support/campaign/kubernetes-places.ts';
import { type RealKubernetes, startKubernetes } from '../support/servers/kubernetes.ts';

const FROZEN_MS = 1_000;

describe('a Kubernetes API server under generated writes and faults', () => {
  let server: RealKubernetes;
  beforeAll(async () => {
    server = await startKubernetes();
  });
  afterAll(() => server.end());

  it('is followed: the end equals the object, under its version, with no state it never had', async () => {
    await followsObject(server, 80);
  }, 600_000);

  it('is followed by a selector', async () => {
    await followsSelector(server, 40);
  }, 600_000);

  it('is followed behind a balancer, whatever that answers', async () => {
    await followsBehindBalancer(server, 60);
  }, 600_000);

  it('is followed when it is killed, frozen, compacted, and put back to what it was', async () => {
    const places = objectPlaces(server);
    const open = async (at: number): Promise<Place> => {
      const place = await places(at);
      return { ...place, serverFaults: processFaults(server, place.current) };
    };
    const serverFaults = ['kill', 'freeze', 'forget', 'save', 'rebuild'];
    const report = await runCampaign({
      ...{ name: 'kubernetes server', open, sequences: 8, serverFaults },
      ...{ maxSteps: 8, ...KUBERNETES_CAMPAIGN, concurrency: 1 },
    });
    expect(Object.values(report.faults).length).toBeGreaterThan(2);
  }, 600_000);
});

function processFaults(
  server: RealKubernetes,
  current: () => Promise<State>,
): Readonly<Record<string, ServerFault>> {
  let saved: State | null = null;
  const save = async (): Promise<State> => {
    await server.save();
    saved = await current();
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
    freeze: keeping(async () => {
      server.freeze();
      await sleep(FROZEN_MS);
      server.thaw();
    }),
    forget: keeping(() => server.forget()),
    save: { keepsData: false, run: () => save().then(() => []) },
    rebuild: {
      keepsData: false,
      run: async () => {
        const state = saved ?? (await save());
        await server.rebuild();
        return [state];
      },
    },
  };
}
