// The campaigns that run against the scripted Kubernetes API as well as against a real server.
import { expect } from 'vitest';
import type { KubernetesServer } from '../servers/kubernetes.ts';
import { expectMostFaults, runCampaign } from './campaign.ts';
import {
  ANSWER_FAULTS,
  balancedPlaces,
  KUBERNETES_CAMPAIGN,
  OBJECT_FAULTS,
  objectPlaces,
  selectorPlaces,
} from './kubernetes-places.ts';

type Report = Awaited<ReturnType<typeof runCampaign>>;

/** The end equals the object, under its version, and no state is shown that it never had. */
export async function followsObject(server: KubernetesServer, sequences: number): Promise<void> {
  const serverFaults = [...OBJECT_FAULTS];
  const open = objectPlaces(server);
  const report = await runCampaign({
    ...{ name: 'kubernetes', open, sequences, serverFaults },
    ...KUBERNETES_CAMPAIGN,
  });
  expect(report.snapshots).toBeGreaterThan(report.sequences);
  expectMostFaults(report, serverFaults);
}

/** The same of all that a selector finds, each key by itself. */
export async function followsSelector(server: KubernetesServer, sequences: number): Promise<void> {
  const serverFaults = ['out of the selector'];
  const open = selectorPlaces(server);
  const report = await runCampaign({
    ...{ name: 'kubernetes selector', open, sequences, serverFaults },
    ...{ promise: 'per-key', ...KUBERNETES_CAMPAIGN },
  });
  expect(report.snapshots).toBeGreaterThan(report.sequences);
}

/** The same behind a balancer, whatever that answers. */
export async function followsBehindBalancer(server: KubernetesServer, sequences: number): Promise<Report> {
  const open = balancedPlaces(server);
  const report = await runCampaign({
    ...{ name: 'kubernetes balancer', open, sequences, serverFaults: ANSWER_FAULTS },
    ...{ proxyFaults: [], ...KUBERNETES_CAMPAIGN },
  });
  expectMostFaults(report, ANSWER_FAULTS);
  return report;
}
