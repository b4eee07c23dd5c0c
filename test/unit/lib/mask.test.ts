import { expect, test } from 'vitest';
import { holdsSecret, maskUrl } from '../../../src/lib/mask.ts';

const MASKED: ReadonlyArray<readonly [url: string, shown: string]> = [
  ['https://user:pw@host:8443/v1?x=1#/data', 'https://host:8443/v1?x=***#/data'],
  ['https://token@host/', 'https://host/'],
  ['  https://user:pw@host/', '  https://host/'],
  ['http://u:p@ss@host/a', 'http://host/a'],
  ['http://u:p/w@host/a', 'http://host/a'],
  ['http://u:p?w@host/a', 'http://host/a'],
  ['http://u:p#w@host/a', 'http://host/a'],
  ['http:/u:p@host/a', 'http:/host/a'],
  ['u:p@host/a', 'host/a'],
  ['etcd://u:p@a:2379,b:2379/app/', 'etcd://a:2379,b:2379/app/'],
  ['etcd://a:2379,u:p@b:2379/app/', 'etcd://b:2379/app/'],
  ['etcds://u:p,w@[::1]:2379/app/', 'etcds://[::1]:2379/app/'],
  ['consul://h:8500/app?token=abc&dc=x', 'consul://h:8500/app?token=***&dc=x'],
  ['https://h/a?access_token=abc', 'https://h/a?access_token=***'],
  ['https://h/a?apiKey=a b', 'https://h/a?apiKey=***'],
  ['https://h/a?X-Amz-Signature=abc', 'https://h/a?X-Amz-Signature=***'],
  ['https://h/a#access_token=abc', 'https://h/a#access_token=***'],
  ['http://[bad:u:p@host', 'http://host'],
  ['https://h/a?x-my-auth=abc&ref=main', 'https://h/a?x-my-auth=***&ref=main'],
  ['https://h/a?sv=2022&se=x;sig=abc', 'https://h/a?sv=***&se=***;sig=***'],
  ['https://h/a?%74oken=abc', 'https://h/a?%74oken=***'],
  ['https://h/a?a-bare-secret', 'https://h/a?***'],
  ['https://h/a?token=a=b?c', 'https://h/a?token=***?***'],
  ['https://h/a#a-bare-secret', 'https://h/a#***'],
];

test.each(MASKED)('%s is shown without its secrets', (url, shown) => {
  expect(maskUrl(url)).toBe(shown);
  expect(holdsSecret(url)).toBe(true);
});

const PLAIN = [
  'https://host:8443/v1?ref=main&raw#/data/web',
  'https://host/package@1.2.3/app.json',
  'https://host:443/package@1.2.3/app.json',
  'etcd://a:2379,b:2379?key=app/web/',
  'etcd://[::1]:2379,[fe80::1]:2379/app@2/',
  'consul://h:8500/app/?dc=east&ns=team',
  './config@2.yaml',
  '/etc/app/config@2.yaml',
  'file:///etc/app/config@2.yaml',
  '/etc/app/what?now=then.yaml',
  './a#b.yaml',
];

test.each(PLAIN)('%s holds no secret and is shown as it is', (url) => {
  expect(maskUrl(url)).toBe(url);
  expect(holdsSecret(url)).toBe(false);
});
