// The endpoints over the network: who may do what, and how little a client can take of the sidecar.
import { writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { SidecarError } from '../../../src/lib/errors.ts';
import { listenAt, type Served } from '../../../src/server/server.ts';
import { currentOf } from '../../../src/settings/secrets.ts';
import { recording } from '../../support/cli/served.ts';
import { portOf } from '../../support/servers/ports.ts';
import { load, scratch } from '../../support/settings/settings-loading.ts';

async function serve(served: Served): Promise<number> {
  const server = await listenAt({ host: '127.0.0.1', port: 0 }, served);
  onTestFinished(() => server.close());
  return portOf(server.server);
}

interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function ask(
  port: number,
  path: string,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, agent: false, ...options }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end();
  });
}

const post = (port: number, path: string, headers: Record<string, string> = {}): Promise<Got> =>
  ask(port, path, { method: 'POST', headers });

/** Sends bytes as they are, and gives all that comes back until the connection is closed. */
function exchange(port: number, text: string, onOpen: (socket: Socket) => void = () => {}): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(text);
      onOpen(socket);
    });
    socket.on('data', (chunk) => {
      answer += chunk.toString();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}

const TOKEN = 'correct-horse';
const BEARER = { Authorization: `Bearer ${TOKEN}` };

const VERSION = { revision: 'string', digest: 'string', rendering: 'string', at: 'string' };

/** The same structure with the type of each value in its place. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (typeof value !== 'object' || value === null) return value === null ? null : typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shapeOf(item)]));
}

it('health, readiness, status, metrics and the page need no token, and HEAD is the same without a body', async () => {
  const port = await serve(recording().served);
  const paths = ['/', '/healthz', '/readyz', '/status', '/metrics'];
  for (const path of paths) {
    const [got, head] = await Promise.all([ask(port, path), ask(port, path, { method: 'HEAD' })]);
    expect([path, got.status, head.status, head.body]).toEqual([path, 200, 200, '']);
    expect(got.body).not.toBe('');
    expect(head.headers['content-length']).toBe(`${Buffer.byteLength(got.body)}`);
    expect(got.headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
  }
});

it('readiness gives its reasons', async () => {
  const port = await serve({ ...recording().served, notReady: async () => ['default: waits'] });
  expect(await ask(port, '/readyz')).toMatchObject({ status: 503, body: 'not ready\ndefault: waits\n' });
});

it('over the network the status has the fields of the contract and no others; with the token it has everything', async () => {
  const port = await serve(recording({ token: () => TOKEN }).served);
  const status = JSON.parse((await ask(port, '/status')).body);
  expect(shapeOf(status)).toEqual({
    ...{ version: 'string', instance: 'string', ready: 'boolean', fresh: 'boolean' },
    targets: {
      default: {
        ...{ output: 'string', hook: 'string' },
        application: { pid: 'number', program: 'string', user: 'number' },
        ...{ outcome: 'string', code: null, message: 'string' },
        ...{ desired: VERSION, attempted: VERSION, lastKnownGood: VERSION },
        running: { ...VERSION, evidence: 'string' },
        ...{ reloadOwed: 'boolean', pinned: 'boolean', nextAttemptAt: null, preset: null },
        sources: [
          { url: 'string', up: 'boolean', lastContactAt: 'string', lastChangeAt: 'string', error: null },
        ],
        history: [{ outcome: 'string', code: null, count: 'number', at: 'string', message: 'string' }],
      },
    },
  });
  const whole = JSON.parse((await ask(port, '/status', { headers: BEARER })).body).targets.default;
  expect(whole.history[0].output).toBe('printed by the hook');
  expect(Object.keys(whole)).toEqual(expect.arrayContaining(['trial', 'generations', 'blocked']));
});

it('what commands and hooks printed is shown with the token only', async () => {
  const port = await serve(recording({ token: () => TOKEN }).served);
  for (const path of ['/', '/status']) {
    for (const headers of [{}, { Authorization: 'Bearer wrong' }, BEARER]) {
      const { body } = await ask(port, path, { headers });
      expect(body).toContain('The configuration of the source is on the volume.');
      expect(body.includes('printed by the hook')).toBe(headers === BEARER);
    }
  }
});

it('a POST without CONTROL_TOKEN being set is forbidden, and the answer says where else to ask', async () => {
  const { served, asked } = recording();
  const port = await serve(served);
  for (const path of ['/sync', '/rollback', '/resume']) {
    const got = await post(port, path, BEARER);
    expect(got.status).toBe(403);
    expect(JSON.parse(got.body).code).toBe('control.no-token');
  }
  expect(JSON.parse((await post(port, '/rollback')).body).message).toBe(
    'Cannot roll back over HTTP: CONTROL_TOKEN is not set; the Unix socket in STATE_DIR answers without one ("config-sidecar rollback").',
  );
  expect(asked).toEqual([]);
});

it('a POST needs the token: without one, with a wrong and with a very long one it is refused', async () => {
  const { served, asked } = recording({ token: () => TOKEN });
  const port = await serve(served);
  const wrong = [
    '',
    TOKEN,
    `Basic ${TOKEN}`,
    'Bearer',
    'Bearer ',
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(0, -1)}`,
    `Bearer x${TOKEN}`,
    `Bearer ${'x'.repeat(15_000)}`,
    `Bearer ${TOKEN}, Bearer ${TOKEN}`,
  ];
  for (const Authorization of wrong) {
    const got = await post(port, '/sync', { Authorization });
    expect([Authorization, got.status]).toEqual([Authorization, 401]);
    expect(got.headers['www-authenticate']).toBe('Bearer realm="config-sidecar"');
    expect(JSON.parse(got.body)).toEqual({
      code: 'control.token',
      message: 'Cannot sync over HTTP: the request needs "Authorization: Bearer" with the CONTROL_TOKEN.',
    });
  }
  expect((await post(port, `/sync?token=${TOKEN}`)).status).toBe(401);
  expect((await post(port, '/sync', { Authorization: `Bearer ${'x'.repeat(1_000_000)}` })).status).toBe(431);
  expect(asked).toEqual([]);
  expect((await post(port, '/sync', BEARER)).status).toBe(200);
  expect((await post(port, '/sync', { Authorization: `bearer  ${TOKEN}` })).status).toBe(200);
  expect(asked).toEqual(['sync', 'sync']);
});

it('a page in a browser can steer nothing', async () => {
  const { served, asked } = recording({ token: () => TOKEN });
  const port = await serve(served);
  const Origin = 'http://elsewhere.example';
  expect((await post(port, '/sync', { Origin })).status).toBe(401);
  const preflight = await ask(port, '/sync', { method: 'OPTIONS', headers: { Origin } });
  expect(preflight.status).toBe(405);
  expect(Object.keys(preflight.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  expect(asked).toEqual([]);
});

it('the token is read again from its file at every request', async () => {
  const folder = scratch({ token: 'first\n' });
  const loaded = await load({ CONTROL_TOKEN_FILE: join(folder, 'token') });
  const { served, asked } = recording({ token: () => currentOf(loaded, 'CONTROL_TOKEN') });
  const port = await serve(served);
  expect((await post(port, '/resume', { Authorization: 'Bearer first' })).status).toBe(200);
  writeFileSync(join(folder, 'token'), 'second\n');
  expect((await post(port, '/resume', { Authorization: 'Bearer first' })).status).toBe(401);
  expect((await post(port, '/resume', { Authorization: 'Bearer second' })).status).toBe(200);
  writeFileSync(join(folder, 'token'), '');
  const got = await post(port, '/resume', { Authorization: 'Bearer second' });
  expect(got.status).toBe(403);
  expect(JSON.parse(got.body)).toEqual({
    code: 'control.token-unreadable',
    message:
      'Cannot resume over HTTP: the file with CONTROL_TOKEN cannot be used at the moment; the Unix socket in STATE_DIR answers without one ("config-sidecar resume").',
  });
  expect(asked).toHaveLength(2);
});

it('a wrong method is answered with the right one', async () => {
  const { served, asked } = recording({ token: () => TOKEN });
  const port = await serve(served);
  for (const path of ['/sync', '/rollback', '/resume']) {
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
      const got = await ask(port, path, { method, headers: BEARER });
      expect([path, method, got.status, got.headers.allow]).toEqual([path, method, 405, 'POST']);
    }
  }
  for (const path of ['/', '/healthz', '/readyz', '/status', '/metrics']) {
    const got = await post(port, path, BEARER);
    expect([path, got.status, got.headers.allow]).toEqual([path, 405, 'GET, HEAD']);
  }
  expect(asked).toEqual([]);
});

it('the requests are carried out, and their answers say what was taken', async () => {
  const { served, asked } = recording({ token: () => TOKEN });
  const port = await serve(served);
  const before = new Date().toISOString();
  const sync = JSON.parse((await post(port, '/sync?retry=true', BEARER)).body);
  expect(sync).toEqual({ target: 'default', at: expect.any(String) });
  expect(sync.at >= before).toBe(true);
  expect(JSON.parse((await post(port, '/rollback?target=default&generation=2', BEARER)).body)).toEqual({
    target: 'default',
    at: expect.any(String),
    generation: 2,
    revision: 'r2',
    rendering: 'sha256:f2',
    confirmedAt: '2026-01-31T12:00:00.000Z',
  });
  await post(port, '/rollback', BEARER);
  expect(JSON.parse((await post(port, '/resume', BEARER)).body)).toMatchObject({ wasPinned: true });
  expect(asked).toEqual(['sync, retry', 'rollback 2', 'rollback to the one before', 'resume']);
});

it.each([
  ['/sync?retry=yes', 400, 'control.parameter', 'Cannot sync: "retry" is true or false, not "yes".'],
  [
    '/sync?rety=true',
    400,
    'control.parameter',
    'Cannot sync: there is no parameter "rety"; there is target, retry.',
  ],
  ['/sync?retry=true&retry=true', 400, 'control.parameter', 'Cannot sync: "retry" is given twice.'],
  [
    '/sync?target=web',
    404,
    'control.unknown-target',
    'Cannot sync target "web": there is no such target; there is default.',
  ],
  [
    `/resume?target=${'x'.repeat(5_000)}`,
    404,
    'control.unknown-target',
    `Cannot resume target "${'x'.repeat(60)}…": there is no such target; there is default.`,
  ],
  ...['0', '-1', '1e3', '01', '', '99999999999999999999', '1%00', '%22%3Cb%3E'].map(
    (number) =>
      [
        `/rollback?generation=${number}`,
        400,
        'control.parameter',
        `Cannot roll back: ${JSON.stringify(decodeURIComponent(number))} is not a generation number; "config-sidecar history" shows their numbers.`,
      ] as const,
  ),
  [
    '/rollback?generation=7',
    404,
    'control.unknown-generation',
    'Cannot roll back to generation "7": it is not kept; there are 2, 1.',
  ],
] as const)('POST %.60s is refused', async (path, status, code, message) => {
  const { served } = recording({ token: () => TOKEN });
  const port = await serve(served);
  const got = await post(port, path, BEARER);
  expect([got.status, JSON.parse(got.body)]).toEqual([status, { code, message }]);
});

it('a sidecar with several targets asks for which, and syncs all; one that is starting asks for patience', async () => {
  const { served, asked } = recording();
  const [controls] = [...served.controls().values()];
  if (controls === undefined) throw new Error('no controls');
  const two = await serve({
    ...served,
    token: () => TOKEN,
    controls: () =>
      new Map([
        ['a', controls],
        ['b', controls],
      ]),
  });
  const got = await post(two, '/resume', BEARER);
  expect([got.status, JSON.parse(got.body).message]).toEqual([
    400,
    'Cannot resume without a target: there are a, b. Name one: --target a, or target=a in the URL.',
  ]);
  const all = await post(two, '/sync', BEARER);
  expect([all.status, JSON.parse(all.body), asked]).toEqual([
    200,
    expect.objectContaining({ target: 'a b' }),
    ['sync', 'sync'],
  ]);
  expect(JSON.parse((await post(two, '/sync?target=b', BEARER)).body)).toMatchObject({ target: 'b' });
  const none = await serve({ ...served, token: () => TOKEN, controls: () => new Map() });
  const early = await post(none, '/resume', BEARER);
  expect([early.status, JSON.parse(early.body)]).toEqual([
    409,
    { code: 'control.starting', message: 'Cannot resume: the sidecar is starting. Try again in a moment.' },
  ]);
});

it('what the target refuses, and what the disk refuses, have statuses of their own', async () => {
  const { served } = recording();
  const failing = (code: string, stage: 'control' | 'ledger'): Served => {
    const fail = (): never => {
      throw new SidecarError('Cannot do it.', { code, stage });
    };
    const controls = { sync: fail, rollback: fail, resume: fail };
    return { ...served, token: () => TOKEN, controls: () => new Map([['default', controls]]) };
  };
  const nothing = await serve(failing('control.nothing-to-go-back-to', 'control'));
  expect((await post(nothing, '/rollback', BEARER)).status).toBe(409);
  const full = await serve(failing('ledger.write', 'ledger'));
  expect((await post(full, '/rollback', BEARER)).status).toBe(503);
});

it('paths are taken as they are', async () => {
  const { served, asked } = recording({ token: () => TOKEN });
  const port = await serve(served);
  const paths = [
    '/../status',
    '/x/../sync',
    '//sync',
    '/%2e%2e/sync',
    '/sync/',
    '/SYNC',
    '/status/..',
    '*',
    '/%00',
  ];
  for (const path of paths) {
    const answer = await exchange(
      port,
      `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\nConnection: close\r\n\r\n`,
    );
    expect([path, answer.split('\r\n')[0]]).toEqual([path, 'HTTP/1.1 404 Not Found']);
  }
  expect(asked).toEqual([]);
});

it('a megabyte of query is refused before it is read', async () => {
  const port = await serve(recording().served);
  const answer = await exchange(port, `GET /status?${'x'.repeat(1_000_000)} HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect(answer.split('\r\n')[0]).toBe('HTTP/1.1 431 Request Header Fields Too Large');
  expect((await ask(port, '/healthz')).status).toBe(200);
});

it('a body of ten gigabytes is not read: the answer comes at once and the connection ends', async () => {
  const port = await serve(recording().served);
  const chunk = Buffer.alloc(1024 * 1024);
  let sent = 0;
  const answer = await exchange(
    port,
    'POST /sync HTTP/1.1\r\nHost: x\r\nContent-Length: 10737418240\r\n\r\n',
    (socket) => {
      const send = (): void => {
        while (!socket.destroyed) {
          sent += chunk.length;
          if (!socket.write(chunk)) return;
        }
      };
      socket.on('drain', send);
      send();
    },
  );
  // The end of a connection with unread bytes may overtake the answer.
  expect(answer === '' || answer.startsWith('HTTP/1.1 403 Forbidden\r\n')).toBe(true);
  expect(sent).toBeLessThan(200 * 1024 * 1024);
  const waiting = await exchange(
    port,
    'POST /sync HTTP/1.1\r\nHost: x\r\nContent-Length: 10737418240\r\nExpect: 100-continue\r\n\r\n',
  );
  expect(waiting).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n(?:.*\r\n)*Connection: close\r\n/);
  expect(waiting).not.toContain('100 Continue');
});

it('a body that never comes holds up nothing, and a chunked one neither', async () => {
  const port = await serve(recording().served);
  for (const header of ['Content-Length: 1000', 'Transfer-Encoding: chunked']) {
    const answer = await exchange(port, `POST /sync HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n`);
    expect(answer.split('\r\n')[0]).toBe('HTTP/1.1 403 Forbidden');
  }
});

it('a client that sends its request slowly is sent away, while others are served', {
  timeout: 60_000,
}, async () => {
  const port = await serve(recording().served);
  const sockets: Socket[] = [];
  const startedAt = Date.now();
  const slow = exchange(port, 'GET /healthz HTTP/1.1\r\n', (socket) => {
    sockets.push(socket);
    const drip = setInterval(() => socket.write('X-More: 1\r\n'), 200);
    socket.on('close', () => clearInterval(drip));
  });
  expect((await ask(port, '/healthz')).status).toBe(200);
  expect((await slow).split('\r\n')[0]).toBe('HTTP/1.1 408 Request Timeout');
  expect(Date.now() - startedAt).toBeLessThan(40_000);
});

it('a connection is for one request: what is sent after it gets no answer, and does not cost the first one its own', async () => {
  const port = await serve(recording().served);
  const one = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
  const answer = await exchange(port, one.repeat(3_000));
  expect(answer.match(/^HTTP\/1\.1 200 OK\r$/gm)).toHaveLength(1);
  expect(answer).toMatch(/\r\nConnection: close\r\n(?:.*\r\n)*\r\nok\n$/);
});

it('a request may come in pieces, end its lines without CR, and be followed by the end of the input', async () => {
  const port = await serve(recording().served);
  const bytes = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
  const pieces = await exchange(port, '', (socket) => {
    for (const byte of bytes) socket.write(byte);
  });
  const ended = await exchange(port, bytes, (socket) => socket.end());
  for (const answer of [pieces, ended]) expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n.*ok\n$/s);
});

it('a client that says nothing is sent away within seconds, one that is too slow gets an answer that says so', async () => {
  const port = await serve(recording().served);
  const startedAt = Date.now();
  expect(await exchange(port, '')).toBe('');
  expect(Date.now() - startedAt).toBeLessThan(10_000);
  expect((await exchange(port, '\u0016\u0003\u0001 a TLS client')).split('\r\n')[0]).toBe(
    'HTTP/1.1 400 Bad Request',
  );
});

it('status, metrics and page are made a few times a second, and each answer is newer than its request', async () => {
  let made = 0;
  const { served } = recording({
    metrics: async () => {
      made += 1;
      return `made ${made}\n`;
    },
  });
  const port = await serve(served);
  const startedAt = Date.now();
  const before = new Map<number, number>();
  const answers = await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      before.set(i, made);
      return [i, Number((await ask(port, '/metrics')).body.split(' ')[1])] as const;
    }),
  );
  for (const [i, number] of answers) expect(number).toBeGreaterThan(before.get(i) ?? Number.NaN);
  const seconds = (Date.now() - startedAt) / 1000;
  expect(made).toBeLessThanOrEqual(4 + Math.ceil(seconds * 4));
  expect(made).toBeGreaterThan(1);
});

it('a broken request is answered 400', async () => {
  const port = await serve(recording().served);
  expect((await exchange(port, 'NONSENSE\r\n\r\n')).split('\r\n')[0]).toBe('HTTP/1.1 400 Bad Request');
});

it('an address that is taken is an error that says what to do', async () => {
  const { served } = recording();
  const port = await serve(served);
  await expect(listenAt({ host: '127.0.0.1', port }, served)).rejects.toThrow(
    `Cannot listen on "127.0.0.1:${port}": another program listens there. Set LISTEN to a free address, or to off.`,
  );
});
