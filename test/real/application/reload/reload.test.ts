// The three hooks against real processes, a real server and real commands: whom they told, and what is owed.

import { chmodSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSocketServer, type Server as SocketServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { isLiving } from '../../../../src/application/process/liveness.ts';
import { processFolder, readStatus } from '../../../../src/application/process/proc.ts';
import type {
  CommandHook,
  HttpHook,
  ReloadContext,
  ReloadResult,
  SignalHook,
} from '../../../../src/application/reload/hook.ts';
import { reload } from '../../../../src/application/reload/reload.ts';
import { signalReload } from '../../../../src/application/reload/signal.ts';
import type { ProcessId } from '../../../../src/ledger/types.ts';
import {
  createStage,
  fixture,
  makeZombie,
  processOfAnother,
  until,
  withoutRights,
} from '../../../support/application/process/apart.ts';

const HUP: SignalHook = { kind: 'signal', signal: 'SIGHUP', gateOff: false };

function contextOf(id: ProcessId | null = null): ReloadContext {
  return { process: id, output: '/vol/app.conf', revision: '7', previousRevision: '6' };
}

function never(): AbortSignal {
  return new AbortController().signal;
}

describe('the signal', () => {
  test('reaches the process, once', async (context) => {
    const stage = createStage(context);
    const id = stage.start([process.execPath, fixture('takes-hup.mjs'), stage.at('record')]);
    await until('it listens', () => stage.read('record') === 'listening\n');
    expect(await reload(HUP, contextOf(id), never())).toEqual({ kind: 'told', evidence: null, process: id });
    await until('it was notified', () => stage.read('record') === 'listening\ntold\n');
  });

  test('does not reach another process that has the number by now', async (context) => {
    const stage = createStage(context);
    const id = stage.start(['sleep', '600']);
    const other = { ...id, startTicks: id.startTicks - 1 };
    for (const gateOff of [false, true]) {
      expect(await reload({ ...HUP, gateOff }, contextOf(other), never())).toEqual({
        kind: 'gone',
        code: 'reload.gone',
        message: `Cannot send SIGHUP to the application: process ${id.pid} ended, and its number belongs to another one`,
      });
    }
    expect(isLiving(id)).toBe(true);
  });

  test.each([0, -1, 1.5, Number.NaN])('is never sent to %d', async (pid) => {
    expect(await reload({ ...HUP, gateOff: true }, contextOf({ pid, startTicks: 0 }), never())).toEqual({
      kind: 'gone',
      code: 'reload.gone',
      message: `Cannot send SIGHUP to the application: ${pid} is no process`,
    });
  });

  test('is not sent to one that is gone, a zombie, or was never found', async (context) => {
    const stage = createStage(context);
    const zombie = await makeZombie(stage, 'sleep');
    for (const id of [zombie, { pid: 2 ** 31 - 1, startTicks: 1 }]) {
      expect(await reload(HUP, contextOf(id), never())).toEqual({
        kind: 'gone',
        code: 'reload.gone',
        message: `Cannot send SIGHUP to the application: process ${id.pid} ended`,
      });
    }
    expect(await reload(HUP, contextOf(), never())).toMatchObject({
      kind: 'gone',
      message: 'Cannot send SIGHUP to the application: no process was found',
    });
  });

  test('is held back when the process has become a program without a handler, unless RELOAD_GATE is off', async (context) => {
    const stage = createStage(context);
    const id = stage.start(['sleep', '600']);
    expect(await reload(HUP, contextOf(id), never())).toEqual({
      kind: 'owed',
      class: 'unavailable',
      code: 'reload.no-handler',
      message: `Cannot send SIGHUP to process "${id.pid}": it has no handler for it any more`,
    });
    expect(isLiving(id)).toBe(true);
    expect(await reload({ ...HUP, gateOff: true }, contextOf(id), never())).toMatchObject({ kind: 'told' });
    await until('it died of it', () => !isLiving(id));
  });

  test('is held back where a thread without the block would get it, though the first one blocks it', async (context) => {
    const stage = createStage(context);
    const id = stage.start(['python3', fixture('blocks-in-one-thread.py'), stage.at('record')]);
    await until('it runs', () => stage.read('record') === 'listening\n');
    expect(readStatus(processFolder(id.pid))?.blocked).toBe(1n);
    expect(await reload(HUP, contextOf(id), never())).toMatchObject({
      kind: 'owed',
      code: 'reload.no-handler',
    });
    expect(isLiving(id)).toBe(true);
  });

  test('SIGTERM needs no handler', async (context) => {
    const id = createStage(context).start(['sleep', '600']);
    expect(await reload({ ...HUP, signal: 'SIGTERM' }, contextOf(id), never())).toMatchObject({
      kind: 'told',
    });
    await until('it ended', () => !isLiving(id));
  });

  test('to a process of another user names the user who may', async (context) => {
    const id = await processOfAnother(createStage(context));
    const hook: SignalHook = { kind: 'signal', signal: 'SIGWINCH', gateOff: true };
    expect(withoutRights(() => signalReload(hook, contextOf(id)))).toEqual({
      kind: 'not-permitted',
      code: 'reload.not-permitted',
      message: `Cannot send SIGWINCH to process "${id.pid}": not permitted; run both as the same user`,
    });
  });
});

interface Asked {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly header: string | undefined;
  readonly body: string;
}

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<{
  readonly url: string;
  readonly asked: readonly Asked[];
}> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      asked.push({ method: request.method, url: request.url, header: header(request), body });
      answer(request, response);
    });
  });
  return { url: `http://user:secret@127.0.0.1:${await listen(server)}/-/reload`, asked };
}

