// The rules by which answers of a Consul agent are accepted or refused, against a scripted server.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { ProviderOptions } from '../../../src/source/provider.ts';
import { portOf } from '../../support/servers/ports.ts';
import { type FaultProxy, startProxy } from '../../support/servers/proxy.ts';
import { openConsul } from '../../support/source/open.ts';
import {
  type Follower,
  failureOf,
  follow,
  providerOptions,
  snapshotOf,
  textOf,
} from '../../support/source/provider-contract.ts';

/** How long the questions to a server that never waits are counted. */
const SECONDS = 4;

type Respond = (request: IncomingMessage, response: ServerResponse) => void;

describe('a server that speaks as Consul does', () => {
  let respond: Respond;
  let respondToNames = (response: ServerResponse): unknown => response.writeHead(200, JSON_TYPE).end('[]');
  let proxy: FaultProxy;
  // The small questions that show whether it lives are not what the tests look at.
  const server = createServer((request, response) => {
    if (isQuestion(request)) respond(request, response);
    else respondToNames(response);
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    proxy = await startProxy(portOf(server));
  });
  const followers: Follower[] = [];
  afterEach(async () => {
    for (const follower of followers.splice(0)) await follower.stop();
  });
  afterAll(async () => {
    await proxy.close();
    server.closeAllConnections();
    server.close();
  });
  const url = (path = '/app/k') => `consul://127.0.0.1:${proxy.port}${path}`;
  const provider = (path?: string, overrides: Partial<ProviderOptions> = {}) =>
    openConsul(url(path), providerOptions(overrides));
  const start = (path?: string, overrides: Partial<ProviderOptions> = {}): Follower => {
    const follower = follow(provider(path, overrides), 20_000);
    followers.push(follower);
    return follower;
  };

  /** How many questions come in this many seconds. */
  async function questionsIn(seconds: number): Promise<number> {
    const before = proxy.requests().length;
    const follower = start('/app/k', { updateFrequencyMs: 60_000 });
    void follower.rest();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
    const count = proxy.requests().length - before;
    follower.abort();
    followers.length = 0;
    return count;
  }

  interface Told {
    readonly index: number;
    /** Of the key; the same as `index` unless given. */
    readonly at?: number;
  }

  // Of indexes without news three are free, for a neighbour that changes now and then.
  it.each<[string, (asked: number) => Told, ...(readonly [number, number])]>([
    ['says the same', () => ({ index: 7 }), 3, SECONDS + 2],
    ['counts on without news', (asked) => ({ index: 7 + asked, at: 7 }), 3, SECONDS + 2 + 3],
    ['says one index and then another', (asked) => ({ index: 7 + (asked % 2), at: 7 }), 3, SECONDS + 2 + 3],
    ['says no index', () => ({ index: 0 }), 1, 1],
  ])('is asked at most once a second when it answers at once and %s', async (_name, told, least, most) => {
    let asked = 0;
    respond = (_request, response) => {
      asked += 1;
      const { index, at = index } = told(asked);
      answer(response, index, [item('app/k', 'v', at)]);
    };
    const count = await questionsIn(SECONDS);
    expect(count).toBeLessThanOrEqual(most);
    expect(count).toBeGreaterThanOrEqual(least);
  });

  it('is asked at a bounded rate when every answer brings something else', async () => {
    let asked = 0;
    respond = (_request, response) => {
      asked += 1;
      answer(response, asked, [item('app/k', `v${asked}`, asked)]);
    };
    expect(await questionsIn(3)).toBeLessThanOrEqual(50 + 3 * 10 + 5);
  });

  const refused: readonly (readonly [string, string, Respond, string, string])[] = [
    [
      'an answer of a server without a leader',
      '/app/k',
      (_request, response) => answer(response, 7, [item('app/k', 'v')], { 'X-Consul-KnownLeader': 'false' }),
      'source.no-leader',
      'the server that answered has no leader, so its data may be old',
    ],
    [
      'that there is nothing, of a server without a leader',
      '/app/k',
      (_request, response) =>
        response.writeHead(404, { 'X-Consul-Index': '7', 'X-Consul-KnownLeader': 'false' }).end(),
      'source.no-leader',
      'the server that answered has no leader, so its data may be old',
    ],
    [
      'an answer that is old',
      '/app/k',
      (_request, response) => answer(response, 7, [item('app/k', 'v')], { 'X-Consul-LastContact': '10001' }),
      'source.no-leader',
      'the server that answered is 10001 ms behind its leader',
    ],
    [
      'an empty list',
      '/app/',
      (_request, response) => answer(response, 7, []),
      'source.bad-answer',
      'answered 200 with an empty list, which Consul does not',
    ],
    [
      'a key that was not asked for',
      '/app/k',
      (_request, response) => answer(response, 7, [item('other/k', 'v')]),
      'source.bad-answer',
      'answered with keys that were not asked for',
    ],
    [
      'two keys for one',
      '/app/k',
      (_request, response) => answer(response, 7, [item('app/k', 'v'), item('app/k2', 'v')]),
      'source.bad-answer',
      'answered with keys that were not asked for',
    ],
    [
      'a tree with a key from elsewhere',
      '/app/',
      (_request, response) => answer(response, 7, [item('app/k', 'v'), item('app2/k', 'v')]),
      'source.bad-answer',
      'answered with keys that were not asked for',
    ],
    [
      'a list from which keys were left out that the token may not read',
      '/app/',
      (_request, response) =>
        answer(response, 7, [item('app/k', 'v')], { 'X-Consul-Results-Filtered-By-ACLs': 'true' }),
      'source.denied',
      'the token may not read all of its keys; its policy needs key_prefix "app/" { policy = "read" }',
    ],
    [
      'that there is nothing which the token may read',
      '/app/',
      (_request, response) =>
        response.writeHead(404, { 'X-Consul-Index': '7', 'X-Consul-Results-Filtered-By-ACLs': 'true' }).end(),
      'source.denied',
      'the token may not read all of its keys; its policy needs key_prefix "app/" { policy = "read" }',
    ],
    [
      'an answer that is shorter than it says',
      '/app/k',
      (_request, response) => {
        response.writeHead(200, { ...JSON_TYPE, 'X-Consul-Index': '7', 'Content-Length': '1000' });
        response.write(JSON.stringify([item('app/k', 'v')]), () => response.destroy());
      },
      'source.disconnected',
      'the connection ended in the middle of the answer',
    ],
    [
      'an answer in chunks without the last one',
      '/app/k',
      (_request, response) => {
        response.writeHead(200, { ...JSON_TYPE, 'X-Consul-Index': '7' });
        response.write(JSON.stringify([item('app/k', 'v')]), () => response.destroy());
      },
      'source.disconnected',
      'the connection ended in the middle of the answer',
    ],
    [
      'keys that are not said to be JSON',
      '/app/k',
      (_request, response) =>
        answer(response, 7, [item('app/k', 'v')], { 'Content-Type': 'application/octet-stream' }),
      'source.bad-answer',
      'answered 200 with something other than keys',
    ],
    [
      'a page of another server that calls itself Consul',
      '/app/',
      (_request, response) =>
        response
          .writeHead(200, { 'Content-Type': 'text/html', 'X-Consul-Index': '7' })
          .end('<h1>Log in</h1>'),
      'source.bad-answer',
      'answered 200 with something other than keys',
    ],
  ];
  it.each(refused)('does not get away with %s', async (_name, path, given, code, reason) => {
    respond = given;
    const error = await failureOf(provider(path));
    expect(error.message).toBe(`Cannot read Consul "${url(path)}": 127.0.0.1:${proxy.port}: ${reason}`);
    expect(error.code).toBe(code);
  });

  it('may be a little behind its leader', async () => {
    respond = (_request, response) =>
      answer(response, 7, [item('app/k', 'v')], {
        'X-Consul-KnownLeader': 'true',
        'X-Consul-LastContact': '40',
      });
    expect(textOf(snapshotOf(await start().next()).content)).toBe('v');
  });

  it('gives up an answer that stops in the middle, however long it may keep a question waiting', async () => {
    respond = (request, response) => {
      if (!isWaiting(request)) return answer(response, 7, [item('app/k', 'v')]);
      response.writeHead(200, { ...JSON_TYPE, 'X-Consul-Index': '8' });
      response.write('[');
    };
    const follower = start('/app/k', { fetchTimeoutMs: 1_000 });
    await follower.next();
    const startedMs = performance.now();
    const error = await follower.next().then(
      () => null,
      (thrown) => thrown,
    );
    followers.length = 0;
    expect(error.code).toBe('source.timeout');
    expect(error.message).toBe(
      `Cannot read Consul "${url()}": 127.0.0.1:${proxy.port}: the answer was not finished in time`,
    );
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  it('is read as usual when its answer says that nothing was left out', async () => {
    respond = (_request, response) =>
      answer(response, 7, [item('app/k', 'v')], { 'X-Consul-Results-Filtered-By-ACLs': 'false' });
    expect(textOf(snapshotOf(await start().next()).content)).toBe('v');
  });

  it('is not asked for the value again and again when the token may read the key but not list it', async () => {
    let asked = 0;
    respondToNames = (response) => response.writeHead(403).end('Permission denied');
    onTestFinished(() => {
      respondToNames = (response) => response.writeHead(200, JSON_TYPE).end('[]');
    });
    respond = (request, response) => {
      asked += 1;
      if (!isWaiting(request)) answer(response, 7, [item('app/k', 'v')]);
    };
    const follower = start('/app/k');
    await follower.next();
    void follower.rest().catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 18_000));
    followers.length = 0;
    follower.abort();
    // Read, waited for; and once more when the first refusal came.
    expect(asked).toBe(4);
  });

  it('is believed in what it holds, also when its index has not moved', async () => {
    let value = 'one';
    respond = (_request, response) => answer(response, 7, [item('app/k', value)]);
    const follower = start();
    await follower.next();
    value = 'two';
    expect(textOf((await follower.nextSnapshot()).content)).toBe('two');
  });

  // found by the campaign. While nothing is asked, nothing shows that the agent is another one.
  it('is asked from the beginning when the connection was closed between two questions', async () => {
    let isNew = false;
    let index = 20;
    respond = (request, response) => {
      if (isNew && isWaiting(request)) return;
      if (isNew) return answer(response, 5, [item('app/k', 'after', 5)]);
      index += 1;
      answer(response, index, [item('app/k', 'before', 20)]);
    };
    const follower = start();
    await follower.next();
    // After this many indexes without news it is left alone for a second.
    for (let round = 0; round < 4; round++) expect(await follower.next()).toEqual({ kind: 'same' });
    const pending = follower.nextSnapshot();
    isNew = true;
    server.closeIdleConnections();
    const startedMs = performance.now();
    expect(textOf((await pending).content)).toBe('after');
    expect(performance.now() - startedMs).toBeLessThan(8_000);
  });

  it('is waited for also where every answer ends its connection', async () => {
    let waiting = 0;
    respond = (request, response) => {
      if (isWaiting(request)) waiting += 1;
      else answer(response, 7, [item('app/k', 'v')], { Connection: 'close' });
    };
    const follower = start();
    await follower.next();
    follower.next().catch(() => undefined);
    await expect.poll(() => waiting, { timeout: 5_000 }).toBe(1);
  });
});

/** Asks for values, and not just whether a server is there. */
function isQuestion({ url = '' }: IncomingMessage): boolean {
  return url.startsWith('/v1/kv/') && !url.includes('keys');
}

function isWaiting({ url = '' }: IncomingMessage): boolean {
  return url.includes('index=');
}

const JSON_TYPE = { 'Content-Type': 'application/json' };

function item(key: string, value: string, index = 7): object {
  return { Key: key, Value: Buffer.from(value).toString('base64'), ModifyIndex: index, Flags: 0 };
}

function answer(response: ServerResponse, index: number, items: readonly object[], more: object = {}): void {
  response
    .writeHead(200, { ...JSON_TYPE, ...(index > 0 && { 'X-Consul-Index': String(index) }), ...more })
    .end(JSON.stringify(items));
}
