import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SidecarError } from '../../../src/lib/errors.ts';
import type { Content, Provider, ProviderOptions } from '../../../src/source/provider.ts';
import { createAuthority, writeCertificate } from '../../support/servers/certificates.ts';
import {
  type HttpSource,
  respond,
  type Script,
  servesDocument,
  startHttpProxy,
  startHttpSource,
} from '../../support/servers/http-source.ts';
import { freePorts } from '../../support/servers/ports.ts';
import { openHttp } from '../../support/source/open.ts';
import {
  describeProviderLaw,
  failureOf,
  follow,
  providerOptions,
  snapshotOf,
  textOf,
} from '../../support/source/provider-contract.ts';

type Settings = Readonly<Record<string, string>>;

function open(url: string, settings: Settings = {}, overrides: Partial<ProviderOptions> = {}): Provider {
  return openHttp(
    url,
    providerOptions({ updateFrequencyMs: 30, setting: (name) => settings[name], ...overrides }),
  );
}

const SECRETS = { HTTP_TOKEN: 'tok-3f9a', HTTP_HEADERS: 'X-Api-Key: key-77ab' };

describeProviderLaw('http', async () => {
  const source = await startHttpSource();
  let document = { etag: '"0"', body: '' };
  let version = 0;
  const put = async (body: string): Promise<void> => {
    document = { etag: `"${++version}"`, body };
  };
  source.answer(servesDocument(() => document));
  const [deadPort] = await freePorts(1);
  const openAt = (port: number | undefined, overrides?: Partial<ProviderOptions>): Provider =>
    open(`http://127.0.0.1:${port}/app?token=query-51`, SECRETS, overrides);
  return {
    open: (overrides) => openAt(source.port, overrides),
    put,
    empty: () => put(''),
    openUnreachable: (overrides) => openAt(deadPort, overrides),
    openAt,
    secrets: ['tok-3f9a', 'key-77ab', 'query-51'],
    stop: source.stop,
  };
});

let source: HttpSource;
beforeAll(async () => {
  source = await startHttpSource();
});
afterAll(async () => {
  await source.stop();
});

async function expectFailure(provider: Provider, code: string, message: string): Promise<SidecarError> {
  const error = await failureOf(provider);
  expect({ code: error.code, message: error.message, stage: error.stage }).toEqual({
    code,
    message,
    stage: 'source',
  });
  return error;
}

/** Follows until `count` observations have come. */
async function observe(provider: Provider, count: number): Promise<string[]> {
  const follower = follow(provider);
  const seen: string[] = [];
  while (seen.length < count) {
    const observation = await follower.next();
    seen.push(observation.kind === 'same' ? 'same' : `${textOf(observation.snapshot.content)}`);
  }
  await follower.stop();
  return seen;
}

async function firstContent(provider: Provider): Promise<Content> {
  const follower = follow(provider);
  const { content } = snapshotOf(await follower.next());
  await follower.stop();
  return content;
}

