// Where a campaign writes in Kubernetes: one ConfigMap or Secret for each sequence, or several that a selector finds.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openKubernetes } from '../../../src/source/kubernetes/open.ts';
import { parseKubernetesUrl } from '../../../src/source/kubernetes/url.ts';
import type { Content, Provider } from '../../../src/source/provider.ts';
import { kubeconfig } from '../servers/kubeconfig.ts';
import type { ApiAnswer, KubernetesServer } from '../servers/kubernetes.ts';
import { type KubernetesFront, startKubernetesFront } from '../servers/kubernetes-front.ts';
import { startProxy } from '../servers/proxy.ts';
import { providerOptions } from '../source/provider-contract.ts';
import type { Place, ServerFault } from './campaign.ts';
import { type State, stateOfTree } from './history.ts';
import type { Change } from './sequence.ts';

const CORE = '/api/v1/namespaces/default';
const AWAY_MS = 100;

/** A source is read whole every ten seconds: that late a connection is missed that was lost without a word. */
export const KUBERNETES_CAMPAIGN = { largeBytes: 100_000, settleMs: 120_000, concurrency: 8 };

/** What happens to one object. */
export const OBJECT_FAULTS = ['delete', 'recreate', 'immutable', 'annotate', 'wrong token'] as const;

/** No key of Kubernetes has a slash. */
const named = (key: string): string => key.replaceAll('/', '__');
const keyOf = (name: string): string => name.replaceAll('__', '/');
const decode = (content: Content): State =>
  Object.fromEntries(Object.entries(stateOfTree(content)).map(([name, value]) => [keyOf(name), value]));

/** Access to an API server, through a port of our own. */
interface Access {
  readonly port: number;
  readonly ca: string;
  readonly token: string;
}

/** A KUBECONFIG of its own, in which the token can be another one for a while. */
function access(url: string, given: Access) {
  const folder = mkdtempSync(join(tmpdir(), 'kubernetes-campaign-'));
  const path = join(folder, 'kubeconfig');
  const use = (token: string): void => writeFileSync(path, kubeconfig({ ...given, user: { token } }));
  use(given.token);
  const setting = (name: string): string | undefined => (name === 'KUBECONFIG' ? path : undefined);
  const provider: Provider = openKubernetes(
    url,
    parseKubernetesUrl(url),
    providerOptions({ setting, fetchTimeoutMs: 8_000 }),
  );
  return { provider, use, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function succeeded({ status, body }: ApiAnswer): string {
  if (status >= 300) throw new Error(`The server answered ${status}: ${JSON.stringify(body)}`);
  return (body as { metadata: { resourceVersion: string } }).metadata.resourceVersion;
}

/** One object: every second one a Secret. A write is one patch of it, so every snapshot is one state of it. */
export function objectPlaces(server: KubernetesServer): (at: number) => Promise<Place> {
  return async (at) => {
    const kind = at % 2 === 0 ? 'configmap' : 'secret';
    const name = `campaign-${at}`;
    const proxy = await startProxy(server.port);
    const { ca, token } = server;
    const { provider, use, remove } = access(`k8s://${kind}/${name}`, { port: proxy.port, ca, token });
    const store = new OneObject(server, kind, name);
    return {
      provider,
      proxy,
      decode,
      write: (changes) => store.write(changes),
      current: () => store.current(),
      serverFaults: {
        ...objectFaults(store),
        'wrong token': {
          keepsData: true,
          run: async () => {
            use('wrong');
            await sleep(AWAY_MS);
            use(token);
            return [];
          },
        },
      },
      close: async () => {
        await proxy.close();
        remove();
        await store.delete();
      },
    };
  };
}

class OneObject {
  readonly #server: KubernetesServer;
  readonly #kind: 'configmap' | 'secret';
  readonly #name: string;

  constructor(server: KubernetesServer, kind: 'configmap' | 'secret', name: string) {
    this.#server = server;
    this.#kind = kind;
    this.#name = name;
  }

  get #folder(): string {
    return `${CORE}/${this.#kind}s`;
  }

  get path(): string {
    return `${this.#folder}/${this.#name}`;
  }

  ask(method: string, body?: object): Promise<ApiAnswer> {
    return this.#server.ask(method, this.path, body);
  }

  /** Carries all changes out at once; gives the version. */
  async write(changes: readonly Change[]): Promise<string> {
    const data = changes.map(({ key, value }) => [named(key), value === null ? null : this.#coded(value)]);
    const patched = await this.ask('PATCH', { data: Object.fromEntries(data) });
    if (patched.status !== 404) return succeeded(patched);
    return await this.make(Object.fromEntries(data.filter(([, value]) => value !== null)));
  }

  /** Makes it, with data as the API has it. */
  async make(data: object, more: object = {}): Promise<string> {
    return succeeded(
      await this.#server.ask('POST', this.#folder, { metadata: { name: this.#name }, data, ...more }),
    );
  }

  async delete(): Promise<void> {
    const { status } = await this.ask('DELETE');
    if (status !== 200 && status !== 404) throw new Error(`The server answered ${status}`);
  }

  async current(): Promise<State> {
    const { status, body } = await this.ask('GET');
    if (status === 404) return {};
    if (status !== 200) throw new Error(`The server answered ${status}`);
    const { data = {} } = body as { data?: Record<string, string> };
    return Object.fromEntries(
      Object.entries(data).map(([name, text]) => [
        keyOf(name),
        this.#kind === 'secret' ? Buffer.from(text, 'base64').toString() : text,
      ]),
    );
  }

  /** As the API has it. */
  async data(): Promise<object> {
    const coded = Object.entries(await this.current()).map(([key, value]) => [
      named(key),
      this.#coded(value),
    ]);
    return Object.fromEntries(coded);
  }

  #coded(value: string): string {
    return this.#kind === 'secret' ? Buffer.from(value).toString('base64') : value;
  }
}

function objectFaults(store: OneObject): Readonly<Record<string, ServerFault>> {
  const fault = (run: () => Promise<readonly State[]>): ServerFault => ({ keepsData: false, run });
  let count = 0;
  return {
    delete: fault(async () => {
      await store.delete();
      return [{}];
    }),
    recreate: fault(async () => {
      await store.delete();
      await store.write([{ key: 'a', value: `again ${count++}` }]);
      return [{}, await store.current()];
    }),
    immutable: fault(async () => {
      const data = await store.data();
      await store.delete();
      await store.make(data, { immutable: true });
      const fixed = await store.current();
      await sleep(AWAY_MS);
      await store.delete();
      await store.write([{ key: 'b', value: `after it was immutable ${count++}` }]);
      return [{}, fixed, {}, await store.current()];
    }),
    annotate: fault(async () => {
      await store.ask('PATCH', { metadata: { annotations: { note: String(count++) } } });
      return [await store.current()];
    }),
  };
}

/** Several ConfigMaps that a selector finds, each with one key: what is written to several is no one state. */
export function selectorPlaces(server: KubernetesServer): (at: number) => Promise<Place> {
  return async (at) => {
    const app = `campaign-${at}`;
    const folder = `${CORE}/configmaps`;
    const proxy = await startProxy(server.port);
    const { ca, token } = server;
    const url = `k8s://configmaps?selector=app%3D${app}`;
    const { provider, remove } = access(url, { port: proxy.port, ca, token });
    const objectOf = (key: string): string => `selected-${at}-${named(key).replaceAll('_', '-')}`;
    const put = async (key: string, value: string | null, label = app): Promise<void> => {
      const name = objectOf(key);
      if (value === null) return void (await server.ask('DELETE', `${folder}/${name}`));
      const whole = { metadata: { name, labels: { app: label } }, data: { [named(key)]: value } };
      const replaced = await server.ask('PUT', `${folder}/${name}`, whole);
      succeeded(replaced.status === 404 ? await server.ask('POST', folder, whole) : replaced);
    };
    const current = async (): Promise<State> => {
      const { body } = await server.ask('GET', `${folder}?labelSelector=app%3D${app}`);
      const { items } = body as { items: readonly { readonly data: Record<string, string> }[] };
      const all = items.flatMap(({ data }) => Object.entries(data));
      return Object.fromEntries(all.map(([name, value]) => [keyOf(name), value]));
    };
    let count = 0;
    return {
      provider,
      proxy,
      decode,
      write: async (changes) => {
        for (const { key, value } of changes) await put(key, value);
        return null;
      },
      current,
      serverFaults: {
        'out of the selector': {
          keepsData: false,
          run: async () => {
            await put('a', `elsewhere ${count}`, 'other');
            const without = await current();
            await sleep(AWAY_MS);
            await put('a', `back ${count++}`);
            return [without, await current()];
          },
        },
      },
      close: async () => {
        await proxy.close();
        remove();
        for (const key of Object.keys(await current())) await put(key, null);
      },
    };
  };
}

const body = (code: number, message = 'made up'): string =>
  JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code });
