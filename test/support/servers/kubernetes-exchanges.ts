// Questions that any Kubernetes API server must answer the same way, except for times, versions and what it makes up itself.
import { readFileSync, writeFileSync } from 'node:fs';
import type { ApiAnswer, KubernetesServer } from './kubernetes.ts';

/** What was recorded from a real one. */
const RECORDED = new URL('../fixtures/kubernetes-exchanges.json', import.meta.url).pathname;

/** An answer that can be compared. */
export interface Exchange {
  readonly asked: string;
  readonly status: number;
  readonly type: unknown;
  readonly body: unknown;
}

/** The recording. */
export function recordedExchanges(): readonly Exchange[] {
  return JSON.parse(readFileSync(RECORDED, 'utf8'));
}

/** Makes it again. */
export function saveExchanges(exchanges: readonly Exchange[]): void {
  writeFileSync(RECORDED, `${JSON.stringify(exchanges, null, 2)}\n`);
}

const CORE = '/api/v1/namespaces';
const CONFIG_MAPS = `${CORE}/default/configmaps`;
const SECRETS = `${CORE}/default/secrets`;
const ALL = { apiGroups: [''], resources: ['configmaps'], verbs: ['list'] };

/** Asks a server that holds nothing of these names yet. */
export async function exchangesOf(server: KubernetesServer): Promise<readonly Exchange[]> {
  const exchanges: Exchange[] = [];
  const ask = async (
    method: string,
    path: string,
    body?: object,
    headers?: Record<string, string>,
  ): Promise<ApiAnswer> => {
    const answer = await server.ask(method, path, body, headers);
    exchanges.push({
      asked: `${method} ${comparable(path)}`,
      status: answer.status,
      type: answer.headers['content-type'],
      body: comparable(answer.body),
    });
    return answer;
  };
  const labels = { app: 'recorded' };
  await ask('GET', `${CONFIG_MAPS}?fieldSelector=metadata.name%3Drecorded-1`);
  await ask('POST', CONFIG_MAPS, {
    metadata: { name: 'recorded-1', labels },
    data: { a: '1' },
    binaryData: { b: 'AAE=' },
  });
  await ask('POST', CONFIG_MAPS, { metadata: { name: 'recorded-1' }, data: {} });
  await ask('POST', CONFIG_MAPS, {
    metadata: { name: 'recorded-2', labels },
    data: { a: '2' },
    immutable: true,
  });
  await ask('POST', SECRETS, { metadata: { name: 'recorded' }, stringData: { password: 'x' } });
  await ask('GET', `${SECRETS}?fieldSelector=metadata.name%3Drecorded`);
  await ask('GET', `${CONFIG_MAPS}/recorded-1`);
  await ask('GET', `${CONFIG_MAPS}/recorded-0`);
  await ask('GET', `${CONFIG_MAPS}?labelSelector=app%3Drecorded`);
  const first = await ask('GET', `${CONFIG_MAPS}?labelSelector=app%3Drecorded&limit=1`);
  const { metadata } = first.body as { metadata: { continue: string; resourceVersion: string } };
  const next = encodeURIComponent(metadata.continue);
  await ask('GET', `${CONFIG_MAPS}?labelSelector=app%3Drecorded&limit=1&continue=${next}`);
  await ask('PATCH', `${CONFIG_MAPS}/recorded-1`, { data: { a: '3' } });
  await ask('PATCH', `${CONFIG_MAPS}/recorded-2`, { data: { a: '3' } });
  await ask('PUT', `${CONFIG_MAPS}/recorded-0`, { metadata: { name: 'recorded-0' } });
  await ask('DELETE', `${CONFIG_MAPS}/recorded-2`);
  await ask('DELETE', `${CONFIG_MAPS}/recorded-2`);
  const watch = `watch=true&timeoutSeconds=1&resourceVersion=${metadata.resourceVersion}`;
  await ask('GET', `${CONFIG_MAPS}?${watch}&labelSelector=app%3Drecorded`);
  await ask('GET', `${CONFIG_MAPS}?${watch}&fieldSelector=metadata.name%3Drecorded-1`);
  await ask('GET', `${CONFIG_MAPS}?labelSelector=%3D%3D%3D`);
  await ask('GET', `${CORE}/recorded-none/configmaps`);
  await ask('GET', `${CORE}/recorded-none`);
  const wrong = { Authorization: 'Bearer wrong' };
  await ask('GET', CONFIG_MAPS, undefined, wrong);
  const token = await server.tokenFor('recorded', [{ ...ALL, resourceNames: ['recorded-1'] }]);
  const reader = { Authorization: `Bearer ${token}` };
  const one = 'fieldSelector=metadata.name%3Drecorded-1';
  await ask('GET', `${CONFIG_MAPS}?${one}`, undefined, reader);
  await ask('GET', `${CONFIG_MAPS}?${one}&watch=true`, undefined, reader);
  await ask('GET', CONFIG_MAPS, undefined, reader);
  await ask('GET', `${CONFIG_MAPS}/recorded-1`, undefined, reader);
  await ask('GET', `${CORE}/recorded-none`, undefined, reader);
  await ask('DELETE', `${CONFIG_MAPS}/recorded-1`);
  await ask('DELETE', `${SECRETS}/recorded`);
  await server.forget();
  await ask('GET', `${CONFIG_MAPS}?${watch}`);
  return exchanges;
}

/** Without what is another one each time, and without the field that says who wrote which other one. */
function comparable(value: unknown): unknown {
  const text = JSON.stringify(value) ?? 'null';
  return JSON.parse(text, (key, inner: unknown) => {
    if (key === 'managedFields') return undefined;
    if (typeof inner !== 'string') return inner;
    if (key === 'uid') return 'UID';
    if (key === 'creationTimestamp') return 'TIME';
    if (key === 'continue') return 'TOKEN';
    if (key === 'resourceVersion') return 'VERSION';
    return inner
      .replace(/(continue|resourceVersion)=[^&]+/g, '$1=…')
      .replace(/(too old resource version): \d+ \(\d+\)/, '$1: … (…)');
  });
}
