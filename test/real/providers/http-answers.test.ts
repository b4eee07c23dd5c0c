// Answers of servers that are sloppy, broken or the wrong ones, and what an HTTP source makes of them.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Provider, ProviderOptions } from '../../../src/source/provider.ts';
import { createAuthority } from '../../support/servers/certificates.ts';
import {
  type HttpSource,
  respond,
  respondOpenEnded,
  type Script,
  startHttpProxy,
  startHttpSource,
} from '../../support/servers/http-source.ts';
import { openHttp } from '../../support/source/open.ts';
import {
  failureOf,
  follow,
  providerOptions,
  snapshotOf,
  textOf,
} from '../../support/source/provider-contract.ts';

let source: HttpSource;
beforeAll(async () => {
  source = await startHttpSource();
});
afterAll(async () => {
  await source.stop();
});

function open(url: string, overrides: Partial<ProviderOptions> = {}): Provider {
  return openHttp(url, providerOptions({ updateFrequencyMs: 20, ...overrides }));
}

async function expectFailure(provider: Provider, code: string, message: string): Promise<void> {
  const error = await failureOf(provider);
  expect({ code: error.code, message: error.message }).toEqual({ code, message });
}

const seconds = (ms: number): string => new Date(Math.floor(ms / 1_000) * 1_000).toUTCString();

/** Serves a file as nginx does: an ETag of its time in seconds and its size, and 304 for exactly that. */
function likeNginx(file: { text: string; modifiedMs: number }): Script {
  return (request, response) => {
    const time = Math.floor(file.modifiedMs / 1_000).toString(16);
    const etag = `"${time}-${file.text.length.toString(16)}"`;
    const headers = { etag, 'last-modified': seconds(file.modifiedMs) };
    if (request.headers['if-none-match'] === etag) respond(response, 304, '', headers);
    else respond(response, 200, file.text, headers);
  };
}

/** As Apache without ETags: 304 to clients that have something as new or newer. */
function likeApache(file: { text: string; modifiedMs: number }): Script {
  return (request, response) => {
    const since = Date.parse(request.headers['if-modified-since'] ?? '');
    const headers = { 'last-modified': seconds(file.modifiedMs) };
    const time = Math.floor(file.modifiedMs / 1_000) * 1_000;
    if (since >= time) respond(response, 304, '', headers);
    else respond(response, 200, file.text, headers);
  };
}

describe('a change that the validators hide', () => {
  it('within the second that the ETag is made of is seen at once', async () => {
    const file = { text: 'replicas: 3', modifiedMs: Date.now() };
    source.answer(likeNginx(file));
    const follower = follow(open(source.origin));
    await follower.next();
    file.text = 'replicas: 5';
    expect(textOf(snapshotOf(await follower.next()).content)).toBe('replicas: 5');
    await follower.stop();
  });

  it.each([
    ['an ETag of time and size', likeNginx, 0],
    ['Last-Modified, where an older file is put back', likeApache, 86_400_000],
  ])('by %s is found by the tenth question', async (_name, server, olderMs) => {
    const file = { text: 'replicas: 3', modifiedMs: Date.now() - 3_600_000 };
    source.answer(server(file));
    const follower = follow(open(source.origin));
    await follower.next();
    expect(await follower.next()).toEqual({ kind: 'same' });
    file.text = 'replicas: 5';
    file.modifiedMs -= olderMs;
    const before = source.received.length;
    expect(textOf((await follower.nextSnapshot()).content)).toBe('replicas: 5');
    expect(source.received.length - before).toBeLessThanOrEqual(10);
    await follower.stop();
  });

  it('leads to the whole being read from then on', async () => {
    const file = { text: 'replicas: 3', modifiedMs: Date.now() - 3_600_000 };
    source.answer(likeNginx(file));
    const follower = follow(open(source.origin));
    for (const text of ['replicas: 5', 'replicas: 7']) {
      await follower.next();
      file.text = text;
      await follower.until((content) => textOf(content) === text);
    }
    file.text = 'replicas: 9';
    const before = source.received.length;
    expect(textOf((await follower.nextSnapshot()).content)).toBe('replicas: 9');
    expect(source.received.length - before).toBeLessThanOrEqual(2);
    await follower.stop();
  });

  it('asks with the condition in between: nine of ten questions bring no body', async () => {
    source.answer(likeNginx({ text: 'quiet', modifiedMs: Date.now() - 3_600_000 }));
    const before = source.received.length;
    const follower = follow(open(source.origin));
    for (let round = 0; round < 21; round++) await follower.next();
    await follower.stop();
    const asked = source.received.slice(before, before + 21);
    const whole = asked.flatMap(({ headers }, at) => (headers['if-none-match'] === undefined ? [at] : []));
    expect(whole).toEqual([0, 10, 20]);
  });

  it('cannot be hidden by a server that says 304 even to who asks for the whole', async () => {
    let asked = 0;
    source.answer((_request, response) => {
      if (asked++ === 0) respond(response, 200, 'one', { etag: '"1"' });
      else respond(response, 304, '', { etag: '"1"' });
    });
    const follower = follow(open(source.origin));
    for (let round = 0; round < 10; round++) await follower.next();
    await expect(follower.next()).rejects.toMatchObject({
      code: 'source.failed',
      message: `Cannot GET "${source.origin}/": the server answered 304 although it was asked for the whole`,
    });
  });

  it('and that is in the type alone is a change', async () => {
    let type = 'text/plain';
    source.answer((_request, response) =>
      respond(response, 200, '{}', { 'content-type': type, etag: '"1"' }),
    );
    const follower = follow(open(source.origin));
    await follower.next();
    type = 'application/json';
    expect((await follower.nextSnapshot()).content).toMatchObject({ contentType: 'application/json' });
    expect(await follower.next()).toEqual({ kind: 'same' });
    await follower.stop();
  });
});

