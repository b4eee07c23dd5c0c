import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SidecarError } from '../../../../src/lib/errors.ts';
import { type HttpRequest, openClient, request, retryAfterMs } from '../../../../src/lib/http/http.ts';
import { createAuthority } from '../../../support/servers/certificates.ts';
import {
  type HttpSource,
  respond,
  startHttpProxy,
  startHttpSource,
} from '../../../support/servers/http-source.ts';
import { freePorts, portOf } from '../../../support/servers/ports.ts';
import { countResources, leftOver, listenSilently } from '../../../support/source/provider-contract.ts';

const NEVER = new AbortController().signal;

function get(url: string, more: Partial<HttpRequest> = {}): HttpRequest {
  return { method: 'GET', url, timeoutMs: 10_000, maxBytes: 1_000_000, signal: NEVER, ...more };
}

async function failureOf(wanted: HttpRequest): Promise<SidecarError> {
  try {
    const { status } = await request(wanted);
    throw new Error(`Expected an error, got ${status}`);
  } catch (thrown) {
    if (thrown instanceof SidecarError) return thrown;
    throw thrown;
  }
}

async function expectFailure(wanted: HttpRequest, code: string, reason: string): Promise<void> {
  const error = await failureOf(wanted);
  expect({ code: error.code, message: error.message }).toEqual({
    code,
    message: `Cannot ${wanted.method} "${wanted.url}": ${reason}`,
  });
}

let source: HttpSource;
beforeAll(async () => {
  source = await startHttpSource();
});
afterAll(async () => {
  await source.stop();
});

describe('an exchange', () => {
  it('resolves with any status, and follows no redirect', async () => {
    for (const status of [200, 302, 304, 404, 500, 503]) {
      source.answer((_request, response) =>
        respond(response, status, '', { Location: 'http://127.0.0.1:1/' }),
      );
      const answer = await request(get(`${source.origin}/x`));
      expect(answer.status).toBe(status);
      expect(answer.headers['location']).toBe('http://127.0.0.1:1/');
    }
  });

  it('sends what was asked for and nothing that could mislead', async () => {
    source.answer((_request, response) => respond(response, 200, 'ok'));
    await request(
      get(`${source.origin}/a%20b?c=d#e`, {
        method: 'POST',
        body: 'grün',
        headers: [
          ['X-One', '1'],
          ['x-one', '2'],
        ],
      }),
    );
    const { method, url, headers, body } = source.received.at(-1) ?? {};
    expect({ method, url, body }).toEqual({ method: 'POST', url: '/a%20b?c=d', body: 'grün' });
    expect(headers).toEqual({
      accept: '*/*',
      'accept-encoding': 'gzip',
      'user-agent': 'config-sidecar',
      'x-one': '1, 2',
      'content-length': '5',
      host: `127.0.0.1:${source.port}`,
      connection: 'keep-alive',
    });
  });

  it('sends what stands before the @ of a URL as Basic credentials', async () => {
    source.answer((_request, response) => respond(response, 200, 'ok'));
    await request(get(`http://us%40er:pa%3Ass@127.0.0.1:${source.port}/`));
    expect(source.received.at(-1)?.headers.authorization).toBe(
      `Basic ${Buffer.from('us@er:pa:ss').toString('base64')}`,
    );
  });

  it('gives bytes, not text', async () => {
    const bytes = Buffer.from([0xef, 0xbb, 0xbf, 0x00, 0xff, 0x7b]);
    source.answer((_request, response) =>
      respond(response, 200, bytes, { 'content-type': 'application/json' }),
    );
    expect((await request(get(source.origin))).body.equals(bytes)).toBe(true);
  });

  it('leaves nothing open', async () => {
    source.answer((_request, response) => respond(response, 200, 'ok'));
    await request(get(source.origin));
    const before = countResources();
    await request(get(source.origin));
    await expect.poll(() => leftOver(before)).toEqual([]);
    await expect.poll(() => source.connections()).toBe(0);
  });
});

