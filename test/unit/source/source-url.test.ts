// The URL of every kind of source: what is read from it, and the whole reason for one that can never work.
import { describe, expect, it, test } from 'vitest';
import { InvalidValue } from '../../../src/lib/invalid-value.ts';
import { SOURCE_KINDS } from '../../../src/settings/sources.ts';
import type { SourceKind, SourceUrl } from '../../../src/source/provider.ts';

function kind(scheme: string): SourceKind {
  const found = SOURCE_KINDS.find(({ schemes }) => schemes.includes(scheme));
  if (found === undefined) throw new Error(`There is no scheme ${scheme}`);
  return found;
}

const parse = (scheme: string, url: string): SourceUrl => kind(scheme).parseUrl(url, '/work-dir');

function refusal(scheme: string, url: string): string {
  try {
    parse(scheme, url);
  } catch (thrown) {
    if (thrown instanceof InvalidValue) return thrown.message;
    throw thrown;
  }
  throw new Error(`"${url}" was accepted`);
}

test('every scheme belongs to one kind of source', () => {
  const schemes = SOURCE_KINDS.flatMap((one) => one.schemes);
  expect([...new Set(schemes)]).toEqual(schemes);
});

const NO_KEY = 'the URL names no key: end it with /key for one document or /prefix/ for a tree';
const HOST = (port: number): string =>
  `the URL is malformed; a host reads name:port or [IPv6]:port (port ${port} without one)`;
const PORT = 'the URL is malformed; a port is a number from 1 to 65535';
const POINTER = 'what follows # must be a JSON Pointer, such as #/data/web';
const WEB = 'the URL is malformed; it reads http://host:port/path or https://host:port/path';
const K8S =
  'k8s://configmap/NAME, k8s://secret/NAME, k8s://configmaps?selector=LABELS or k8s://secrets?selector=LABELS';
const K8S_NAME = 'the name must be that of an object: lower-case letters, digits, "-" and "."';
const K8S_KEY = 'what follows # must name a key of the object, such as #/app.yaml';
const SLASHES = 'a file URL has three slashes, then the absolute path';
const PERCENT = 'the URL is malformed; in a file URL a % is written %25';

describe('a URL that can never work is refused with the whole reason', () => {
  it.each([
    ['etcd', 'http://h/k', 'the scheme must be etcd:// or, with TLS, etcds://'],
    ['etcd', 'etcd:h/k', 'the scheme must be etcd:// or, with TLS, etcds://'],
    ['etcd', 'etcd://h', NO_KEY],
    ['etcd', 'etcd:///k', 'the URL names no host'],
    ['etcd', 'etcd://h,/k', 'the URL names no host'],
    ['etcd', 'etcd://::1/k', HOST(2379)],
    ['etcd', 'etcd://h:0/k', PORT],
    ['etcd', 'etcd://h:65536/k', PORT],
    ['etcd', 'etcd://h/k?dc=x', 'the only parameter behind ? is key'],
    ['etcd', 'etcd://h?key=a&key=b', 'the parameter key is given twice; give it once'],
    ['etcd', 'etcd://h/k?key=a', 'it names one key in its path and another one as ?key=; keep one of them'],
    ['etcd', 'etcd://h?key=', NO_KEY],
    ['etcd', 'etcd://h/k#/a', 'a # in a key is written %23'],
    ['etcd', 'etcd://h/100%', 'a % starts two hexadecimal digits of UTF-8 text; % itself is written %25'],
    ['k8s', 'k8s://pod/web', `it must be ${K8S}`],
    ['k8s', 'k8s://configmap', `the URL names no object; it must be ${K8S}`],
    ['k8s', 'k8s://configmap/', `the URL names no object; it must be ${K8S}`],
    ['k8s', 'k8s://configmap/web/', 'the URL ends with a slash; the keys of an object are always a tree'],
    ['k8s', 'k8s://configmap/a/b', K8S_NAME],
    ['k8s', 'k8s://secret/Web', K8S_NAME],
    ['k8s', 'k8s://configmap/web?ns=a', 'the only parameters behind ? are namespace and selector'],
    [
      'k8s',
      'k8s://configmap/web?namespace=a&namespace=b',
      'the parameter namespace is given twice; give it once',
    ],
    [
      'k8s',
      'k8s://configmap/web?namespace=a/b',
      'the namespace must be the name of one: lower-case letters, digits and "-"',
    ],
    [
      'k8s',
      'k8s://configmap/web?selector=a%3Db',
      'an object that is named needs no selector; remove ?selector=',
    ],
    ['k8s', 'k8s://configmaps', 'it needs a selector, such as ?selector=app%3Dweb'],
    [
      'k8s',
      'k8s://secrets/web?selector=a',
      'a selector finds objects without a name; for one object write k8s://configmap/NAME',
    ],
    ['k8s', 'k8s://configmap/web#app.yaml', K8S_KEY],
    ['k8s', 'k8s://configmap/web#/..', K8S_KEY],
    ['k8s', 'k8s://configmap/web#/', K8S_KEY],
    [
      'k8s',
      'k8s://configmap/100%',
      'a % starts two hexadecimal digits of UTF-8 text; % itself is written %25',
    ],
    ['consul', 'consul://h', NO_KEY],
    ['consul', 'consul://a,b/k', 'the URL names several hosts; name one'],
    ['consul', 'consul://u:secret@h/k', 'Consul has no users; give the token as CONSUL_HTTP_TOKEN'],
    ['consul', 'consul://h/k?key=x', 'the only parameter behind ? is dc'],
    ['consul', 'consul://h:x/k', HOST(8500)],
    ['http', 'http://', WEB],
    ['http', 'ftp://host/x', WEB],
    ['http', 'http://u:p@host:x/', WEB],
    ['http', 'http://host/#data', POINTER],
    ['file', 'app.json', 'a path begins with /, ./ or ../'],
    ['file', '', 'a path begins with /, ./ or ../'],
    ['file', '.../x', 'a path begins with /, ./ or ../'],
    ['file', 'file://host/app.json', SLASHES],
    ['file', 'file:app.json', SLASHES],
    ['file', 'file:///app.json#part', POINTER],
    ['file', 'file:///a%2Fb', PERCENT],
  ])('%s "%s"', (scheme, url, reason) => {
    expect(refusal(scheme, url)).toBe(reason);
  });

  it.each([
    ['etcd', 'etcd://user:hunt/er2@h/k'],
    ['etcd', 'etcd://user:hunt?er2@h/k'],
    ['etcd', 'etcd://u:1234?hunter2=@h/k'],
    ['consul', 'consul://user:hunt/er2@h/k'],
    ['http', 'http://user:hunt/er2@h:x/k'],
    ['file', 'file://user:hunter2@h/k'],
  ])('no reason repeats a part of %s "%s", which may be half of a password', (scheme, url) => {
    expect(refusal(scheme, url)).not.toMatch(/hunt|er2/);
  });
});