describe('an error page with status 200', () => {
  it.each([
    ['text/plain', '<!DOCTYPE html>\n<html><body>502 Bad Gateway</body></html>'],
    ['application/json', '  <html>\n<h1>Log in</h1></html>'],
    [undefined, '<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml">'],
    ['application/octet-stream', '<!doctype HTML>'],
    ['text/html', 'Please log in.'],
  ])('is refused also as %s', async (type, body) => {
    source.answer((_request, response) =>
      respond(response, 200, body, type === undefined ? {} : { 'content-type': type }),
    );
    const shown = type ?? 'without a type';
    await expectFailure(
      open(`${source.origin}/app.conf`),
      'source.wrong-type',
      `Cannot GET "${source.origin}/app.conf": the server sent a page (${shown}) where a configuration was ` +
        'expected; is this a login or an error page?',
    );
  });

  it.each([
    ['/app.xml', '<?xml version="1.0"?>\n<configuration><html/></configuration>'],
    ['/app.html', '<!DOCTYPE html>'],
    ['/app.conf', '<htmlish>'],
  ])('is not what %s is taken for: %s', async (path, body) => {
    source.answer((_request, response) => respond(response, 200, body));
    const follower = follow(open(source.origin + path));
    expect(textOf(snapshotOf(await follower.next()).content)).toBe(body);
    await follower.stop();
  });
});

describe('an answer without a length', () => {
  it('is accepted after two identical reads, and requested once as long as it stays', async () => {
    let body = 'whole';
    source.answer((request) => respondOpenEnded(request, body));
    const before = source.received.length;
    const follower = follow(open(source.origin));
    expect(textOf(snapshotOf(await follower.next()).content)).toBe('whole');
    expect(await follower.next()).toEqual({ kind: 'same' });
    expect(source.received.length - before).toBe(3);
    body = 'another';
    expect(textOf((await follower.nextSnapshot()).content)).toBe('another');
    await follower.stop();
  });

  it.each([
    ['wh', 'whole'],
    ['whole', 'wh'],
    ['', 'whole'],
  ])('that is "%s" first and then "%s" is no answer', async (first, second) => {
    const bodies = [first, second];
    source.answer((request) => respondOpenEnded(request, bodies.shift() ?? ''));
    await expectFailure(
      open(source.origin),
      'source.truncated',
      `Cannot GET "${source.origin}/": the answer has no length, and came out differently when it was asked for again`,
    );
  });
});

describe('an answer that is cut', () => {
  it.each<readonly [string, Script]>([
    [
      'at half of its length',
      (_request, response) => {
        response.writeHead(200, { 'content-length': 10, etag: '"cut"' });
        response.write('half:', () => response.destroy());
      },
    ],
    [
      'at half of its length, by a connection that ends in order',
      (request) => request.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf:'),
    ],
    [
      'between two chunks',
      (_request, response) => {
        response.writeHead(200, { etag: '"cut"' });
        response.write('half:', () => response.destroy());
      },
    ],
    [
      'before its last chunk, by a connection that ends in order',
      (request) => {
        const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
        request.socket.end(`${head}5\r\nhalf:\r\n`);
      },
    ],
  ])('%s is an error, and neither its bytes nor its ETag are remembered', async (_name, cut) => {
    source.answer(cut);
    const provider = open(source.origin);
    await expectFailure(
      provider,
      'source.truncated',
      `Cannot GET "${source.origin}/": the connection ended in the middle of the answer`,
    );
    source.answer((_request, response) => respond(response, 200, 'half:whole', { etag: '"cut"' }));
    const before = source.received.length;
    const follower = follow(provider);
    expect(textOf(snapshotOf(await follower.next()).content)).toBe('half:whole');
    expect(source.received[before]?.headers['if-none-match']).toBeUndefined();
    await follower.stop();
  });
});

