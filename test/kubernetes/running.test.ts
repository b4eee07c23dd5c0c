// The built program beside a real API server: a change reaches a real process, and what is in the way holds nothing up for good.
import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { blocksOf, page } from '../support/docs/pages.ts';
import { createPlace, type Place } from '../support/e2e/place.ts';
import type { Sidecar, Start, Variables } from '../support/e2e/sidecar.ts';
import { until } from '../support/e2e/until.ts';
import { kubeconfig } from '../support/servers/kubeconfig.ts';
import { type RealKubernetes, startKubernetes } from '../support/servers/kubernetes.ts';
import { startProxy } from '../support/servers/proxy.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';

let server: RealKubernetes;
beforeAll(async () => {
  server = await startKubernetes();
});
afterAll(() => server.end());

async function put(name: string, data: Readonly<Record<string, string>>): Promise<void> {
  const whole = { metadata: { name }, data };
  const { status } = await server.ask('PUT', `${CONFIG_MAPS}/${name}`, whole);
  if (status === 404) await server.ask('POST', CONFIG_MAPS, whole);
}

const through = (place: Place, port = server.port): Variables => ({
  KUBECONFIG: place.write(
    `kubeconfig-${port}`,
    kubeconfig({ port, ca: server.ca, user: { token: server.token } }),
  ),
});

interface Running {
  readonly sidecar: Sidecar;
  /** Changes the ConfigMap, and waits until the application was notified of it. */
  readonly reaches: (value: string) => Promise<void>;
}

/** A sidecar that follows the ConfigMap of this name, and a process that it signals. */
async function run(place: Place, name: string, variables: Variables, start?: Start): Promise<Running> {
  await put(name, { value: 'first' });
  const config = place.at('app.json');
  const sidecar = await place.start(
    { SOURCE: `k8s://configmap/${name}`, OUTPUT: config, APP_PROCESS: place.name, ...variables },
    start,
  );
  const isFirst = () => place.read('app.json').includes('first');
  await until('the configuration is there', isFirst);
  const app = await place.app({ config });
  const told = (value: string) =>
    until(`the application was notified of ${value}`, () =>
      app.told().some((one) => JSON.stringify(one).includes(value)),
    );
  const reaches = async (value: string): Promise<void> => {
    await put(name, { value });
    await told(value);
  };
  return { sidecar, reaches };
}

describe('with KUBECONFIG', () => {
  test('a patch reaches a real process by a signal, and an unchanged one does not', async (context) => {
    const place = createPlace(context);
    const { sidecar, reaches } = await run(place, 'plain', through(place));
    await reaches('second');
    await server.ask('PATCH', `${CONFIG_MAPS}/plain`, { metadata: { labels: { note: 'x' } } });
    await reaches('third');
    const { outcome, sources } = await sidecar.target();
    expect(outcome).toBe('applied');
    expect(sources).toMatchObject([{ url: 'k8s://configmap/plain', up: true, error: null }]);
    expect((await sidecar.end()).code).toBe(0);
  });

  test('a ConfigMap that is deleted changes nothing, and one that is made again counts', async (context) => {
    const place = createPlace(context);
    const { sidecar, reaches } = await run(place, 'deleted', through(place));
    await server.ask('DELETE', `${CONFIG_MAPS}/deleted`);
    await until('nothing was refused', async () => (await sidecar.target()).code === 'source.empty');
    expect(place.read('app.json')).toContain('first');
    await reaches('again');
  });

  test('a restart of the API server loses no change', async (context) => {
    const place = createPlace(context);
    const { sidecar, reaches } = await run(place, 'restarted', through(place));
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await server.stop(signal);
      await until('the outage is known', async () => (await sidecar.target()).sources[0]?.up === false);
      expect((await sidecar.get('/readyz')).status).toBe(200);
      await server.start();
      await reaches(`after ${signal}`);
    }
  });

  test('an API server that freezes is an outage, and then goes on', async (context) => {
    const place = createPlace(context);
    const more = { FETCH_TIMEOUT: '1s', UPDATE_FREQUENCY: '10s' };
    const { sidecar, reaches } = await run(place, 'frozen', { ...through(place), ...more });
    server.freeze();
    await until(
      'the outage is known',
      async () => (await sidecar.target()).sources[0]?.error?.code === 'source.timeout',
    );
    server.thaw();
    await reaches('thawed');
  });

  test('connections that are cut, held up and lost without a word lose no change', async (context) => {
    const place = createPlace(context);
    const proxy = await startProxy(server.port);
    context.onTestFinished(() => proxy.close());
    const more = { FETCH_TIMEOUT: '1s', UPDATE_FREQUENCY: '10s' };
    const { reaches } = await run(place, 'cut', { ...through(place, proxy.port), ...more });
    proxy.cut();
    await reaches('after the cut');
    proxy.mode = 'black-hole';
    const lost = reaches('after the silence');
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    proxy.mode = 'pass';
    await lost;
    proxy.cutAfterBytes = 3_000;
    await reaches('by short connections');
  });

  test('check names the right that is missing, and once reads', async (context) => {
    const place = createPlace(context);
    await put('checked', { value: 'once' });
    const token = await server.tokenFor('nothing', []);
    const poor = place.write('poor', kubeconfig({ port: server.port, ca: server.ca, user: { token } }));
    const words = ['--source', 'k8s://configmap/checked', '--output', place.at('app.json')];
    const refused = await place.run(['check', ...words], { KUBECONFIG: poor });
    expect(refused.stdout).toContain(
      '"system:serviceaccount:default:nothing" may not list configmaps "checked" in namespace "default" (403); bind it to a Role with verbs get, list, watch on configmaps and resourceNames [checked] there',
    );
    expect(refused.code).not.toBe(0);
    const { code } = await place.run(['once', ...words], through(place));
    expect({ code, text: place.read('app.json') }).toMatchObject({
      code: 0,
      text: expect.stringContaining('once'),
    });
  });
});