describe('what changed', () => {
  it.each(['"v1"', 'W/"v1"'])('is asked for by the ETag %s, which is the revision', async (etag) => {
    source.answer(servesDocument(() => ({ etag, body: '{}' })));
    const follower = follow(open(`${source.origin}/app.json`));
    expect(snapshotOf(await follower.next()).revision).toBe(etag);
    const before = source.received.length;
    expect((await follower.next()).kind).toBe('same');
    await follower.stop();
    expect(source.received[before]?.headers['if-none-match']).toBe(etag);
  });

  it('is asked for by Last-Modified where there is no ETag, but not in the first two seconds', async () => {
    const answers: string[] = [];
    const lastModified = (ageMs: number): string =>
      new Date(Math.floor(Date.now() / 1000) * 1000 - ageMs).toUTCString();
    let stamp = lastModified(0);
    source.answer((request, response) => {
      const asked = request.headers['if-modified-since'];
      answers.push(asked ?? 'whole');
      if (asked === stamp) respond(response, 304, '');
      else respond(response, 200, 'text', { 'last-modified': stamp });
    });
    const follower = follow(open(`${source.origin}/app`));
    const first = snapshotOf(await follower.next());
    expect(first.revision).toMatch(/^sha256:[\da-f]{64}$/);
    expect((await follower.next()).kind).toBe('same');
    expect(answers).toEqual(['whole', 'whole']);
    stamp = lastModified(60_000);
    await expect.poll(async () => (await follower.next()).kind === 'same' && answers.at(-1)).toBe(stamp);
    await follower.stop();
  });

  it('is seen though it happened twice within the second that Last-Modified shows', async () => {
    const bodies = ['one', 'two', 'three'];
    const stamp = new Date().toUTCString();
    source.answer((request, response) => {
      if (request.headers['if-modified-since'] === stamp) return respond(response, 304, '');
      const headers = { 'last-modified': stamp, date: stamp };
      respond(response, 200, bodies.length > 1 ? (bodies.shift() ?? '') : (bodies[0] ?? ''), headers);
    });
    expect(await observe(open(`${source.origin}/app`), 4)).toEqual(['one', 'two', 'three', 'same']);
  });

  it('is found by comparing bytes where there is neither', async () => {
    let body = 'one';
    source.answer((_request, response) => respond(response, 200, body));
    const follower = follow(open(`${source.origin}/app`));
    const first = snapshotOf(await follower.next());
    expect((await follower.next()).kind).toBe('same');
    body = 'two';
    const second = await follower.nextSnapshot();
    expect(textOf(second.content)).toBe('two');
    expect(second.revision).not.toBe(first.revision);
    await follower.stop();
  });

  it('is not overlooked when a weak ETag stays the same over other bytes', async () => {
    let body = 'one';
    source.answer((_request, response) => respond(response, 200, body, { etag: 'W/"v"' }));
    const follower = follow(open(`${source.origin}/app`));
    const first = snapshotOf(await follower.next());
    body = 'two';
    const second = await follower.nextSnapshot();
    expect(second.revision).not.toBe(first.revision);
    expect((await follower.next()).kind).toBe('same');
    expect((await follower.next()).kind).toBe('same');
    await follower.stop();
  });

  it('is asked for again after an answer that was not read whole', async () => {
    source.answer((_request, response) => {
      response.writeHead(200, { etag: '"2"', 'content-length': 5 });
      response.write('wh', () => response.destroy());
    });
    const provider = open(`${source.origin}/app`);
    await expectFailure(
      provider,
      'source.truncated',
      `Cannot GET "${source.origin}/app": the connection ended in the middle of the answer`,
    );
    source.answer(servesDocument(() => ({ etag: '"2"', body: 'whole' })));
    expect(await observe(provider, 2)).toEqual(['whole', 'same']);
  });
});

