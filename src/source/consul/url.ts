// The URL of a Consul source, and the settings that name its TLS files.
import { InvalidValue } from '../../lib/invalid-value.ts';
import { parseStoreUrl, type StoreUrl } from '../store-url.ts';

const URL_RULES = { scheme: 'consul', defaultPort: 8500, severalHosts: false, parameters: ['dc'] };

export const CONSUL_TLS = {
  ca: 'CONSUL_CACERT',
  cert: 'CONSUL_CLIENT_CERT',
  key: 'CONSUL_CLIENT_KEY',
} as const;

/** `consul://host:8500/key?dc=eu`, with TLS `consuls://`; a key with a slash at its end is a prefix. Throws an InvalidValue. */
export function parseConsulUrl(url: string): StoreUrl {
  const address = parseStoreUrl(url, URL_RULES);
  if (address.userInfo !== null) {
    throw new InvalidValue('Consul has no users; give the token as CONSUL_HTTP_TOKEN');
  }
  if (address.path === '') {
    throw new InvalidValue('the URL names no key: end it with /key for one document or /prefix/ for a tree');
  }
  return address;
}