function header(request: IncomingMessage): string | undefined {
  return request.headers['x-token']?.toString();
}

async function listen(server: Server | SocketServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function post(url: string, how: Partial<HttpHook> = {}): Promise<ReloadResult> {
  const status = [{ first: 200, last: 299 }];
  const hook: HttpHook = {
    kind: 'http',
    url,
    method: 'POST',
    headers: [],
    status,
    timeoutMs: 20_000,
    ...how,
  };
  return reload(hook, contextOf(), never());
}

function shown(url: string): string {
  return url.replace('user:secret@', '');
}

describe('the request', () => {
  test('is sent as configured, and a 2xx counts as notified', async () => {
    const { url, asked } = await serve((_, response) => void response.writeHead(204).end());
    const headers = [['X-Token', 'abc']] as const;
    expect(await post(url, { method: 'PUT', headers, body: '{}' })).toEqual({
      kind: 'told',
      evidence: 'answered',
      process: null,
    });
    expect(asked).toEqual([{ method: 'PUT', url: '/-/reload', header: 'abc', body: '{}' }]);
  });

  test.each([
    ...[408, 409, 425, 429, 502, 503, 504].map((status) => [status, 'unavailable'] as const),
    ...[301, 302, 307, 401, 403, 404, 405].map((status) => [status, 'misconfigured'] as const),
    ...[400, 402, 410, 418, 422, 500, 501, 505].map((status) => [status, 'refused'] as const),
  ])('answered by %d is %s', async (status, kind) => {
    const { url, asked } = await serve((_, response) => {
      response.writeHead(status, { Location: '/elsewhere', 'Retry-After': '120' }).end('because');
    });
    const advice = kind === 'misconfigured' ? '; check RELOAD_URL, RELOAD_METHOD and RELOAD_HEADERS' : '';
    const sent = status < 400 ? ` (Location: "${new URL('/elsewhere', shown(url)).href}")` : '';
    const asks = kind === 'unavailable' ? ' and asks to wait 120 s' : '';
    expect(await post(url)).toEqual({
      kind: 'owed',
      class: kind,
      code: 'reload.status',
      message: `Cannot POST "${shown(url)}": it answered ${status}${sent}${asks}${advice}`,
      output: 'because',
      ...(kind === 'unavailable' && { retryAfterMs: 120_000 }),
    });
    expect(asked.length).toBe(1);
  });

  test('counts the statuses that were asked for as yes, and no others', async () => {
    const { url } = await serve((_, response) => void response.writeHead(404).end());
    expect(await post(url, { status: [{ first: 404, last: 404 }] })).toMatchObject({ kind: 'told' });
    const ok = await serve((_, response) => void response.writeHead(200).end());
    expect(await post(ok.url, { status: [{ first: 204, last: 204 }] })).toMatchObject({
      kind: 'owed',
      class: 'refused',
    });
  });

  test('keeps only the beginning of a long answer', async () => {
    const { url } = await serve((_, response) => void response.writeHead(500).end('x'.repeat(1_000_000)));
    const result = await post(url);
    expect(result.kind === 'owed' && result.output).toBe('x'.repeat(2048));
  });

  test('to a port where nothing listens is unavailable', async () => {
    const server = createSocketServer();
    const port = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    expect(await post(`http://127.0.0.1:${port}/`)).toEqual({
      kind: 'owed',
      class: 'unavailable',
      code: 'http.refused',
      message: `Cannot POST "http://127.0.0.1:${port}/": connection refused`,
    });
  });

  test('that is cut off before an answer is unavailable', async () => {
    const { url } = await serve((request) => void request.socket.destroy());
    expect(await post(url)).toEqual({
      kind: 'owed',
      class: 'unavailable',
      code: 'http.reset',
      message: `Cannot POST "${shown(url)}": the connection was closed before an answer`,
    });
  });

  test('to a server that does not speak HTTP is misconfigured', async () => {
    const port = await listen(createSocketServer((socket) => void socket.end('220 mail ready\r\n')));
    expect(await post(`http://127.0.0.1:${port}/`)).toMatchObject({
      class: 'misconfigured',
      code: 'http.protocol',
    });
  });

  test('that is not answered in time may have arrived', async () => {
    const { url, asked } = await serve(() => {});
    expect(await post(url, { timeoutMs: 300 })).toMatchObject({
      kind: 'owed',
      class: 'unknown',
      code: 'http.timeout',
      message: `Cannot POST "${shown(url)}": not finished within 300 ms (RELOAD_TIMEOUT)`,
    });
    expect(asked.length).toBe(1);
  });

  test('that is answered with a body that never ends has the answer of its status', async () => {
    const drip = (status: number) => (_: IncomingMessage, response: ServerResponse) => {
      response.writeHead(status);
      const timer = setInterval(() => response.write('.'), 50);
      response.once('close', () => clearInterval(timer));
    };
    const { url } = await serve(drip(200));
    expect(await post(url)).toEqual({ kind: 'told', evidence: 'answered', process: null });
    const { url: bad } = await serve(drip(500));
    expect(await post(bad)).toMatchObject({ class: 'refused', output: expect.stringMatching(/^\.+$/) });
  });

  test('that is sent elsewhere says where to, without its secrets', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(301, { location: '/moved/here?token=abc' }).end();
    });
    const there = new URL('/moved/here', shown(url)).href;
    expect(await post(url)).toMatchObject({
      class: 'misconfigured',
      message: `Cannot POST "${shown(url)}": it answered 301 (Location: "${there}"); check RELOAD_URL, RELOAD_METHOD and RELOAD_HEADERS`,
    });
  });

  test('that is to come again in a day is sent again after an hour, and both are said', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(503, { 'retry-after': '86400' }).end();
    });
    expect(await post(url)).toMatchObject({
      class: 'unavailable',
      retryAfterMs: 3_600_000,
      message: `Cannot POST "${shown(url)}": it answered 503 and asks to wait 86400 s (it is asked again after 3600 s)`,
    });
  });

  test('that is interrupted may have arrived', async () => {
    const stop = new AbortController();
    const { url } = await serve(() => stop.abort());
    const hook: HttpHook = { kind: 'http', url, method: 'POST', headers: [], status: [], timeoutMs: 20_000 };
    expect(await reload(hook, contextOf(), stop.signal)).toMatchObject({ kind: 'owed', class: 'unknown' });
  });
});