test('with a client certificate in KUBECONFIG, as the user that it names', async (context) => {
  const place = createPlace(context);
  const name = 'certified';
  const { cert, key } = server.authority.issue(name);
  const group = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';
  const verbs = ['get', 'list', 'watch'];
  const rules = [{ apiGroups: [''], resources: ['configmaps'], resourceNames: [name], verbs }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name };
  const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name }];
  await server.ask('POST', `${group}/roles`, { metadata: { name }, rules });
  await server.ask('POST', `${group}/rolebindings`, { metadata: { name }, roleRef, subjects });
  const user = {
    'client-certificate-data': Buffer.from(cert).toString('base64'),
    'client-key-data': Buffer.from(key).toString('base64'),
  };
  const KUBECONFIG = place.write('certified', kubeconfig({ port: server.port, ca: server.ca, user }));
  const { reaches } = await run(place, name, { KUBECONFIG });
  await reaches('by a certificate');
});

test('in a pod, with the rights of the documentation: service account, and its token when it is another one', async (context) => {
  const place = createPlace(context);
  const account = place.directory('account');
  const rights = blocksOf(page('docs/kubernetes.md')).find(({ text }) => /^kind: Role$/m.test(text));
  for (const one of loadAll(rights?.text ?? '') as { kind: string }[]) {
    const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/default/${one.kind.toLowerCase()}s`;
    expect((await server.ask('POST', path, one)).status).toBe(201);
  }
  const accounts = '/api/v1/namespaces/default/serviceaccounts';
  await server.ask('POST', accounts, { metadata: { name: 'web' } });
  const newToken = async (): Promise<void> => {
    const { body } = await server.ask('POST', `${accounts}/web/token`, { spec: { expirationSeconds: 600 } });
    place.write('account/token', (body as { status: { token: string } }).status.token);
  };
  await newToken();
  place.write('account/ca.crt', server.ca);
  place.write('account/namespace', 'default');
  // A view of the file system in which the service account lies where Kubernetes mounts it.
  const mount = `mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io && ln -s ${account} /run/secrets/kubernetes.io/serviceaccount && exec "$@"`;
  const asUser = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const { reaches, sidecar } = await run(
    place,
    'web',
    {
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(server.port),
      UPDATE_FREQUENCY: '10s',
    },
    { node: 'unshare', nodeWords: [...asUser, '--mount', 'sh', '-c', mount, 'sh', process.execPath] },
  );
  await reaches('by the service account');
  place.write('account/token', 'expired');
  await until(
    'the token was refused',
    async () => (await sidecar.target()).sources[0]?.error?.code === 'source.denied',
  );
  await newToken();
  await reaches('by the next token');
});
