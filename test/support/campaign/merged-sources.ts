// Four real sources of one sidecar, each with faults of its own: what they hold, and what the volume may show of that.
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ConsulServer } from '../servers/consul.ts';
import type { EtcdServer } from '../servers/etcd.ts';
import { type HttpSource, respond } from '../servers/http-source.ts';
import { type FaultProxy, startProxy } from '../servers/proxy.ts';

/** The sources in the order of SOURCE: the later one wins. */
export const NAMES = ['file', 'http', 'consul', 'etcd'] as const;
export type SourceName = (typeof NAMES)[number];

/** What one source holds: a count of its own, and perhaps a value for a key that all of them may have. */
export interface Held {
  readonly count: number;
  readonly common: string | null;
}

export interface MergedSource {
  /** As SOURCE names it. */
  readonly url: string;
  /** null for a source without a network. */
  readonly proxy: FaultProxy | null;
  readonly write: (held: Held) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** What the merge of these is, computed in another way than the program does. */
export function mergeOf(held: Readonly<Record<SourceName, Held>>): unknown {
  const common = NAMES.map((name) => held[name].common).findLast((value) => value !== null);
  return {
    counts: Object.fromEntries(NAMES.map((name) => [name, String(held[name].count)])),
    ...(common !== undefined && { common }),
  };
}

/** The keys of a source: `counts/NAME` and perhaps `common`. */
function textsOf(name: SourceName, { count, common }: Held): Record<string, string | null> {
  return { [`counts/${name}`]: String(count), common };
}

export interface Servers {
  readonly etcd: EtcdServer;
  readonly consul: ConsulServer;
  readonly http: HttpSource;
  /** What the HTTP server serves, by path. */
  readonly documents: Map<string, string>;
}

/** Serves the documents. */
export function serveDocuments({ http, documents }: Pick<Servers, 'http' | 'documents'>): void {
  http.answer(({ url = '' }, response) => {
    const text = documents.get(url);
    if (text === undefined) respond(response, 404, '');
    else respond(response, 200, text);
  });
}

/** Makes all four, each holding what is given; `id` is a place that no other run has. */
export async function openSources(
  servers: Servers,
  { id, directory }: { readonly id: string; readonly directory: string },
): Promise<Readonly<Record<SourceName, MergedSource>>> {
  const { etcd, consul, http, documents } = servers;
  const proxies = await Promise.all([http.port, consul.port, etcd.port].map((port) => startProxy(port)));
  const [httpProxy, consulProxy, etcdProxy] = proxies as [FaultProxy, FaultProxy, FaultProxy];
  const folder = join(directory, 'data');
  mkdirSync(join(folder, 'counts'), { recursive: true });
  return {
    file: {
      url: `${folder}/`,
      proxy: null,
      write: async (held) => writeTree(folder, held),
      close: async () => {},
    },
    http: {
      url: `http://127.0.0.1:${httpProxy.port}/${id}.json`,
      proxy: httpProxy,
      write: async ({ count, common }) => {
        const text = JSON.stringify({ counts: { http: String(count) }, ...(common !== null && { common }) });
        documents.set(`/${id}.json`, text);
      },
      close: () => httpProxy.close(),
    },
    consul: {
      url: `consul://127.0.0.1:${consulProxy.port}/${id}/`,
      proxy: consulProxy,
      write: (held) => {
        const texts = Object.entries(textsOf('consul', held));
        return consul.txn(texts.map(([key, value]) => ({ key: `${id}/${key}`, value })));
      },
      close: () => consulProxy.close(),
    },
    etcd: {
      url: `etcd://127.0.0.1:${etcdProxy.port}/${id}/`,
      proxy: etcdProxy,
      write: async (held) => {
        const texts = Object.entries(textsOf('etcd', held));
        await etcd.txn(texts.map(([key, value]) => [`/${id}/${key}`, value] as const));
      },
      close: () => etcdProxy.close(),
    },
  };
}

/** One file after the other, each in one step: a directory of files has no transactions. */
function writeTree(folder: string, held: Held): void {
  for (const [key, value] of Object.entries(textsOf('file', held))) {
    const path = join(folder, key);
    if (value === null) rmSync(path, { force: true });
    else {
      writeFileSync(`${path}.tmp`, value);
      renameSync(`${path}.tmp`, path);
    }
  }
}
