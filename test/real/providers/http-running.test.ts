// An HTTP source in the long run, under the loop that follows it: outages, refusals, certificates that run out, and
// credentials that are replaced by renaming, as mounted secrets and their tools do it.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { settingsForProvider } from '../../../src/settings/secrets.ts';
import { type Followed, followOne, type SourceState } from '../../../src/source/follower.ts';
import { createAuthority } from '../../support/servers/certificates.ts';
import {
  type HttpSource,
  respond,
  servesDocument,
  startHttpSource,
} from '../../support/servers/http-source.ts';
import { load } from '../../support/settings/settings-loading.ts';
import { openHttp } from '../../support/source/open.ts';
import { providerOptions, textOf } from '../../support/source/provider-contract.ts';

const IN_TIME = { timeout: 20_000, interval: 5 };

interface Running {
  readonly followed: Followed;
  readonly states: readonly SourceState[];
  readonly text: () => string | null;
}

/** Follows a URL with settings as a user gives them, every 50 ms. */
async function run(url: string, env: Readonly<Record<string, string>> = {}): Promise<Running> {
  const loaded = await load({ SOURCE: url, ...env });
  const provider = openHttp(
    url,
    providerOptions({ updateFrequencyMs: 50, setting: settingsForProvider(loaded) }),
  );
  const ending = new AbortController();
  const states: SourceState[] = [];
  const onNews = (state: SourceState): void => void states.push(state);
  const followed = followOne(provider, { signal: ending.signal, now: Date.now, random: Math.random, onNews });
  onTestFinished(async () => {
    ending.abort();
    await followed.done;
  });
  const text = (): string | null => {
    const { snapshot } = followed.state();
    return snapshot === null ? null : textOf(snapshot.content);
  };
  return { followed, states, text };
}

async function start(...given: Parameters<typeof startHttpSource>): Promise<HttpSource> {
  const source = await startHttpSource(...given);
  onTestFinished(() => source.stop().catch(() => undefined));
  return source;
}

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'http-running-'));
  return () => rmSync(directory, { recursive: true });
});

/** Puts a file in place, or in the place of another, by rename. */
function put(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(`${path}.next`, text);
  renameSync(`${path}.next`, path);
  return path;
}

describe('after an outage of five seconds', () => {
  it('the new value is there within a second, in the median', async () => {
    const source = await start();
    source.answer(servesDocument(() => ({ etag: '"old"', body: 'old' })));
    const all = await Promise.all(Array.from({ length: 15 }, () => run(`${source.origin}/app`)));
    await expect.poll(() => all.filter(({ text }) => text() === 'old').length, IN_TIME).toBe(15);
    await source.stop();
    const wentMs = performance.now();
    await expect.poll(() => performance.now() - wentMs, IN_TIME).toBeGreaterThan(5_000);
    expect(all.filter(({ followed }) => followed.state().up)).toEqual([]);
    const again = await start(undefined, source.port);
    again.answer(servesDocument(() => ({ etag: '"new"', body: 'new' })));
    const backMs = Date.now();
    await expect.poll(() => all.filter(({ text }) => text() === 'new').length, IN_TIME).toBe(15);
    const delays = all.map(({ followed }) => (followed.state().lastChangeAt ?? 0) - backMs);
    delays.sort((a, b) => a - b);
    console.log(`http: new value after an outage of 5 s, in ms: ${delays.join(' ')}`);
    expect(delays[7]).toBeLessThan(1_000);
  });
});

describe('a server that refuses', () => {
  async function askedWithin(ms: number, status: number, headers = {}): Promise<number> {
    const source = await start();
    source.answer((_request, response) => respond(response, status, '', headers));
    const { followed } = await run(`${source.origin}/app`);
    const startedMs = performance.now();
    await expect.poll(() => performance.now() - startedMs, IN_TIME).toBeGreaterThan(ms);
    expect(followed.state().up).toBe(false);
    return source.received.length;
  }

  it('for want of rights is asked slowly, one in trouble again and again', async () => {
    const [denied401, denied403, failing] = await Promise.all([
      askedWithin(3_500, 401),
      askedWithin(3_500, 403),
      askedWithin(3_500, 500),
    ]);
    expect({ denied401, denied403 }).toEqual({ denied401: 2, denied403: 2 });
    expect(failing).toBeGreaterThan(3);
  });

  it.each([
    ['seconds', () => '3'],
    ['a date', () => new Date(Date.now() + 4_000).toUTCString()],
  ])('and names the time to wait in %s is left alone for that long', async (_name, value) => {
    expect(await askedWithin(2_500, 503, { 'retry-after': value() })).toBe(1);
  });

  it('keeps what there was, says so, and is believed again when it answers', async () => {
    const source = await start();
    source.answer(servesDocument(() => ({ etag: '"1"', body: 'good' })));
    const { followed, text } = await run(`${source.origin}/app`);
    await expect.poll(text, IN_TIME).toBe('good');
    const troubles = [404, 410, 500, 503];
    for (const status of troubles) {
      source.answer((_request, response) => respond(response, status, 'trouble'));
      const message = new RegExp(`the server answered ${status}`);
      await expect.poll(() => followed.state().error?.message, IN_TIME).toMatch(message);
      expect(text()).toBe('good');
    }
    source.answer(servesDocument(() => ({ etag: '"2"', body: 'better' })));
    await expect.poll(text, IN_TIME).toBe('better');
    expect(followed.state()).toMatchObject({ up: true, error: null });
  });
});

