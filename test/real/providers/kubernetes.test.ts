// The Kubernetes source against a scripted API. `npm run test:kubernetes` runs the same cases against a real one.
import { expect, it, onTestFinished } from 'vitest';
import { exchangesOf, recordedExchanges } from '../../support/servers/kubernetes-exchanges.ts';
import { startScriptedKubernetes } from '../../support/servers/kubernetes-scripted.ts';
import { describeKubernetes, kubernetesHarness } from '../../support/source/kubernetes-cases.ts';
import { describeProviderLaw } from '../../support/source/provider-contract.ts';

describeProviderLaw('Kubernetes', () => kubernetesHarness(startScriptedKubernetes));
describeKubernetes('Kubernetes', startScriptedKubernetes);

it('the scripted API answers as the real one was recorded to', async () => {
  const server = await startScriptedKubernetes();
  onTestFinished(() => server.end());
  expect(await exchangesOf(server)).toEqual(recordedExchanges());
});