describe('an answer', () => {
  it('is a document with the name and type it came with, and the part the fragment says', async () => {
    source.answer((_request, response) =>
      respond(response, 200, '{"a":1}', { 'content-type': 'Application/JSON; charset=utf-8' }),
    );
    expect(await firstContent(open(`${source.origin}/v1/my%20app.json?x=1#/data/a%20b`))).toEqual({
      kind: 'document',
      bytes: Buffer.from('{"a":1}'),
      name: 'my app.json',
      contentType: 'application/json',
      pointer: '/data/a b',
    });
    expect(source.received.at(-1)?.url).toBe('/v1/my%20app.json?x=1');
    source.answer((_request, response) => respond(response, 200, 'a'));
    expect(await firstContent(open(source.origin))).toMatchObject({
      name: '',
      contentType: null,
      pointer: null,
    });
  });

  it('says that there is nothing by 204 or by being empty', async () => {
    source.answer((_request, response) => respond(response, 200, ''));
    expect(await firstContent(open(source.origin))).toEqual({ kind: 'nothing' });
    source.answer((_request, response) => {
      response.writeHead(204);
      response.end();
    });
    expect(await firstContent(open(source.origin))).toEqual({ kind: 'nothing' });
  });

  it('may be compressed, within the bound', async () => {
    source.answer((request, response) => {
      expect(request.headers['accept-encoding']).toBe('gzip');
      respond(response, 200, gzipSync('unpacked'), { 'content-encoding': 'gzip' });
    });
    expect(textOf(await firstContent(open(source.origin)))).toBe('unpacked');
    source.answer((_request, response) =>
      respond(response, 200, gzipSync(Buffer.alloc(5_000_000)), { 'content-encoding': 'gzip' }),
    );
    await expectFailure(
      open(source.origin, {}, { maxBytes: 10_000 }),
      'source.too-large',
      `Cannot GET "${source.origin}/": the answer is larger than 10000 bytes; raise MAX_SIZE`,
    );
  });

  const ways = 'HTTP_TOKEN, HTTP_USERNAME with HTTP_PASSWORD, HTTP_HEADERS or HTTP_CERT';
  it.each([
    [401, 'source.denied', `401: the credentials are missing or wrong; set ${ways}`],
    [
      403,
      'source.denied',
      `403: these credentials may not read it; grant them the right, or give others as ${ways}`,
    ],
    [404, 'source.not-found', '404; there is nothing under this URL'],
    [410, 'source.not-found', '410; there is nothing under this URL any more'],
    [206, 'source.failed', '206'],
    [300, 'source.failed', '300'],
    [400, 'source.failed', '400'],
    [301, 'source.redirected', '301 without saying where to (no Location)'],
    [500, 'source.failed', '500'],
  ])('of status %s is the error %s', async (status, code, reason) => {
    source.answer((_request, response) => respond(response, status, '{"error": "a body that says nothing"}'));
    const error = await expectFailure(
      open(source.origin),
      code,
      `Cannot GET "${source.origin}/": the server answered ${reason}`,
    );
    expect(error.retryAfterMs).toBeUndefined();
  });

  it.each([
    [429, '7', 7_000],
    [503, '120', 120_000],
  ])('of status %s with Retry-After %s asks to wait', async (status, value, waitMs) => {
    source.answer((_request, response) => respond(response, status, '', { 'retry-after': value }));
    const reason = `the server answered ${status} and asks to wait ${waitMs / 1000} s`;
    const error = await expectFailure(
      open(source.origin),
      'source.failed',
      `Cannot GET "${source.origin}/": ${reason}`,
    );
    expect(error.retryAfterMs).toBe(waitMs);
  });

  it.each([
    ['86400', /asks to wait 86400 s \(it is asked again after 3600 s\)$/],
    [
      'Fri, 01 Jan 2100 00:00:00 GMT',
      /^Cannot GET "\S+": the server answered 503 and asks to wait \d{10} s \(it is asked again after 3600 s\)$/,
    ],
  ])('that asks to wait until %s says so, and is asked again after an hour', async (value, message) => {
    source.answer((_request, response) => respond(response, 503, '', { 'retry-after': value }));
    const error = await failureOf(open(source.origin));
    expect(error.message).toMatch(message);
    expect(error.retryAfterMs).toBe(3_600_000);
  });

  it('of status 304 to a question without condition is an error', async () => {
    source.answer((_request, response) => respond(response, 304, ''));
    const reason = 'the server answered 304 although it was asked for the whole';
    await expectFailure(open(source.origin), 'source.failed', `Cannot GET "${source.origin}/": ${reason}`);
  });

  it('that is a page is refused, unless a page was asked for', async () => {
    source.answer((_request, response) =>
      respond(response, 200, '<html>Log in</html>', { 'content-type': 'text/html; charset=utf-8' }),
    );
    const reason =
      'the server sent a page (text/html) where a configuration was expected; is this a login or an error page?';
    for (const path of ['/app.json', '/app']) {
      await expectFailure(
        open(source.origin + path),
        'source.wrong-type',
        `Cannot GET "${source.origin}${path}": ${reason}`,
      );
    }
    expect(textOf(await firstContent(open(`${source.origin}/page.html`)))).toBe('<html>Log in</html>');
  });
});

