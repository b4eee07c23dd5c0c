// examples/git-and-configmap with a real repository and a real API server: its settings, its rights, one file out of both.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPlace } from '../support/e2e/place.ts';
import { until } from '../support/e2e/until.ts';
import { EXAMPLES } from '../support/examples/manifest.ts';
import { readManifest } from '../support/pods/manifest.ts';
import { createRepository } from '../support/servers/git.ts';
import { kubeconfig } from '../support/servers/kubeconfig.ts';
import { type RealKubernetes, startKubernetes } from '../support/servers/kubernetes.ts';

let server: RealKubernetes;
beforeAll(async () => {
  server = await startKubernetes();
});
afterAll(() => server.end());

const CORE = '/api/v1/namespaces/default';
const RBAC = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';

/** Applies rights.yaml, and gives a token of its service account. */
async function applyRights(): Promise<string> {
  const text = readFileSync(join(EXAMPLES, 'git-and-configmap/rights.yaml'), 'utf8');
  for (const one of loadAll(text) as { kind: string }[]) {
    const group = one.kind === 'ServiceAccount' ? CORE : RBAC;
    expect((await server.ask('POST', `${group}/${one.kind.toLowerCase()}s`, one)).status).toBe(201);
  }
  const made = await server.ask('POST', `${CORE}/serviceaccounts/web/token`, {
    spec: { expirationSeconds: 600 },
  });
  return (made.body as { status: { token: string } }).status.token;
}

const values = (text: string): object => ({
  metadata: { name: 'web-values' },
  data: { 'values.yaml': text },
});

test('one file of both: the ConfigMap goes before the base, and a change of either reaches the application', async (context) => {
  const place = createPlace(context);
  const repository = createRepository();
  context.onTestFinished(() => repository.remove());
  repository.commit({ 'web.yaml': 'listen: 80\nlog: { level: info, format: json }\n' });
  await server.ask('POST', `${CORE}/configmaps`, values('upstream: 10.0.0.7\nlog: { level: debug }\n'));
  const user = { token: await applyRights() };
  const sidecar = readManifest('git-and-configmap').spec.containers.find(
    ({ name }) => name === 'config-sidecar',
  );
  const given = Object.fromEntries((sidecar?.env ?? []).map(({ name, value }) => [name, value]));
  const { APP_CONTAINER: _container, SOURCE = '', ...settings } = given;
  const running = await place.start({
    ...settings,
    SOURCE: SOURCE.replace('git+https://git.example/team/base.git', `git+file://${repository.bare}`),
    OUTPUT: place.at('web.json'),
    KUBECONFIG: place.write('kubeconfig', kubeconfig({ port: server.port, ca: server.ca, user })),
    UPDATE_FREQUENCY: '200ms',
    APP_PROCESS: place.name,
  });
  const published = (): unknown => JSON.parse(place.read('web.json'));
  const log = { level: 'debug', format: 'json' };
  await until('both are published', () => place.read('web.json').includes('10.0.0.7'));
  expect(published()).toEqual({ listen: 80, upstream: '10.0.0.7', log });
  const app = await place.app({ config: place.at('web.json') });
  repository.commit({ 'web.yaml': 'listen: 81\nlog: { level: info, format: json }\n' });
  await until('the application read the new base', () => JSON.stringify(app.told()).includes('81'));
  await server.ask('PUT', `${CORE}/configmaps/web-values`, values('upstream: 10.0.0.8\n'));
  await until('the application read the new value', () => JSON.stringify(app.told()).includes('10.0.0.8'));
  expect(published()).toEqual({ listen: 81, upstream: '10.0.0.8', log: { level: 'info', format: 'json' } });
  expect((await running.target()).sources.map(({ up }) => up)).toEqual([true, true]);
});