describe('a failure', () => {
  it('is "refused" where nothing listens', async () => {
    const [port] = await freePorts(1);
    await expectFailure(get(`http://127.0.0.1:${port}/x`), 'http.refused', 'connection refused');
  });

  it('is "dns" for a name that does not exist', async () => {
    const error = await failureOf(get('http://missing.invalid/x', { timeoutMs: 25_000 }));
    expect(error.code).toBe('http.dns');
    expect(error.message).toMatch(
      /^Cannot GET "http:\/\/missing\.invalid\/x": the host name (is not known|could not be looked up)$/,
    );
  });

  it('is "reset" when the connection closes before an answer', async () => {
    source.answer((wanted) => wanted.socket.destroy());
    await expectFailure(
      get(`${source.origin}/x`),
      'http.reset',
      'the connection was closed before an answer',
    );
  });

  it('is "protocol" when the answer is not HTTP', async () => {
    const server = createServer((socket) => socket.end('SSH-2.0-OpenSSH\r\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const error = await failureOf(get(`http://127.0.0.1:${portOf(server)}/`));
    expect(error.code).toBe('http.protocol');
    expect(error.message).toMatch(/": the answer is not HTTP \(HPE_\w+\)$/);
    server.close();
  });

  it('is "timeout" when nothing comes', async () => {
    const silent = await listenSilently();
    await expectFailure(
      get(`http://127.0.0.1:${silent.port}/`, { timeoutMs: 200 }),
      'http.timeout',
      'not finished within 200 ms',
    );
    await silent.close();
  });

  it('is "timeout" when a byte comes every now and then', async () => {
    source.answer((_request, response) => {
      response.writeHead(200, { 'content-length': 1_000 });
      const timer = setInterval(() => response.write('x'), 50);
      response.on('close', () => clearInterval(timer));
    });
    const startedMs = performance.now();
    await expectFailure(get(source.origin, { timeoutMs: 600 }), 'http.timeout', 'not finished within 600 ms');
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  it('is "aborted" at the abort, before the answer and in the middle of it', async () => {
    for (const isStarted of [false, true]) {
      const controller = new AbortController();
      source.answer((_request, response) => {
        if (isStarted) response.write('half');
        setImmediate(() => controller.abort());
      });
      const reason = 'given up because we were asked to stop';
      await expectFailure(get(source.origin, { signal: controller.signal }), 'http.aborted', reason);
    }
    await expect.poll(() => source.connections()).toBe(0);
  });

  it('is "truncated" when half of the length comes, or a chunked body is cut', async () => {
    const reason = 'the connection ended in the middle of the answer';
    source.answer((_request, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('half', () => response.destroy());
    });
    await expectFailure(get(source.origin), 'http.truncated', reason);
    source.answer((_request, response) => response.write('half', () => response.destroy()));
    await expectFailure(get(source.origin), 'http.truncated', reason);
  });

  it('is "truncated" when the connection that alone could end the body is reset', async () => {
    source.answer((wanted) => {
      const { socket } = wanted;
      socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf', () => {
        if ('resetAndDestroy' in socket) setTimeout(() => socket.resetAndDestroy(), 50);
      });
    });
    const reason = 'the connection ended in the middle of the answer';
    await expectFailure(get(source.origin), 'http.truncated', reason);
  });

  it('is "truncated" when a compressed body is cut, even where the connection ends in order', async () => {
    const half = gzipSync(
      Buffer.from(JSON.stringify({ list: Array.from({ length: 500 }, (_, i) => i) })),
    ).subarray(0, 300);
    source.answer((_request, response) => respond(response, 200, half, { 'content-encoding': 'gzip' }));
    await expectFailure(get(source.origin), 'http.truncated', 'the compressed answer is cut');
  });

  it('is "encoding" for what cannot be decompressed', async () => {
    source.answer((_request, response) => respond(response, 200, 'plain', { 'content-encoding': 'gzip' }));
    await expectFailure(get(source.origin), 'http.encoding', 'the answer is not valid gzip');
    source.answer((_request, response) => respond(response, 200, 'plain', { 'content-encoding': 'zstd' }));
    const reason = 'the answer is in an encoding that was not asked for; gzip is';
    await expectFailure(get(source.origin), 'http.encoding', reason);
  });

  it('is "too-large" above the bound, and not at it', async () => {
    source.answer((_request, response) => respond(response, 200, 'x'.repeat(1_001)));
    await expectFailure(
      get(source.origin, { maxBytes: 1_000 }),
      'http.too-large',
      'the answer is larger than 1000 bytes',
    );
    expect((await request(get(source.origin, { maxBytes: 1_001 }))).body).toHaveLength(1_001);
  });

  it('is "too-large" for a few bytes that decompress to many', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    source.answer((_request, response) => respond(response, 200, bomb, { 'content-encoding': 'gzip' }));
    await expectFailure(get(source.origin), 'http.too-large', 'the answer is larger than 1000000 bytes');
    expect(bomb.length).toBeLessThan(100_000);
  });

  it('cuts the body instead where that is asked for', async () => {
    source.answer((_request, response) => respond(response, 500, 'x'.repeat(2_000_000)));
    const answer = await request(get(source.origin, { maxBytes: 100, truncate: true }));
    expect(answer).toMatchObject({ status: 500, body: Buffer.from('x'.repeat(100)) });
    expect(source.received.at(-1)?.headers['accept-encoding']).toBe('identity');
  });

  it('shows neither headers nor body nor credentials, however it is printed', async () => {
    source.answer((wanted) => wanted.socket.destroy());
    const error = await failureOf(
      get(`http://user:hunter2@127.0.0.1:${source.port}/?token=s3cret`, {
        method: 'POST',
        body: 'top-body',
        headers: [['X-Api-Key', 'abc-key']],
      }),
    );
    const seen = inspect(error, { depth: null, showHidden: true }) + JSON.stringify(error);
    for (const secret of ['hunter2', 's3cret', 'top-body', 'abc-key', 'Authorization'])
      expect(seen).not.toContain(secret);
    expect(error.message).toBe(
      `Cannot POST "http://127.0.0.1:${source.port}/?token=***": the connection was closed before an answer`,
    );
  });

  it('belongs to the given stage', async () => {
    source.answer((wanted) => wanted.socket.destroy());
    expect((await failureOf(get(source.origin))).stage).toBe('source');
    expect((await failureOf(get(source.origin, { stage: 'reload' }))).stage).toBe('reload');
  });
});

describe('a client', () => {
  it('uses its connection again, until it is closed', async () => {
    source.answer((_request, response) => respond(response, 200, 'ok'));
    const client = openClient();
    const before = source.accepted();
    for (let round = 0; round < 3; round++) await client.request(get(source.origin));
    expect(source.accepted() - before).toBe(1);
    client.close();
    await expect.poll(() => source.connections()).toBe(0);
  });

  it('does not mind that the server closed the connection meanwhile', async () => {
    const client = openClient();
    source.answer((_request, response) => respond(response, 200, 'first'));
    await client.request(get(source.origin));
    // Closes at the very moment the connection is used again, which the client cannot see coming.
    let isFirst = true;
    source.answer((wanted, response) => {
      if (isFirst) wanted.socket.destroy();
      else respond(response, 200, 'second');
      isFirst = false;
    });
    expect((await client.request(get(source.origin))).body.toString()).toBe('second');
    client.close();
  });

  it('asks twice at most, and never twice for what may change something', async () => {
    const client = openClient();
    const warm = async (): Promise<number> => {
      source.answer((_request, response) => respond(response, 200, 'ok'));
      await client.request(get(source.origin));
      source.answer((wanted) => wanted.socket.destroy());
      return source.received.length;
    };
    const beforePost = await warm();
    await expect(client.request(get(source.origin, { method: 'POST', body: 'x' }))).rejects.toThrow(
      'closed before an answer',
    );
    expect(source.received.length - beforePost).toBe(1);
    const beforeGet = await warm();
    await expect(client.request(get(source.origin))).rejects.toThrow('closed before an answer');
    expect(source.received.length - beforeGet).toBe(2);
    client.close();
  });
});

describe('TLS', () => {
  const ca = createAuthority('A private authority');
  const other = createAuthority('Another authority');

  async function withServer(
    run: (server: HttpSource) => Promise<void>,
    tls: { cert: string; key: string; clientCa?: string } = ca.issue('server'),
  ): Promise<void> {
    const server = await startHttpSource(tls);
    server.answer((_request, response) => respond(response, 200, 'secret handshake'));
    try {
      await run(server);
    } finally {
      await server.stop();
    }
  }

  it('trusts the authority it is given', () =>
    withServer(async (server) => {
      const answer = await request(get(server.origin, { tls: { ca: ca.cert } }));
      expect(answer.body.toString()).toBe('secret handshake');
    }));

  it('trusts no other', () =>
    withServer(async (server) => {
      const reason = (errno: string): string =>
        `the server's certificate is not accepted: no authority that is trusted here signed it (${errno})`;
      await expectFailure(
        get(server.origin, { tls: { ca: other.cert } }),
        'http.tls',
        reason('UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
      );
      await expectFailure(get(server.origin), 'http.tls', reason('UNABLE_TO_VERIFY_LEAF_SIGNATURE'));
    }));

  it('wants the right name and an unexpired certificate', async () => {
    const expectErrno = (reason: string, errno: string) => async (server: HttpSource) =>
      expectFailure(
        get(server.origin, { tls: { ca: ca.cert } }),
        'http.tls',
        `the server's certificate is not accepted: ${reason} (${errno})`,
      );
    await withServer(
      expectErrno('it is for another host name', 'ERR_TLS_CERT_ALTNAME_INVALID'),
      ca.issue('server', { hosts: ['elsewhere.test'] }),
    );
    await withServer(
      expectErrno('it has expired', 'CERT_HAS_EXPIRED'),
      ca.issue('server', { isExpired: true }),
    );
  });

  it('shows a client certificate where one is demanded', () =>
    withServer(
      async (server) => {
        const client = ca.issue('client');
        const answer = await request(get(server.origin, { tls: { ca: ca.cert, ...client } }));
        expect(answer.status).toBe(200);
        const error = await failureOf(get(server.origin, { tls: { ca: ca.cert } }));
        expect(error.code).toBe('http.tls');
        expect(error.message).toMatch(/": TLS failed: .*certificate required/);
      },
      { ...ca.issue('server'), clientCa: ca.cert },
    ));

  it('says when the files are no certificates', () =>
    withServer(async (server) => {
      const error = await failureOf(get(server.origin, { tls: { ca: ca.cert, cert: 'no', key: 'no' } }));
      expect(error.code).toBe('http.tls');
      expect(error.message).toMatch(/": TLS failed: no start line/);
    }));

  it('says when the server speaks plain HTTP', async () => {
    const error = await failureOf(get(source.origin.replace('http:', 'https:')));
    expect(error.code).toBe('http.tls');
    expect(error.message).toMatch(
      /": TLS failed: (wrong version number|packet length too long) \(does the server speak plain HTTP there\?\)$/,
    );
  });
});

describe('a proxy', () => {
  it('is asked for a plain URL as a whole', async () => {
    const proxy = await startHttpProxy({ toPort: source.port });
    source.answer((_request, response) => respond(response, 200, 'through'));
    const proxyEnv = { HTTP_PROXY: proxy.url.replace('//', '//pu:pp@') };
    const answer = await request(get('http://config.test/a?b=c', { proxyEnv }));
    expect(answer.body.toString()).toBe('through');
    expect(proxy.asked).toEqual(['GET http://config.test/a?b=c']);
    expect(proxy.headers[0]?.['proxy-authorization']).toBe(
      `Basic ${Buffer.from('pu:pp').toString('base64')}`,
    );
    await proxy.stop();
  });

  it('makes a tunnel for TLS, sees nothing of what goes through, and the tunnel is used again', async () => {
    const ca = createAuthority('A private authority');
    const server = await startHttpSource({
      ...ca.issue('server', { hosts: ['config.test'] }),
      clientCa: ca.cert,
    });
    server.answer((_request, response) => respond(response, 200, 'through the tunnel'));
    const proxy = await startHttpProxy({ toPort: server.port });
    const client = openClient();
    const wanted = get('https://config.test/a', {
      proxyEnv: { https_proxy: proxy.url.replace('//', '//pu:pp@') },
      tls: { ca: ca.cert, ...ca.issue('client') },
      headers: [['Authorization', 'Bearer t']],
    });
    for (let round = 0; round < 2; round++) {
      expect((await client.request(wanted)).body.toString()).toBe('through the tunnel');
    }
    expect(proxy.asked).toEqual(['CONNECT config.test:443']);
    expect(proxy.headers[0]).toEqual({
      host: 'config.test:443',
      'proxy-authorization': `Basic ${Buffer.from('pu:pp').toString('base64')}`,
      connection: 'close',
    });
    expect(server.received.map(({ headers }) => headers.authorization)).toEqual(['Bearer t', 'Bearer t']);
    client.close();
    await expect.poll(() => proxy.connections()).toBe(0);
    await proxy.stop();
    await server.stop();
  });

  it('does not make up for a certificate of another name', async () => {
    const ca = createAuthority('A private authority');
    const server = await startHttpSource(ca.issue('server', { hosts: ['elsewhere.test'] }));
    const proxy = await startHttpProxy({ toPort: server.port });
    const wanted = get('https://config.test/a', {
      proxyEnv: { https_proxy: proxy.url },
      tls: { ca: ca.cert },
    });
    await expectFailure(
      wanted,
      'http.tls',
      "the server's certificate is not accepted: it is for another host name (ERR_TLS_CERT_ALTNAME_INVALID)",
    );
    await proxy.stop();
    await server.stop();
  });

  it('is passed over for what no_proxy names, and for loopback', async () => {
    const proxy = await startHttpProxy({ toPort: source.port });
    source.answer((_request, response) => respond(response, 200, 'direct'));
    expect((await request(get(source.origin, { proxyEnv: { all_proxy: proxy.url } }))).status).toBe(200);
    const proxyEnv = { all_proxy: proxy.url, no_proxy: '.invalid' };
    expect((await failureOf(get('http://config.invalid/', { proxyEnv, timeoutMs: 25_000 }))).code).toBe(
      'http.dns',
    );
    expect(proxy.asked).toEqual([]);
    await proxy.stop();
  });

  it('is named when it is what fails', async () => {
    const proxy = await startHttpProxy({ toPort: 1, refuses: 407 });
    for (const url of ['http://config.test/', 'https://config.test/']) {
      await expectFailure(
        get(url, { proxyEnv: { all_proxy: proxy.url } }),
        'http.proxy',
        `the proxy "${proxy.url}": answered 407`,
      );
    }
    await proxy.stop();
    for (const url of ['http://config.test/', 'https://config.test/']) {
      const error = await failureOf(get(url, { proxyEnv: { all_proxy: proxy.url } }));
      expect(error.code).toBe('http.proxy');
      expect(error.message).toBe(`Cannot GET "${url}": the proxy "${proxy.url}": connection refused`);
    }
    const socks = { all_proxy: 'socks5://u:p@proxy:1080' };
    const reason = 'the proxy "socks5://proxy:1080" is neither http:// nor https://';
    await expectFailure(get('http://config.test/', { proxyEnv: socks }), 'http.proxy', reason);
    const bad = 'the variable http_proxy or all_proxy does not hold a URL like http://host:3128';
    await expectFailure(
      get('http://config.test/', { proxyEnv: { http_proxy: 'http://:x' } }),
      'http.proxy',
      bad,
    );
  });

  it('that never answers does not outlive the deadline', async () => {
    const proxy = await startHttpProxy({ toPort: source.port, isSilent: true });
    const wanted = get('https://config.test/', { proxyEnv: { https_proxy: proxy.url }, timeoutMs: 300 });
    await expectFailure(wanted, 'http.timeout', 'not finished within 300 ms');
    await expect.poll(() => proxy.connections()).toBe(0);
    await proxy.stop();
  });
});

describe('retryAfterMs', () => {
  const now = Date.parse('Sat, 21 Nov 2026 10:00:00 GMT');
  it.each([
    ['120', 120_000],
    ['0', 0],
    ['99999', 3_600_000],
    ['Sat, 21 Nov 2026 10:00:30 GMT', 30_000],
    ['Sat, 21 Nov 2026 09:00:00 GMT', 0],
    ['Sun, 21 Nov 2027 10:00:00 GMT', 3_600_000],
    ['soon', undefined],
    ['-5', undefined],
    ['1.5', undefined],
    ['', undefined],
  ])('reads "%s" as %s', (value, expected) => {
    expect(retryAfterMs({ 'retry-after': value }, now)).toBe(expected);
  });

  it('knows nothing where the header is missing', () => {
    expect(retryAfterMs({}, now)).toBeUndefined();
  });
});
