// The Consul provider against a real agent in good and bad times, and against servers that only look like one.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Content, ProviderOptions } from '../../../src/source/provider.ts';
import { createAuthority, writeCertificate } from '../../support/servers/certificates.ts';
import { type ConsulServer, startConsul } from '../../support/servers/consul.ts';
import { freePorts, portOf } from '../../support/servers/ports.ts';
import { type FaultProxy, startProxy } from '../../support/servers/proxy.ts';
import { openConsul } from '../../support/source/open.ts';
import {
  countResources,
  describeProviderLaw,
  type Follower,
  failureOf,
  follow,
  leftOver,
  providerOptions,
  snapshotOf,
  textOf,
} from '../../support/source/provider-contract.ts';

const TOKEN = 'b1gs3cr3t-0000';

describeProviderLaw('consul', async () => {
  const server = await startConsul();
  const [closed = 0] = await freePorts(1);
  const setting = (name: string) => (name === 'CONSUL_HTTP_TOKEN' ? TOKEN : undefined);
  const at = (port: number, overrides?: Partial<ProviderOptions>) =>
    openConsul(`consul://127.0.0.1:${port}/doc`, providerOptions({ setting, ...overrides }));
  return {
    open: (overrides) => openConsul(`consul://127.0.0.1:${server.port}/doc`, providerOptions(overrides)),
    put: (text) => server.put('doc', text),
    empty: () => server.delete('doc'),
    openUnreachable: (overrides) => at(closed, overrides),
    openAt: at,
    secrets: [TOKEN],
    sameWithinMs: 15_000,
    stop: () => server.end(),
  };
});

type Settings = Record<string, string>;

function open(url: string, settings: Settings = {}, overrides: Partial<ProviderOptions> = {}) {
  return openConsul(url, providerOptions({ setting: (name) => settings[name], ...overrides }));
}

function followUrl(url: string, settings: Settings = {}, overrides: Partial<ProviderOptions> = {}): Follower {
  return follow(open(url, settings, overrides), 20_000);
}

function treeOf(content: Content): Record<string, string> {
  if (content.kind === 'nothing') return {};
  if (content.kind !== 'tree') throw new Error(`Expected a tree, got a ${content.kind}`);
  return Object.fromEntries(content.entries.map(({ key, value }) => [key, Buffer.from(value).toString()]));
}

async function endOf(follower: Follower): Promise<{ code: string; message: string }> {
  return follower.rest().then(
    () => Promise.reject(new Error('The watch ended without an error')),
    (thrown) => thrown,
  );
}

