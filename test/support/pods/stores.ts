// Stores as containers of a pod, and writers that reach them from outside.
import type { Container } from './manifest.ts';
import type { Pod } from './pod.ts';

/** etcd, named as manifests name it; its data is gone with its container. */
export function etcdContainer(image: string): Container {
  const here = 'http://127.0.0.1';
  const client = ['--listen-client-urls', `${here}:2379`, '--advertise-client-urls', `${here}:2379`];
  const peer = ['--listen-peer-urls', `${here}:2380`];
  return {
    name: 'etcd',
    image,
    command: ['etcd', '--data-dir', '/tmp/etcd', ...client, ...peer],
    startupProbe: { httpGet: { path: '/health', port: 2379 } },
  };
}

/** Consul, in development mode. */
export function consulContainer(image: string): Container {
  return {
    name: 'consul',
    image,
    command: ['consul', 'agent', '-dev', '-client', '127.0.0.1', '-bind', '127.0.0.1'],
    startupProbe: { httpGet: { path: '/v1/status/leader', port: 8500 } },
  };
}

/** Puts all of them (null: deletes) in one transaction, and gives its revision. */
export async function putInEtcd(pod: Pod, values: Readonly<Record<string, string | null>>): Promise<string> {
  const code = (text: string): string => Buffer.from(text).toString('base64');
  const success = Object.entries(values).map(([key, value]) =>
    value === null
      ? { requestDeleteRange: { key: code(key) } }
      : { requestPut: { key: code(key), value: code(value) } },
  );
  const body = JSON.stringify({ success });
  const { status, body: said } = await pod.ask('http://127.0.0.1:2379/v3/kv/txn', { method: 'POST', body });
  if (status !== 200) throw new Error(`etcd answered ${status}: ${said}`);
  return JSON.parse(said).header.revision;
}

/** Puts all of them in one transaction, and gives its index. */
export async function putInConsul(pod: Pod, values: Readonly<Record<string, string>>): Promise<string> {
  const body = JSON.stringify(
    Object.entries(values).map(([Key, value]) => ({
      KV: { Verb: 'set', Key, Value: Buffer.from(value).toString('base64') },
    })),
  );
  const { status, body: said } = await pod.ask('http://127.0.0.1:8500/v1/txn', { method: 'PUT', body });
  if (status !== 200) throw new Error(`Consul answered ${status}: ${said}`);
  const { Results } = JSON.parse(said) as { Results: readonly { KV: { ModifyIndex: number } }[] };
  return String(Math.max(...Results.map(({ KV }) => KV.ModifyIndex)));
}