describe('the command', () => {
  const run = (script: string, how: Partial<CommandHook> = {}): Promise<ReloadResult> => {
    const env = { PATH: process.env['PATH'], CONFIG_OUTPUT: 'theirs' };
    const hook: CommandHook = { kind: 'command', argv: ['sh', '-c', script], timeoutMs: 20_000, env, ...how };
    return reload(hook, contextOf(), never());
  };

  test('that exits with 0 counts as notified, and gets the revision and paths', async (context) => {
    const stage = createStage(context);
    const script = `echo "$CONFIG_OUTPUT $CONFIG_REVISION $CONFIG_PREVIOUS_REVISION" > "${stage.at('seen')}"`;
    expect(await run(script)).toEqual({ kind: 'told', evidence: 'answered', process: null });
    expect(stage.read('seen')).toBe('/vol/app.conf 7 6\n');
  });

  test.each([
    ['exit 75', 'unavailable', 'it exited with 75'],
    ['exit 1', 'refused', 'it exited with 1'],
    ['exit 127', 'refused', 'it exited with 127'],
    ['kill -KILL $$', 'refused', 'it was killed by SIGKILL'],
  ])('that ends by `%s` is %s', async (end, kind, reason) => {
    expect(await run(`echo because; ${end}`)).toEqual({
      kind: 'owed',
      class: kind,
      code: 'reload.command',
      message: `Cannot reload by "sh": ${reason}`,
      output: 'because\n',
    });
  });

  test('that hangs is killed, and may have told', async () => {
    expect(await run('echo begun; sleep 600', { timeoutMs: 300 })).toEqual({
      kind: 'owed',
      class: 'unknown',
      code: 'reload.timeout',
      message: 'Cannot reload by "sh": it took longer than 0.3 s (RELOAD_TIMEOUT) and was killed',
      output: 'begun\n',
    });
  });

  test('whose script was saved on Windows, or has no interpreter, is reported as such', async (context) => {
    const stage = createStage(context);
    const script = (name: string, text: string): string => {
      writeFileSync(stage.at(name), text);
      chmodSync(stage.at(name), 0o755);
      return stage.at(name);
    };
    for (const [path, reason] of [
      [
        script('crlf', '#!/bin/sh\r\ntrue\r\n'),
        'its first line ends with CRLF, as on Windows; save the script with LF line ends',
      ],
      [script('lost', '#!/no/such/sh\n'), 'its first line names "/no/such/sh", which is not there'],
    ] as const) {
      expect(await run('', { argv: [path] })).toMatchObject({
        class: 'misconfigured',
        code: 'reload.not-found',
        message: `Cannot reload by "${path}": ${reason}; check RELOAD_COMMAND`,
      });
    }
  });

  test('that is not there is a mistake in the settings', async () => {
    expect(await run('', { argv: ['/no/such/hook', 'secret'] })).toEqual({
      kind: 'owed',
      class: 'misconfigured',
      code: 'reload.not-found',
      message: 'Cannot reload by "/no/such/hook": there is no such program; check RELOAD_COMMAND',
    });
  });
});

test('nothing is notified any more once the sidecar is stopping', async (context) => {
  const stage = createStage(context);
  const id = stage.start([process.execPath, fixture('takes-hup.mjs'), stage.at('record')]);
  await until('it listens', () => stage.read('record') === 'listening\n');
  expect(await reload(HUP, contextOf(id), AbortSignal.abort())).toEqual({
    kind: 'owed',
    class: 'unavailable',
    code: 'reload.aborted',
    message: 'Cannot notify the application: the sidecar is stopping',
  });
  expect(stage.read('record')).toBe('listening\n');
});