describe('a Consul that works', () => {
  let server: ConsulServer;
  let proxy: FaultProxy;
  beforeAll(async () => {
    server = await startConsul();
    proxy = await startProxy(server.port);
  });
  afterAll(async () => {
    await proxy.close();
    await server.end();
  });
  const url = (path: string) => `consul://127.0.0.1:${server.port}${path}`;

  it('gives a tree below a prefix without folder entries, and follows puts and deletes', async () => {
    await server.putAll({ 't1/db/host': 'h1', 't1/': '', 't1/db/': '', 't1/a': 'x' });
    const follower = followUrl(url('/t1/'));
    const first = snapshotOf(await follower.next());
    expect(treeOf(first.content)).toEqual({ a: 'x', 'db/host': 'h1' });
    await server.put('t1/b', 'new');
    expect(treeOf((await follower.nextSnapshot()).content)).toEqual({ a: 'x', b: 'new', 'db/host': 'h1' });
    await server.deleteTree('t1/db/');
    expect(treeOf((await follower.nextSnapshot()).content)).toEqual({ a: 'x', b: 'new' });
    await server.deleteTree('t1/');
    expect((await follower.nextSnapshot()).content).toEqual({ kind: 'nothing' });
    await follower.stop();
  });

  it('neither shows nor is woken by a sibling prefix', async () => {
    await server.putAll({ 'app/k': '1', 'app2/k': 'other', app: 'other' });
    const follower = followUrl(url('/app/'));
    expect(treeOf(snapshotOf(await follower.next()).content)).toEqual({ k: '1' });
    await server.put('app2/k', 'changed');
    await server.put('app', 'changed');
    await server.put('app/k', '2');
    expect(treeOf(snapshotOf(await follower.next()).content)).toEqual({ k: '2' });
    await follower.stop();
  });

  it('reads a single key and none that begin with it or come after it', async () => {
    await server.putAll({ 'single/doc': 'mine', 'single/doc/x': 'other', 'single/doc2': 'other' });
    const follower = followUrl(url('/single/doc'));
    expect(textOf(snapshotOf(await follower.next()).content)).toBe('mine');
    await server.put('single/doc2', 'changed');
    await server.put('single/doc/x', 'changed');
    await server.put('single/doc', 'new');
    expect(textOf((await follower.nextSnapshot()).content)).toBe('new');
    await server.delete('single/doc');
    expect((await follower.nextSnapshot()).content).toEqual({ kind: 'nothing' });
    await follower.stop();
  });

  it('never shows a transaction in half', async () => {
    await server.putAll({ 'txn/a': '0', 'txn/b': '0' });
    const follower = followUrl(url('/txn/'));
    const writing = (async () => {
      for (let round = 1; round <= 200; round++) {
        await server.putAll({ 'txn/a': String(round), 'txn/b': String(round) });
      }
    })();
    await follower.until((content) => {
      const { a, b } = treeOf(content);
      expect(b).toBe(a);
      return a === '200';
    });
    await writing;
    await follower.stop();
  });

  it('loses no change between its first read and its watch', async () => {
    await server.put('gap', '0');
    proxy.delayMs = 150;
    const follower = followUrl(`consul://127.0.0.1:${proxy.port}/gap`);
    let round = 0;
    let isOpen: boolean = false;
    const writing = (async () => {
      while (!isOpen) await server.put('gap', String(++round));
    })();
    const first = textOf(snapshotOf(await follower.next()).content);
    isOpen = true;
    await writing;
    expect(Number(first)).toBeLessThan(round);
    await follower.until((content) => textOf(content) === String(round));
    proxy.delayMs = 0;
    await follower.stop();
  });

  it('asks once for each change', async () => {
    await server.put('once', '0');
    const follower = followUrl(`consul://127.0.0.1:${proxy.port}/once`);
    await follower.next();
    const before = proxy.bytesFromServer();
    await server.put('once', 'x'.repeat(100_000));
    await follower.nextSnapshot();
    // The value in base64, and not twice.
    expect(proxy.bytesFromServer() - before).toBeLessThan(200_000);
    await follower.stop();
  });

  it('reads 10,000 keys and follows one of them', async () => {
    const keys = Array.from({ length: 10_000 }, (_, at) => `many/k${String(at).padStart(5, '0')}`);
    await server.putAll(Object.fromEntries(keys.map((key) => [key, 'v'])));
    const follower = followUrl(url('/many/'));
    const first = treeOf(snapshotOf(await follower.next()).content);
    expect(Object.keys(first)).toEqual(keys.map((key) => key.slice('many/'.length)));
    await server.put('many/k05000', 'changed');
    expect(treeOf((await follower.nextSnapshot()).content)).toEqual({ ...first, k05000: 'changed' });
    await follower.stop();
    await server.deleteTree('many/');
  });

  it('refuses what is beyond MAX_SIZE, naming the size', async () => {
    for (const name of ['1', '2', '3']) await server.put(`big/${name}`, Buffer.alloc(400_000, 'x'));
    const error = await failureOf(open(url('/big/'), {}, { maxBytes: 1_000_000 }));
    expect(error.code).toBe('source.too-large');
    expect(error.message).toBe(
      `Cannot read Consul "${url('/big/')}": 127.0.0.1:${server.port}: it holds at least 1200003 bytes, MAX_SIZE allows 1000000`,
    );
  });

  it('keeps every byte of a value, and an empty one', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
    await server.put('bin/all', bytes);
    await server.put('bin/empty', '');
    const follower = followUrl(url('/bin/'));
    expect(snapshotOf(await follower.next()).content).toEqual({
      kind: 'tree',
      entries: [
        { key: 'all', value: bytes },
        { key: 'empty', value: Buffer.alloc(0) },
      ],
    });
    await follower.stop();
  });

  it('asks the datacenter the URL names', async () => {
    await server.put('dc', 'v');
    const follower = followUrl(url('/dc?dc=dc1'));
    expect(textOf(snapshotOf(await follower.next()).content)).toBe('v');
    await follower.stop();
    const error = await failureOf(open(url('/dc?dc=elsewhere')));
    expect(error.code).toBe('source.failed');
    expect(error.message).toBe(
      `Cannot read Consul "${url('/dc?dc=elsewhere')}": 127.0.0.1:${server.port}: answered 500: No path to datacenter`,
    );
  });

  it('leaves nothing open after fifty cuts', async () => {
    await server.put('cuts', 'v');
    const provider = open(`consul://127.0.0.1:${proxy.port}/cuts`);
    const cutOnce = async (): Promise<void> => {
      const follower = follow(provider);
      await follower.next();
      const cutting = setInterval(() => proxy.cut(), 20);
      const error = await endOf(follower);
      clearInterval(cutting);
      expect(error.code).toBe('source.disconnected');
      expect(error.message).toBe(
        `Cannot read Consul "consul://127.0.0.1:${proxy.port}/cuts": 127.0.0.1:${proxy.port}: the connection was closed before an answer`,
      );
    };
    await cutOnce();
    const before = countResources();
    for (let round = 0; round < 50; round++) await cutOnce();
    await expect.poll(() => leftOver(before), { timeout: 5_000 }).toEqual([]);
  });

  it('gives no half of an answer that breaks off, and says so at once', async () => {
    await server.put('half', Buffer.alloc(300_000, 'x'));
    proxy.cutAfterBytes = 100_000;
    const startedMs = performance.now();
    const error = await failureOf(open(`consul://127.0.0.1:${proxy.port}/half`));
    expect(error.code).toBe('source.disconnected');
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    proxy.cutAfterBytes = Number.POSITIVE_INFINITY;
  });

  it('is reported within 15 seconds when it goes silent', async () => {
    await server.put('silent', 'v');
    const provider = open(
      `consul://127.0.0.1:${proxy.port}/silent`,
      {},
      { updateFrequencyMs: 60_000, fetchTimeoutMs: 10_000 },
    );
    const follower = follow(provider, 20_000);
    await follower.next();
    proxy.mode = 'black-hole';
    const startedMs = performance.now();
    const error = await endOf(follower);
    expect(performance.now() - startedMs).toBeLessThan(15_000);
    expect(error.code).toBe('source.timeout');
    expect(error.message).toBe(
      `Cannot read Consul "consul://127.0.0.1:${proxy.port}/silent": 127.0.0.1:${proxy.port}: the agent has gone silent`,
    );
    proxy.mode = 'pass';
    const again = follow(provider);
    expect(textOf(snapshotOf(await again.next()).content)).toBe('v');
    await again.stop();
  });

  it('is reported when it is killed, and followed from its new beginning with nothing of what was', async () => {
    const provider = open(url('/app/'));
    for (let round = 0; round < 30; round++) await server.put('app/k', String(round));
    const follower = follow(provider);
    const before = snapshotOf(await follower.next());
    await server.stop('SIGKILL');
    expect(['source.disconnected', 'source.unreachable']).toContain((await endOf(follower)).code);
    const error = await failureOf(provider);
    expect(error.code).toBe('source.unreachable');
    expect(error.message).toBe(
      `Cannot read Consul "${url('/app/')}": 127.0.0.1:${server.port}: connection refused`,
    );
    await server.start();
    await server.put('app/new', 'agent');
    const again = follow(provider);
    const after = snapshotOf(await again.next());
    expect(treeOf(after.content)).toEqual({ new: 'agent' });
    expect(Number(after.revision)).toBeLessThan(Number(before.revision));
    await server.put('app/new', 'value');
    expect(treeOf((await again.nextSnapshot()).content)).toEqual({ new: 'value' });
    await again.stop();
  });
});

