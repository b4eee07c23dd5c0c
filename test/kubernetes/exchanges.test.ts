// Whether the recording that the scripted server is held to is what a real API server says today.
import { expect, it, onTestFinished } from 'vitest';
import { startKubernetes } from '../support/servers/kubernetes.ts';
import { exchangesOf, recordedExchanges, saveExchanges } from '../support/servers/kubernetes-exchanges.ts';

it('a real API server answers as it was recorded (UPDATE_RECORDING=1 records again)', async () => {
  const server = await startKubernetes();
  onTestFinished(() => server.end());
  const exchanges = await exchangesOf(server);
  if (process.env['UPDATE_RECORDING'] === '1') saveExchanges(exchanges);
  expect(exchanges).toEqual(recordedExchanges());
});