describe('a certificate of the server', () => {
  it('that runs out meanwhile is refused from then on, and the new one accepted without a restart', async () => {
    const ca = createAuthority('A private authority');
    const shortLived = ca.issue('server', { lifetimeMs: 5_000 });
    const source = await start(shortLived);
    source.answer((request, response) => {
      respond(response, 200, 'shown', { etag: '"1"' });
      response.on('finish', () => request.socket.end());
    });
    const { followed, text, states } = await run(`${source.origin}/app`, {
      HTTP_CACERT: put('ca.crt', ca.cert),
    });
    await expect.poll(text, IN_TIME).toBe('shown');
    await expect
      .poll(() => followed.state().error?.message, IN_TIME)
      .toBe(
        `Cannot GET "${source.origin}/app": the server's certificate is not accepted: it has expired (CERT_HAS_EXPIRED); ` +
          'HTTP_CACERT, HTTP_CERT and HTTP_KEY name the files for it',
      );
    expect(text()).toBe('shown');
    source.renew(ca.issue('server'));
    await expect.poll(() => followed.state().up, IN_TIME).toBe(true);
    expect(
      states.filter(({ error }) => error !== null).every(({ error }) => error?.code === 'source.tls'),
    ).toBe(true);
  });
});

describe('a file with credentials', () => {
  const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;

  it.each([
    [
      'HTTP_TOKEN_FILE',
      {},
      'first',
      'second',
      { authorization: 'Bearer first' },
      { authorization: 'Bearer second' },
    ],
    [
      'HTTP_PASSWORD_FILE',
      { HTTP_USERNAME: 'us' },
      'first\n',
      'second\n',
      { authorization: basic('us:first') },
      { authorization: basic('us:second') },
    ],
    [
      'HTTP_HEADERS_FILE',
      {},
      'X-Key: first\n',
      'X-Key: second\nX-More: 1\n',
      { 'x-key': 'first' },
      { 'x-more': '1' },
    ],
  ])(
    '%s is read again when it is replaced, and missed when it is gone',
    async (name, env, first, second, before, after) => {
      const source = await start();
      source.answer((_request, response) => respond(response, 200, 'in', { etag: '"1"' }));
      const path = put('secret', first);
      const { followed } = await run(`${source.origin}/app`, { ...env, [name]: path });
      await expect.poll(() => source.received.at(-1)?.headers, IN_TIME).toMatchObject(before);
      put('secret', second);
      await expect.poll(() => source.received.at(-1)?.headers, IN_TIME).toMatchObject(after);
      expect(followed.state().errors).toEqual({});
      rmSync(path);
      await expect.poll(() => followed.state().error?.code, IN_TIME).toBe('settings.secret');
      expect(followed.state().snapshot).not.toBeNull();
      put('secret', first);
      await expect.poll(() => source.received.at(-1)?.headers, IN_TIME).toMatchObject(before);
      await expect.poll(() => followed.state().up, IN_TIME).toBe(true);
    },
  );

  it('that let us in no more is asked for slowly, and the one in its place is used then', async () => {
    const source = await start();
    source.answer((request, response) =>
      respond(response, request.headers.authorization === 'Bearer good' ? 200 : 401, 'in'),
    );
    const { followed, text } = await run(source.origin, { HTTP_TOKEN_FILE: put('token', 'stale') });
    await expect.poll(() => followed.state().errors['source.denied'], IN_TIME).toBe(1);
    put('token', 'good');
    await expect.poll(text, IN_TIME).toBe('in');
  });

  it('of TLS is read again: another authority, another certificate with its key', async () => {
    const [ca, otherCa] = [createAuthority('One authority'), createAuthority('Another authority')];
    const clientCa = ca.cert;
    const source = await start({ ...ca.issue('server'), clientCa });
    source.answer((request, response) => {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate();
      respond(response, 200, String(subject.CN));
      response.on('finish', () => request.socket.end());
    });
    const show = (name: string): Readonly<Record<'HTTP_CERT' | 'HTTP_KEY', string>> => {
      const { cert, key } = ca.issue(name);
      return { HTTP_KEY: put('client.key', key), HTTP_CERT: put('client.crt', cert) };
    };
    const { followed, text } = await run(`${source.origin}/app`, {
      HTTP_CACERT: put('ca.crt', ca.cert),
      ...show('client one'),
    });
    await expect.poll(text, IN_TIME).toBe('client one');
    show('client two');
    await expect.poll(text, IN_TIME).toBe('client two');
    // The server moves to another authority, and so does what we trust.
    source.renew({ ...otherCa.issue('server'), clientCa });
    await expect.poll(() => followed.state().error?.code, IN_TIME).toBe('source.tls');
    put('ca.crt', otherCa.cert);
    await expect.poll(() => followed.state().up, IN_TIME).toBe(true);
  });
});