describe('a Consul with access control', () => {
  let server: ConsulServer;
  beforeAll(async () => {
    server = await startConsul({ rootToken: 'aaaaaaaa-1111-2222-3333-444444444444' });
    await server.put('app/k', 'v');
  });
  afterAll(() => server.end());
  const url = () => `consul://127.0.0.1:${server.port}/app/`;

  it('is read with the token there is at each request', async () => {
    const old = await server.readingToken('app/');
    const settings: Settings = { CONSUL_HTTP_TOKEN: old };
    const follower = followUrl(url(), settings);
    expect(treeOf(snapshotOf(await follower.next()).content)).toEqual({ k: 'v' });
    await server.put('app/k', 'w');
    await follower.nextSnapshot();
    settings['CONSUL_HTTP_TOKEN'] = await server.readingToken('app/');
    // This change is answered to the old token; the next request already has the new one.
    await server.put('app/k', 'x');
    expect(treeOf((await follower.nextSnapshot()).content)).toEqual({ k: 'x' });
    const pending = follower.nextSnapshot();
    await server.revoke(old);
    await server.put('app/k', 'y');
    expect(treeOf((await pending).content)).toEqual({ k: 'y' });
    await follower.stop();
  });

  it('refuses a token it does not know with its own sentence, which is reported without the token', async () => {
    const token = 'bbbbbbbb-1111-2222-3333-444444444444';
    const error = await failureOf(open(url(), { CONSUL_HTTP_TOKEN: token }));
    expect(error.code).toBe('source.denied');
    expect(error.message).toBe(
      `Cannot read Consul "${url()}": 127.0.0.1:${server.port}: answered 403: ACL not found`,
    );
  });
});

