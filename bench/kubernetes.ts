// Kubernetes as a store of the bench: a real API server, and a writer that keeps its connection as the others do.
import * as fs from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { kubeApiserver } from '../test/support/servers/build-kube-apiserver.ts';
import { kubeconfig } from '../test/support/servers/kubeconfig.ts';
import { startKubernetes } from '../test/support/servers/kubernetes.ts';
import { root, type Store } from './stage.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';

/** No name of an object has a slash. */
const named = (key: string): string => key.replaceAll('/', '-');

export interface StartedStore {
  readonly store: Store;
  readonly end: () => Promise<void>;
}

/** Starts it; null, after one line that says so, where no API server was built yet. */
export async function startKubernetesStore(): Promise<StartedStore | null> {
  if (!fs.existsSync(kubeApiserver())) {
    console.log('kubernetes: not measured; "npm run test:kubernetes" builds the API server that it needs\n');
    return null;
  }
  const server = await startKubernetes();
  const { port, ca, token } = server;
  const save = (name: string, text: string): string => {
    fs.writeFileSync(join(root, name), text);
    return join(root, name);
  };
  const KUBECONFIG = save('kubeconfig', kubeconfig({ port, ca, user: { token } }));
  const agent = new Agent({ keepAlive: true, ca });
  const ask = (method: string, path: string, body: object): Promise<number> =>
    new Promise((resolve, reject) => {
      const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
      const headers = { Authorization: `Bearer ${token}`, 'Content-Type': type };
      const asked = request({ host: '127.0.0.1', port, method, path, headers, agent }, (answer) => {
        answer.resume().once('end', () => resolve(answer.statusCode ?? 0));
      });
      asked.once('error', reject).end(JSON.stringify(body));
    });
  const put = async (key: string, value: string): Promise<void> => {
    const data = { value };
    const status = await ask('PATCH', `${CONFIG_MAPS}/${named(key)}`, { data });
    if (status === 404) await ask('POST', CONFIG_MAPS, { metadata: { name: named(key) }, data });
    else if (status !== 200) throw new Error(`The API server answered ${status}`);
  };
  const store: Store = {
    name: 'kubernetes',
    address: `https://127.0.0.1:${port}`,
    source: (key) => `k8s://configmap/${named(key)}#/value`,
    settings: { KUBECONFIG, SOURCE_FORMAT: 'text' },
    floorEnv: { TOKEN: token, NODE_EXTRA_CA_CERTS: save('ca.crt', ca) },
    bound: 1.3,
    put,
    putAll: async (values) => {
      for (const [key, value] of Object.entries(values)) await put(key, value);
    },
  };
  const end = async (): Promise<void> => {
    agent.destroy();
    await server.end();
  };
  return { store, end };
}
