// What is read from the URLs of key-value stores.
import { describe, expect, it } from 'vitest';
import { endpointName, parseStoreUrl } from '../../../src/source/store-url.ts';

const ETCD = { scheme: 'etcd', defaultPort: 2379, severalHosts: true, parameters: ['key'] };

describe('the URL of a store', () => {
  it('names hosts with the default port, with their own, and by IPv6 address', () => {
    const { endpoints, tls } = parseStoreUrl('etcds://one,two:99,[::1],[fe80::1]:7/k', {
      ...ETCD,
    });
    expect(endpoints.map(endpointName)).toEqual(['one:2379', 'two:99', '[::1]:2379', '[fe80::1]:7']);
    expect(tls).toBe(true);
  });

  it('takes what stands before the last @ for the user, decoded', () => {
    const { userInfo } = parseStoreUrl('etcd://me%40home:p%3Aw@x@host/k', ETCD);
    expect(userInfo).toEqual({ user: 'me@home', password: 'p:w@x' });
  });

  it('leaves a plus sign alone and decodes the rest', () => {
    expect(parseStoreUrl('etcd://h/a+b%20c', ETCD).path).toBe('/a+b c');
    expect(parseStoreUrl('etcd://h?key=a+b%20c%26', ETCD).parameters.get('key')).toBe('a+b c&');
  });
});