describe('a Consul with TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'config-sidecar-consul-tls-'));
  const authority = createAuthority('test authority');
  const ca = writeCertificate(folder, 'ca', authority).cert;
  const other = writeCertificate(folder, 'other', createAuthority('other')).cert;
  const own = writeCertificate(folder, 'server', authority.issue('server'));
  const clientCert = writeCertificate(folder, 'client', authority.issue('client'));
  const settings = {
    CONSUL_CACERT: ca,
    CONSUL_CLIENT_CERT: clientCert.cert,
    CONSUL_CLIENT_KEY: clientCert.key,
  };
  let server: ConsulServer;
  beforeAll(async () => {
    server = await startConsul({ tls: { ...own, ca, clientCert } });
    await server.put('app/k', 'v');
  });
  afterAll(async () => {
    await server.end();
    rmSync(folder, { recursive: true });
  });
  const url = () => `consuls://127.0.0.1:${server.port}/app/`;

  it('is read and followed with a client certificate, also when its files change on the way', async () => {
    const path = join(folder, 'rotating.crt');
    writeFileSync(path, readFileSync(ca));
    const follower = followUrl(url(), { ...settings, CONSUL_CACERT: path });
    expect(treeOf(snapshotOf(await follower.next()).content)).toEqual({ k: 'v' });
    await server.put('app/k', 'w');
    expect(treeOf((await follower.nextSnapshot()).content)).toEqual({ k: 'w' });
    const pending = endOf(follower);
    writeFileSync(path, readFileSync(other));
    await server.put('app/k', 'v');
    // from the next request on the new file counts, and this one does not fit.
    expect(await pending).toMatchObject({ code: 'source.tls' });
  });

  it('is refused when its authority is another one', async () => {
    const error = await failureOf(open(url(), { ...settings, CONSUL_CACERT: other }));
    expect(error.code).toBe('source.tls');
    expect(error.message).toBe(
      `Cannot read Consul "${url()}": 127.0.0.1:${server.port}: the server's certificate is not accepted: no authority that is trusted here signed it (UNABLE_TO_VERIFY_LEAF_SIGNATURE)`,
    );
  });

  it('cannot be read without the client certificate it demands, nor without TLS', async () => {
    const without = await failureOf(open(url(), { CONSUL_CACERT: ca }));
    expect(without.code).toBe('source.tls');
    const plain = await failureOf(open(url().replace('consuls:', 'consul:')));
    expect(plain.code).toBe('source.bad-answer');
    expect(plain.message).toContain('Client sent an HTTP request to an HTTPS server');
  });
});