describe('an answer that takes its time', () => {
  it('is given up at FETCH_TIMEOUT, redirects included, though a byte comes every now and then', async () => {
    source.answer((request, response) => {
      const step = Number(new URL(request.url ?? '', source.origin).searchParams.get('step'));
      if (step < 5) {
        setTimeout(() => respond(response, 302, '', { location: `/?step=${step + 1}` }), 900);
        return;
      }
      response.writeHead(200, { 'content-length': 1_000 });
      const timer = setInterval(() => response.write('x'), 50);
      response.on('close', () => clearInterval(timer));
    });
    const startedMs = performance.now();
    const error = await failureOf(open(`${source.origin}/?step=0`, { fetchTimeoutMs: 3_000 }));
    expect(error.code).toBe('source.timeout');
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(2_950);
    // With 3 s for each question the redirects alone would take 4.5 s, and the answer 3 s more.
    expect(performance.now() - startedMs).toBeLessThan(6_000);
  });
});

describe('a redirect', () => {
  it('from https to http of the same host is another origin: not followed, nothing sent there', async () => {
    const ca = createAuthority('A private authority');
    const secure = await startHttpSource(ca.issue('server'));
    onTestFinished(secure.stop);
    const plain = await startHttpSource();
    onTestFinished(plain.stop);
    secure.answer((_request, response) =>
      respond(response, 301, '', { location: `http://localhost:${plain.port}/app` }),
    );
    const path = `${secure.origin}/app`;
    const settings: Readonly<Record<string, string>> = {
      HTTP_TOKEN: 'tok-3f9a',
      HTTP_CACERT: writeAuthority(ca.cert),
    };
    await expectFailure(
      open(path, { setting: (name) => settings[name] }),
      'source.redirected',
      `Cannot GET "${path}": it redirects from ${secure.origin} to http://localhost:${plain.port}, another origin, ` +
        'which is not followed; give the new URL as the source if that is right',
    );
    expect(plain.accepted()).toBe(0);
  });
});

describe('the proxy variables', () => {
  it('are known in either case, and NO_PROXY exempts', async () => {
    const proxy = await startHttpProxy({ toPort: source.port });
    onTestFinished(proxy.stop);
    source.answer((_request, response) => respond(response, 200, 'through'));
    const at = (proxyEnv: Readonly<Record<string, string>>): Provider =>
      open('http://config.invalid/app', { proxyEnv, fetchTimeoutMs: 25_000 });
    const follower = follow(at({ HTTP_PROXY: proxy.url }));
    expect(textOf(snapshotOf(await follower.next()).content)).toBe('through');
    await follower.stop();
    const asked = proxy.asked.length;
    for (const no_proxy of ['config.invalid', '.invalid', '*', 'other.test,config.invalid:80']) {
      const error = await failureOf(at({ HTTP_PROXY: proxy.url, NO_PROXY: no_proxy }));
      expect(error.code).toBe('source.unreachable');
    }
    expect(proxy.asked).toHaveLength(asked);
  });

  it('name a proxy that is down: the error says so, without its password', async () => {
    const proxy = await startHttpProxy({ toPort: source.port });
    await proxy.stop();
    const proxyEnv = { http_proxy: proxy.url.replace('//', '//user:hunter2@') };
    await expectFailure(
      open('http://config.invalid/app', { proxyEnv }),
      'source.proxy',
      `Cannot GET "http://config.invalid/app": the proxy "${proxy.url}": connection refused`,
    );
  });
});

describe('a connection', () => {
  it('that the server closes after every answer is no error, ten times over', async () => {
    source.answer((request, response) => {
      respond(response, 200, 'steady', { etag: '"s"' });
      response.on('finish', () => request.socket.end());
    });
    const before = source.accepted();
    const follower = follow(open(source.origin));
    await follower.next();
    for (let round = 0; round < 10; round++) expect(await follower.next()).toEqual({ kind: 'same' });
    expect(source.accepted() - before).toBeGreaterThanOrEqual(11);
    await follower.stop();
  });
});

function writeAuthority(pem: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'http-answers-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'ca.crt');
  writeFileSync(path, pem);
  return path;
}
