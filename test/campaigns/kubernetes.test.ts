// The campaign against the scripted Kubernetes API. `npm run test:kubernetes` does the same to a real API server.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectMostFaults, type Place, runCampaign } from '../support/campaign/campaign.ts';
import {
  followsBehindBalancer,
  followsObject,
  followsSelector,
} from '../support/campaign/kubernetes-campaigns.ts';
import { KUBERNETES_CAMPAIGN, objectPlaces } from '../support/campaign/kubernetes-places.ts';
import { type ScriptedKubernetes, startScriptedKubernetes } from '../support/servers/kubernetes-scripted.ts';

const AWAY_MS = 200;

describe('the scripted Kubernetes API under generated writes and faults', () => {
  let server: ScriptedKubernetes;
  beforeAll(async () => {
    server = await startScriptedKubernetes();
  });
  afterAll(() => server.end());

  it('ends equal to the object, under its version, and shows no state it never had', async () => {
    await followsObject(server, 40);
  }, 300_000);

  it('does so for what a selector finds', async () => {
    await followsSelector(server, 20);
  }, 300_000);

  it('does so behind a balancer, whatever that answers', async () => {
    const report = await followsBehindBalancer(server, 40);
    expect(report.snapshots).toBeGreaterThan(report.sequences);
  }, 300_000);

  it('does so when the API goes away, and forgets the past meanwhile', async () => {
    const open = async (at: number): Promise<Place> => {
      const own = await startScriptedKubernetes();
      const place = await objectPlaces(own)(at);
      const away = async (isForgetting: boolean): Promise<readonly []> => {
        own.away(true);
        await sleep(AWAY_MS);
        if (isForgetting) await own.forget();
        own.away(false);
        return [];
      };
      return {
        ...place,
        serverFaults: {
          away: { keepsData: true, run: () => away(false) },
          forget: { keepsData: true, run: () => away(true) },
        },
        close: async () => {
          await place.close();
          await own.end();
        },
      };
    };
    const serverFaults = ['away', 'forget'];
    const report = await runCampaign({
      ...{ name: 'kubernetes server', open, sequences: 16, serverFaults },
      ...KUBERNETES_CAMPAIGN,
    });
    expectMostFaults(report, serverFaults);
  }, 300_000);
});