describe('a redirect', () => {
  const redirectsTo =
    (locations: Readonly<Record<string, string>>): Script =>
    (request, response) => {
      const location = locations[request.url ?? ''];
      if (location === undefined) servesDocument(() => ({ etag: '"r"', body: 'there' }))(request, response);
      else respond(response, 302, '', { location, etag: '"redirect"' });
    };

  it('is followed within the origin, with credentials, and the cursor is that of the end', async () => {
    source.answer(redirectsTo({ '/a': '/b?c=1', '/b?c=1': `${source.origin}/c#frag` }));
    const before = source.received.length;
    expect(await observe(open(`${source.origin}/a`, { HTTP_TOKEN: 'tok' }), 2)).toEqual(['there', 'same']);
    const asked = source.received.slice(before, before + 6);
    expect(asked.map(({ url }) => url)).toEqual(['/a', '/b?c=1', '/c', '/a', '/b?c=1', '/c']);
    expect(asked.map(({ headers }) => headers.authorization)).toEqual(Array(6).fill('Bearer tok'));
    expect(asked.map(({ headers }) => headers['if-none-match'])).toEqual([
      ...Array(5).fill(undefined),
      '"r"',
    ]);
  });

  it('to another origin is not followed, and no credentials are sent there', async () => {
    const elsewhere = await startHttpSource();
    elsewhere.answer((_request, response) => respond(response, 200, 'stolen'));
    source.answer(redirectsTo({ '/a': `${elsewhere.origin}/b` }));
    await expectFailure(
      open(`${source.origin}/a`, SECRETS),
      'source.redirected',
      `Cannot GET "${source.origin}/a": it redirects from ${source.origin} to ${elsewhere.origin}, another origin, ` +
        'which is not followed; give the new URL as the source if that is right',
    );
    expect(elsewhere.accepted()).toBe(0);
    await elsewhere.stop();
  });

  it('that leads round is given up', async () => {
    source.answer(redirectsTo({ '/a': '/b', '/b': '/a' }));
    const before = source.received.length;
    await expectFailure(
      open(`${source.origin}/a`),
      'source.redirected',
      `Cannot GET "${source.origin}/a": it redirects more than 5 times`,
    );
    expect(source.received.length - before).toBe(6);
  });
});

describe('credentials', () => {
  const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;

  it.each([
    ['a token', '', { HTTP_TOKEN: 'tok\n' }, 'Bearer tok'],
    ['user and password', '', { HTTP_USERNAME: 'us', HTTP_PASSWORD: 'pä:ss' }, basic('us:pä:ss')],
    ['a user in the URL', 'u%40s:p%3As@', {}, basic('u@s:p:s')],
    ['a user in the URL with a password beside it', 'us@', { HTTP_PASSWORD: 'pass' }, basic('us:pass')],
    ['a header', '', { HTTP_HEADERS: 'Authorization: Custom x' }, 'Custom x'],
  ])('are sent as %s', async (_name, userinfo, settings: Settings, expected) => {
    source.answer((request, response) =>
      respond(response, request.headers.authorization === expected ? 200 : 401, 'in'),
    );
    const provider = open(`http://${userinfo}127.0.0.1:${source.port}/`, settings);
    expect(provider.source).toBe(`http://127.0.0.1:${source.port}/`);
    expect(textOf(await firstContent(provider))).toBe('in');
  });

  it('go with headers, one per line', async () => {
    source.answer((_request, response) => respond(response, 200, 'in'));
    await firstContent(open(source.origin, { HTTP_HEADERS: '\nX-Api-Key:  k: 1 \r\n\r\nX-Scope: a b\n' }));
    expect(source.received.at(-1)?.headers).toMatchObject({ 'x-api-key': 'k: 1', 'x-scope': 'a b' });
  });

  it('that were rotated are used from the next request on', async () => {
    source.answer((_request, response) => respond(response, 200, 'in'));
    let token = 'first';
    const setting = (name: string): string | undefined => (name === 'HTTP_TOKEN' ? token : undefined);
    const follower = follow(open(source.origin, {}, { setting }));
    await follower.next();
    expect(source.received.at(-1)?.headers.authorization).toBe('Bearer first');
    token = 'second';
    await follower.next();
    await expect.poll(() => source.received.at(-1)?.headers.authorization).toBe('Bearer second');
    await follower.stop();
  });
});