test('a path is made absolute, and is what an output must not lie in; other sources have none', () => {
  const places = ['./conf/', '../app.json', './a#b', './app.json#/web', 'file:///conf/', '/'].map((text) =>
    parse('file', text),
  );
  expect(places.map(({ text, path }) => [text, path])).toEqual([
    ['/work-dir/conf/', '/work-dir/conf'],
    ['/app.json', '/app.json'],
    ['/work-dir/a#b', '/work-dir/a#b'],
    ['/work-dir/app.json#/web', '/work-dir/app.json'],
    ['file:///conf/', '/conf'],
    ['/', '/'],
  ]);
  for (const url of ['etcd://h/k', 'consul://h/k', 'http://h/k']) {
    expect(parse(url.split(':')[0] ?? '', url).path).toBeNull();
  }
});

describe("a source's own settings are checked against its URL", () => {
  const mistakes = (scheme: string, url: string, given: readonly string[]): readonly string[] =>
    parse(scheme, url).settingsMistakes({
      has: (name) => given.includes(name),
      said: (name) => `${name} "…"`,
    });

  it.each([
    ['etcds', 'ETCDCTL_CERT', 'ETCDCTL_KEY'],
    ['etcds', 'ETCDCTL_KEY', 'ETCDCTL_CERT'],
    ['consuls', 'CONSUL_CLIENT_KEY', 'CONSUL_CLIENT_CERT'],
    ['https', 'HTTP_CERT', 'HTTP_KEY'],
  ])('%s with %s needs %s', (scheme, given, absent) => {
    expect(mistakes(scheme, `${scheme}://h/k`, [given, absent])).toEqual([]);
    expect(mistakes(scheme, `${scheme}://h/k`, [given])).toEqual([
      `Cannot use ${given} "…" without ${absent}: a certificate and its key go together`,
    ]);
  });

  it.each([
    ['etcd', 'ETCDCTL_CACERT'],
    ['consul', 'CONSUL_CACERT'],
    ['http', 'HTTP_CACERT'],
  ])('%s asks for no TLS, which %s would have no part in', (scheme, given) => {
    expect(mistakes(scheme, `${scheme}://h/k`, [given])).toEqual([
      `Cannot use ${given} "…" with SOURCE "…": this URL asks for no TLS; write its scheme with an "s" at the end`,
    ]);
    expect(mistakes(`${scheme}s`, `${scheme}s://h/k`, [given])).toEqual([]);
  });
});
