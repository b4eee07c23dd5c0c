import { describe, expect, it } from 'vitest';
import { type ProxyEnv, proxyCredentials, proxyFor } from '../../../../src/lib/http/proxy.ts';

function chosen(target: string, env: ProxyEnv): string | null {
  return proxyFor(new URL(target), env)?.href ?? null;
}

describe('proxyFor', () => {
  it('takes the variable of the scheme, in lower case before upper case, and all_proxy where there is none', () => {
    const env = {
      http_proxy: 'http://a:1',
      HTTP_PROXY: 'http://b:1',
      HTTPS_PROXY: 'http://c:1',
      ALL_PROXY: 'http://d:1',
    };
    expect(chosen('http://config.test/', env)).toBe('http://a:1/');
    expect(chosen('http://config.test/', { ...env, http_proxy: '' })).toBe('http://b:1/');
    expect(chosen('https://config.test/', env)).toBe('http://c:1/');
    expect(chosen('https://config.test/', { all_proxy: 'https://d:1' })).toBe('https://d:1/');
    expect(chosen('https://config.test/', {})).toBeNull();
  });

  it('takes a value without a scheme for an HTTP proxy', () => {
    expect(chosen('https://config.test/', { https_proxy: 'proxy:3128' })).toBe('http://proxy:3128/');
  });

  it.each([
    'http://localhost/',
    'http://a.localhost/',
    'https://127.0.0.1:8443/',
    'http://127.9.9.9/',
    'http://[::1]:80/',
  ])('never sends %s through a proxy', (target) => {
    expect(chosen(target, { all_proxy: 'http://proxy:1' })).toBeNull();
  });

  it.each([
    ['*', 'http://config.test/', false],
    ['config.test', 'http://config.test/', false],
    ['config.test', 'http://api.config.test/', false],
    ['.config.test', 'http://api.config.test/', false],
    ['*.config.test', 'http://api.config.test/', false],
    ['CONFIG.test', 'http://config.TEST/', false],
    ['config.test', 'http://myconfig.test/', true],
    ['config.test:8080', 'http://config.test:8080/', false],
    ['config.test:8080', 'http://config.test/', true],
    ['config.test:443', 'https://config.test/', false],
    ['other.test, config.test', 'http://config.test/', false],
    ['10.0.0.0/8', 'http://10.1.2.3/', false],
    ['10.0.0.0/8', 'http://11.1.2.3/', true],
    ['10.0.0.0/99', 'http://10.1.2.3/', true],
    ['fd00::/8', 'http://[fd00::1]/', false],
    ['[fd00::1]:80', 'http://[fd00::1]/', false],
    ['2.3', 'http://10.1.2.3/', true],
    ['', 'http://config.test/', true],
  ])('with no_proxy "%s" asks a proxy for %s: %s', (noProxy, target, asksProxy) => {
    const found = chosen(target, { all_proxy: 'http://proxy:1', NO_PROXY: noProxy });
    expect(found === 'http://proxy:1/').toBe(asksProxy);
  });

  it('decodes the credentials of a proxy', () => {
    expect(proxyCredentials(new URL('http://u%40x:p%3A@proxy:1'))).toEqual({
      username: 'u@x',
      password: 'p:',
    });
    expect(proxyCredentials(new URL('http://proxy:1'))).toBeNull();
  });
});
