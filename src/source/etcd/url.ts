// The URL of an etcd source, and the settings that name its TLS files.
import { InvalidValue } from '../../lib/invalid-value.ts';
import { parseStoreUrl, type StoreUrl } from '../store-url.ts';

const URL_RULES = { scheme: 'etcd', defaultPort: 2379, severalHosts: true, parameters: ['key'] };

export const ETCD_TLS = { ca: 'ETCDCTL_CACERT', cert: 'ETCDCTL_CERT', key: 'ETCDCTL_KEY' } as const;

/** Where an etcd source is, and which key of it counts: one with a slash at its end is a prefix. */
export interface EtcdAddress extends StoreUrl {
  /** Never empty. */
  readonly key: string;
}

/** `etcd://host:2379,host2/key`, with TLS `etcds://`; a key without a leading slash as `?key=`. Throws an InvalidValue. */
export function parseEtcdUrl(url: string): EtcdAddress {
  const address = parseStoreUrl(url, URL_RULES);
  const { path, parameters } = address;
  const key = parameters.get('key');
  if (key !== undefined && path !== '' && path !== '/') {
    throw new InvalidValue('it names one key in its path and another one as ?key=; keep one of them');
  }
  const named = key ?? path;
  if (named === '') {
    throw new InvalidValue('the URL names no key: end it with /key for one document or /prefix/ for a tree');
  }
  return { ...address, key: named };
}