describe('TLS', () => {
  const ca = createAuthority('A private authority');
  let directory = '';
  let server: HttpSource;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'http-provider-'));
    writeFileSync(join(directory, 'ca.crt'), ca.cert);
    server = await startHttpSource({ ...ca.issue('server'), clientCa: ca.cert });
    server.answer((request, response) => {
      const { subject } = (request.socket as import('node:tls').TLSSocket).getPeerCertificate();
      respond(response, 200, String(subject.CN));
    });
  });
  afterEach(async () => {
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  function settings(): Settings {
    const paths = writeCertificate(directory, 'client', ca.issue('client one'));
    return { HTTP_CACERT: join(directory, 'ca.crt'), HTTP_CERT: paths.cert, HTTP_KEY: paths.key };
  }

  it('uses the certificate files, and those put in their place from the next request on', async () => {
    const follower = follow(open(server.origin, settings()));
    expect(textOf(snapshotOf(await follower.next()).content)).toBe('client one');
    const next = writeCertificate(directory, 'next', ca.issue('client two'));
    renameSync(next.key, join(directory, 'client.key'));
    renameSync(next.cert, join(directory, 'client.crt'));
    await follower.until((content) => textOf(content) === 'client two');
    await follower.stop();
  });

  it('says what a wrong authority and a missing certificate are', async () => {
    const { HTTP_CACERT = '', ...client } = settings();
    const advice = '; HTTP_CACERT, HTTP_CERT and HTTP_KEY name the files for it';
    await expectFailure(
      open(server.origin, client),
      'source.tls',
      `Cannot GET "${server.origin}/": the server's certificate is not accepted: no authority that is trusted here signed it (SELF_SIGNED_CERT_IN_CHAIN)${advice}`,
    );
    const error = await failureOf(open(server.origin, { HTTP_CACERT }));
    expect(error.code).toBe('source.tls');
    expect(error.message).toContain('certificate required');
  });

  it('says which file it cannot read', async () => {
    const path = join(directory, 'missing.crt');
    await expectFailure(
      open(server.origin, { HTTP_CACERT: path }),
      'source.tls',
      `Cannot read HTTP_CACERT "${path}": the file does not exist`,
    );
  });
});

describe('the way', () => {
  it('goes through the proxy that the environment names', async () => {
    const proxy = await startHttpProxy({ toPort: source.port });
    source.answer((_request, response) => respond(response, 200, 'through'));
    const content = await firstContent(
      open('http://config.test/app', {}, { proxyEnv: { http_proxy: proxy.url } }),
    );
    expect(textOf(content)).toBe('through');
    expect(proxy.asked).toEqual(['GET http://config.test/app']);
    await proxy.stop();
  });

  it('is kept open between two reads, and a connection that was closed meanwhile is no error', async () => {
    source.answer(servesDocument(() => ({ etag: '"k"', body: 'kept' })));
    const before = source.accepted();
    const follower = follow(open(source.origin));
    for (let round = 0; round < 4; round++) await follower.next();
    expect(source.accepted() - before).toBe(1);
    source.cut();
    for (let round = 0; round < 4; round++) expect(await follower.next()).toEqual({ kind: 'same' });
    expect(source.accepted() - before).toBe(2);
    await follower.stop();
    await expect.poll(() => source.connections()).toBe(0);
  });
});

describe('opening', () => {
  it.each([
    [
      'http://host/',
      { HTTP_HEADERS: 'A: b\nno header: \u0001s3cret' },
      'Cannot use HTTP_HEADERS line "2": it must read Name: value',
    ],
    [
      'http://u:p@host/',
      { HTTP_TOKEN: 't' },
      'Cannot use credentials "HTTP_TOKEN, user in the URL": only one of them can be sent',
    ],
  ])('refuses %s with %o', (url, settings: Settings, message) => {
    try {
      open(url, settings);
      expect.unreachable();
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(SidecarError);
      expect(thrown).toMatchObject({ message, code: 'settings.source', stage: 'settings' });
    }
  });
});