describe('what only looks like Consul', () => {
  type Respond = (request: IncomingMessage, response: ServerResponse) => void;
  let respond: Respond;
  let requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    respond(request, response);
  });
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
  afterEach(() => {
    requests = [];
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = () => `consul://127.0.0.1:${portOf(server)}/app/k`;
  const answer = (status: number, headers: Record<string, string>, body: string): Respond => {
    return (_request, response) => response.writeHead(status, headers).end(body);
  };
  const JSON_TYPE = { 'Content-Type': 'application/json' };
  const item = (value: string, index = 7) =>
    JSON.stringify([
      { Key: 'app/k', Value: Buffer.from(value).toString('base64'), ModifyIndex: index, Flags: 0 },
    ]);

  const cases: readonly (readonly [string, Respond, string, string])[] = [
    [
      'a 404 page',
      answer(404, { 'Content-Type': 'text/html', 'X-Consul-Index': '7' }, '<h1>Not found</h1>'),
      'source.bad-answer',
      'answered 404 in a way Consul does not; is this a Consul agent?',
    ],
    [
      'an empty 404 of another server',
      answer(404, {}, ''),
      'source.bad-answer',
      'answered 404 in a way Consul does not; is this a Consul agent?',
    ],
    [
      'a page under status 200',
      answer(200, { 'Content-Type': 'text/html', 'X-Consul-Index': '7' }, '<h1>Log in</h1>'),
      'source.bad-answer',
      'answered 200 with something other than keys',
    ],
    [
      'JSON that is no list',
      answer(200, { ...JSON_TYPE, 'X-Consul-Index': '7' }, '{"error":"x"}'),
      'source.bad-answer',
      'answered 200 with something other than keys',
    ],
    [
      'JSON cut short',
      answer(200, { ...JSON_TYPE, 'X-Consul-Index': '7' }, '[{"Key":'),
      'source.bad-answer',
      'the answer is not the JSON it says it is',
    ],
    [
      'a list of something else',
      answer(200, { ...JSON_TYPE, 'X-Consul-Index': '7' }, '[{"Key":1}]'),
      'source.bad-answer',
      'the answer has an entry that is not a key',
    ],
    [
      'an agent without a leader',
      answer(500, { 'Content-Type': 'text/plain' }, 'No cluster leader'),
      'source.no-leader',
      'answered 500: No cluster leader',
    ],
    [
      'a gateway that says no page of its own',
      answer(502, { 'Content-Type': 'text/html' }, '<h1>Bad gateway</h1>'),
      'source.failed',
      'answered 502',
    ],
  ];
  it.each(cases)('%s is an error, never a store without keys', async (_name, given, code, reason) => {
    respond = given;
    const error = await failureOf(open(url()));
    expect(error.code).toBe(code);
    expect(error.message).toBe(`Cannot read Consul "${url()}": 127.0.0.1:${portOf(server)}: ${reason}`);
  });

  it('a redirect is not followed, and the token goes nowhere else', async () => {
    let askedElsewhere = 0;
    const elsewhere = createServer((_request, response) => {
      askedElsewhere += 1;
      response.end();
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    respond = answer(301, { Location: `http://127.0.0.1:${portOf(elsewhere)}/` }, '');
    const error = await failureOf(open(url(), { CONSUL_HTTP_TOKEN: TOKEN }));
    expect(error.message).toContain('answered 301; a redirect is not followed, name the agent itself');
    expect(askedElsewhere).toBe(0);
    elsewhere.close();
  });

  it('an endless answer is stopped at its bound', async () => {
    respond = (_request, response) => {
      response.writeHead(200, JSON_TYPE);
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, ' ')));
      };
      response.on('drain', more);
      more();
    };
    const error = await failureOf(open(url(), {}, { maxBytes: 1_000_000 }));
    expect(error.code).toBe('source.too-large');
    expect(error.message).toContain('MAX_SIZE is 1000000');
  });

  it('token and namespace are sent, and asked for again at each request', async () => {
    let index = 7;
    respond = (_request, response) => {
      index += 1;
      response.writeHead(200, { ...JSON_TYPE, 'X-Consul-Index': String(index) }).end(item('v', index));
    };
    const settings: Settings = { CONSUL_HTTP_TOKEN: 'one', CONSUL_NAMESPACE: 'team a' };
    const follower = followUrl(`${url()}?dc=eu`, settings);
    await follower.next();
    settings['CONSUL_HTTP_TOKEN'] = 'two';
    await follower.next();
    await follower.stop();
    expect(requests[0]?.url).toBe('/v1/kv/app%2Fk?dc=eu&consistent=1&ns=team%20a');
    expect(requests[1]?.url).toMatch(
      /^\/v1\/kv\/app%2Fk\?dc=eu&consistent=1&index=8&wait=\d+ms&ns=team%20a$/,
    );
    expect(requests.map((request) => request.headers['x-consul-token']).slice(0, 2)).toEqual(['one', 'two']);
  });

  it('an index that goes down is forgotten, the value applied and asked for again at once', async () => {
    const indexes = [100, 40];
    respond = (request, response) => {
      const index = indexes.shift();
      if (index === undefined && request.url?.includes('index=')) return;
      response.writeHead(200, { ...JSON_TYPE, 'X-Consul-Index': String(index ?? 41) });
      response.end(item(`at ${index ?? 41}`, index ?? 41));
    };
    const follower = followUrl(url());
    const startedMs = performance.now();
    expect(textOf(snapshotOf(await follower.next()).content)).toBe('at 100');
    expect(textOf(snapshotOf(await follower.next()).content)).toBe('at 40');
    expect(textOf(snapshotOf(await follower.next()).content)).toBe('at 41');
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    await follower.stop();
    expect(requests.map((request) => request.url?.includes('index=')).slice(0, 3)).toEqual([
      false,
      true,
      false,
    ]);
  });

  it.each([
    ['without an index', {}],
    ['with index 0', { 'X-Consul-Index': '0' }],
  ])('an agent %s is polled, and not in a hot loop', async (_name, headers) => {
    let value = 'one';
    respond = (_request, response) => response.writeHead(200, { ...JSON_TYPE, ...headers }).end(item(value));
    const follower = followUrl(url());
    expect(textOf(snapshotOf(await follower.next()).content)).toBe('one');
    const startedMs = performance.now();
    expect(await follower.next()).toEqual({ kind: 'same' });
    value = 'two';
    expect(textOf(snapshotOf(await follower.next()).content)).toBe('two');
    expect(performance.now() - startedMs).toBeGreaterThan(1_500);
    expect(requests.every((request) => !request.url?.includes('index='))).toBe(true);
    await follower.stop();
  });

  it('an agent that never waits is asked once a second', async () => {
    respond = answer(200, { ...JSON_TYPE, 'X-Consul-Index': '7' }, item('v'));
    const follower = followUrl(url());
    const startedMs = performance.now();
    for (let round = 0; round < 4; round++) await follower.next();
    expect(performance.now() - startedMs).toBeGreaterThan(1_900);
    expect(requests.length).toBeLessThanOrEqual(4);
    await follower.stop();
  });

  it('an index that never rests is followed at a bounded rate', async () => {
    let index = 7;
    respond = (_request, response) => {
      index += 1;
      response.writeHead(200, { ...JSON_TYPE, 'X-Consul-Index': String(index) }).end(item('v', 7));
    };
    const follower = followUrl(url());
    const startedMs = performance.now();
    expect((await follower.next()).kind).toBe('snapshot');
    for (let round = 0; round < 7; round++) expect(await follower.next()).toEqual({ kind: 'same' });
    expect(performance.now() - startedMs).toBeGreaterThan(2_500);
    await follower.stop();
  });
});