/** What stands between may answer instead; of watches alone, or of everything. */
const ANSWERS = {
  'too many': { status: 429, body: body(429), headers: { 'Retry-After': '1' } },
  failing: { status: 500, body: body(500) },
  unavailable: { status: 503, body: body(503) },
  'gone as a status': { status: 410, body: body(410) },
  'gone in the stream': { status: 200, body: `{"type":"ERROR","object":${body(410)}}\n` },
  'failed in the stream': { status: 200, body: `{"type":"ERROR","object":${body(500)}}\n` },
  nothing: { status: 200, body: '' },
  page: { status: 200, body: '<!DOCTYPE html><p>Log in</p>\n' },
  redirect: { status: 302, body: '', headers: { Location: '/elsewhere' } },
} as const;
export const ANSWER_FAULTS = [...Object.keys(ANSWERS).flatMap((name) => [name, `${name} to a watch`]), 'cut'];

/** One object behind what stands between: a balancer that ends connections, and answers some requests itself. */
export function balancedPlaces(server: KubernetesServer): (at: number) => Promise<Place> {
  return async (at) => {
    const store = new OneObject(server, 'configmap', `balanced-${at}`);
    const front: KubernetesFront = await startKubernetesFront(server);
    const proxy = await startProxy(front.port);
    const { provider, remove } = access(`k8s://configmap/balanced-${at}`, {
      port: proxy.port,
      ca: front.ca,
      token: server.token,
    });
    const faults = Object.entries(ANSWERS).flatMap(([name, reply]) =>
      [false, true].map((isOfWatches): [string, ServerFault] => [
        isOfWatches ? `${name} to a watch` : name,
        {
          keepsData: true,
          run: async () => {
            let isAnswered: boolean = false;
            front.rule = (path) => {
              if (isOfWatches && !path.includes('watch=true')) return null;
              isAnswered = true;
              return reply;
            };
            proxy.cut();
            // After a cut it takes a moment until it is asked again.
            for (let waited = 0; !isAnswered && waited < 20 * AWAY_MS; waited += 10) await sleep(10);
            front.rule = () => null;
            return [];
          },
        },
      ]),
    );
    const cut: ServerFault = {
      keepsData: true,
      run: async () => {
        proxy.cut();
        return [];
      },
    };
    return {
      provider,
      proxy,
      decode,
      write: (changes) => store.write(changes),
      current: () => store.current(),
      serverFaults: { ...Object.fromEntries(faults), cut },
      close: async () => {
        await proxy.close();
        await front.close();
        remove();
        await store.delete();
      },
    };
  };
}
