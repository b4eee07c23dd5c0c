// The URLs of key-value stores: what is read from them, and what is said about those that cannot work.
import { describe, expect, it } from 'vitest';
import { openConsul } from '../../../providers/consul.ts';
import { openEtcd } from '../../../providers/etcd.ts';
import type { OpenProvider } from '../../../src/source/provider.ts';
import { endpointName, parseStoreUrl } from '../../../src/source/store-url.ts';
import { providerOptions } from '../../support/source/provider-contract.ts';

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

function refusal(open: OpenProvider, url: string, settings: Record<string, string> = {}): string {
  try {
    open(url, providerOptions({ setting: (name) => settings[name] }));
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: 'settings.source', stage: 'settings' });
    return thrown instanceof Error ? thrown.message : '';
  }
  throw new Error(`"${url}" was accepted`);
}

describe('a source that can never work is refused when it is opened', () => {
  const etcd: readonly (readonly [string, string])[] = [
    ['http://h/k', 'the scheme must be etcd:// or, with TLS, etcds://'],
    ['etcd:h/k', 'the scheme must be etcd:// or, with TLS, etcds://'],
    ['etcd://h', 'it names no key; end it with /key'],
    ['etcd:///k', '"" is no host; accepted are host:port and [IPv6 address]:port, port 2379 if none'],
    ['etcd://h,/k', '"" is no host; accepted are host:port and [IPv6 address]:port, port 2379 if none'],
    ['etcd://::1/k', '"::1" is no host; accepted are host:port and [IPv6 address]:port, port 2379 if none'],
    ['etcd://h:0/k', 'the port of "h:0" must be from 1 to 65535'],
    ['etcd://h:65536/k', 'the port of "h:65536" must be from 1 to 65535'],
    ['etcd://h/k?dc=x', 'unknown parameter "dc"; accepted: key'],
    ['etcd://h?key=a&key=b', 'parameter "key" is given twice'],
    ['etcd://h/k?key=a', 'it names a key in its path and another as ?key='],
    ['etcd://h?key=', '?key= is empty; name a key, or a prefix with a slash at its end'],
    ['etcd://h/k#/a', 'a store has no fragment; write a "#" in a key as %23'],
    ['etcd://h/100%', 'a "%" is followed by something else than the two hexadecimal digits of UTF-8 text'],
  ];
  it.each(etcd)('%s', (url, reason) => {
    expect(refusal(openEtcd, url)).toBe(`Cannot use source "${url}": ${reason}`);
  });

  const consul: readonly (readonly [string, string, string])[] = [
    ['consul://h', 'consul://h', 'it names no key; end it with /key, or /prefix/ for a tree'],
    ['consul://a,b/k', 'consul://a,b/k', 'it names several hosts; give one'],
    ['consul://u:secret@h/k', 'consul://h/k', 'Consul knows no users; give the token as CONSUL_HTTP_TOKEN'],
    ['consul://h/k?key=x', 'consul://h/k?key=x', 'unknown parameter "key"; accepted: dc'],
  ];
  it.each(consul)('%s', (url, shown, reason) => {
    expect(refusal(openConsul, url)).toBe(`Cannot use source "${shown}": ${reason}`);
  });

  it('a certificate without its key, and TLS files without TLS', () => {
    expect(refusal(openEtcd, 'etcds://h/k', { ETCDCTL_CERT: 'c' })).toBe(
      'Cannot use source "etcds://h/k": ETCDCTL_CERT is given without ETCDCTL_KEY',
    );
    expect(refusal(openConsul, 'consuls://h/k', { CONSUL_CLIENT_KEY: 'c' })).toBe(
      'Cannot use source "consuls://h/k": CONSUL_CLIENT_KEY is given without CONSUL_CLIENT_CERT',
    );
    expect(refusal(openEtcd, 'etcd://h/k', { ETCDCTL_CACERT: 'c' })).toBe(
      'Cannot use source "etcd://h/k": ETCDCTL_CACERT is given, but the URL asks for no TLS; use the scheme with an "s"',
    );
  });
});
