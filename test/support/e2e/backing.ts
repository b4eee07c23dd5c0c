// What the end-to-end tests follow: one small configuration, kept in each kind of source, changed from outside.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ConsulServer } from '../servers/consul.ts';
import type { EtcdServer } from '../servers/etcd.ts';
import { type HttpSource, servesDocument } from '../servers/http-source.ts';
import type { Place } from './place.ts';
import type { Variables } from './sidecar.ts';

/** A source with a configuration of flat names. */
export interface Backing {
  readonly shape: 'tree' | 'document';
  readonly variables: Variables;
  /** Makes these the configuration; names that were there before stay. */
  readonly set: (values: Variables) => Promise<void>;
}

export function etcdTree(server: Pick<EtcdServer, 'port' | 'put'>, place: Place): Backing {
  const prefix = `/${place.name}/`;
  return {
    shape: 'tree',
    variables: { SOURCE: `etcd://127.0.0.1:${server.port}${prefix}` },
    set: async (values) => {
      for (const [key, value] of Object.entries(values)) await server.put(prefix + key, value);
    },
  };
}

export function consulTree(server: Pick<ConsulServer, 'port' | 'put'>, place: Place): Backing {
  return {
    shape: 'tree',
    variables: { SOURCE: `consul://127.0.0.1:${server.port}/${place.name}/` },
    set: async (values) => {
      for (const [key, value] of Object.entries(values)) await server.put(`${place.name}/${key}`, value);
    },
  };
}

/** Polled every 200 ms. */
export function httpDocument(server: HttpSource): Backing {
  let count = 0;
  return {
    shape: 'document',
    variables: { SOURCE: `${server.origin}/app.json`, UPDATE_FREQUENCY: '200ms' },
    set: async (values) => {
      count += 1;
      const document = { etag: `"${count}"`, body: `${JSON.stringify(values)}\n` };
      server.answer(servesDocument(() => document));
    },
  };
}

/** Replaced as a careful program does it. */
export function fileDocument(place: Place, path = 'source/app.json'): Backing {
  return {
    shape: 'document',
    variables: { SOURCE: place.at(path) },
    set: async (values) => replaceFile(place.at(path), `${JSON.stringify(values)}\n`),
  };
}

export function fileTree(place: Place): Backing {
  const folder = place.directory('source');
  return {
    shape: 'tree',
    variables: { SOURCE: `${folder}/` },
    set: async (values) => {
      for (const [name, value] of Object.entries(values)) replaceFile(`${folder}/${name}`, value);
    },
  };
}

/** Writes beside the file and renames over it. */
export function replaceFile(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.tmp`, text);
  renameSync(`${path}.tmp`, path);
}

/** The smallest job: one file followed, one file kept. */
export interface FileJob {
  readonly variables: Variables;
  /** The output. */
  readonly config: string;
  /** Makes this the value in the source. */
  readonly set: (value: string | number) => void;
}

/** `{"value": …}` from `source.json` to `out/app.json`, with intervals short enough to test with. */
export function fileJob(place: Place, value: string | number = 'one'): FileJob {
  place.directory('out');
  const config = place.at('out/app.json');
  const set = (next: string | number): void =>
    replaceFile(place.at('source.json'), `${JSON.stringify({ value: next })}\n`);
  set(value);
  return {
    variables: { SOURCE: place.at('source.json'), OUTPUT: config, RELOAD_MIN_INTERVAL: '100ms' },
    config,
    set,
  };
}

/** The value in a text that `fileJob` published. */
export function publishedValue(text: unknown): unknown {
  return typeof text === 'string' ? JSON.parse(text).value : text;
}
