// The control socket and the commands that use it: where it is, who may use it, and what they say.
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type ControlRequest, sendControl } from '../../../src/cli/control.ts';
import { controlSocketOf } from '../../../src/ledger/socket-path.ts';
import { createLog } from '../../../src/lib/log.ts';
import { startTarget } from '../../../src/reconcile/start-target.ts';
import { askSocket } from '../../../src/server/ask-socket.ts';
import { askSidecar } from '../../../src/server/ask-status.ts';
import { type ControlSocket, startControl } from '../../../src/server/control-socket.ts';
import { listenAt, type Served } from '../../../src/server/server.ts';
import { sourceOf } from '../../../src/settings/secrets.ts';
import { ONE, recording, SOURCE, TARGET, TWO } from '../../support/cli/served.ts';
import { until } from '../../support/e2e/until.ts';
import { freePorts, portOf } from '../../support/servers/ports.ts';
import { load, scratch } from '../../support/settings/settings-loading.ts';

const PATIENCE = { timeout: 20_000 };

interface Started {
  readonly control: ControlSocket;
  readonly lines: readonly string[];
}

function start(directory: () => string | null, served: Served = recording().served): Started {
  const lines: string[] = [];
  const log = createLog({ level: 'debug', format: 'json', write: (line) => lines.push(line) });
  const control = startControl({ directory, served, log });
  onTestFinished(async () => await control.close());
  return { control, lines };
}

/** A directory with an open control socket, and the path of that. */
async function startIn(directory: string, served?: Served): Promise<Started & { readonly socket: string }> {
  const started = start(() => directory, served);
  const socket = join(directory, 'control.sock');
  await vi.waitFor(() => expect(existsSync(socket)).toBe(true), PATIENCE);
  return { ...started, socket };
}

const answers = async (socket: string): Promise<number> =>
  (await askSocket(socket, 'GET', '/healthz')).status;

/** The socket that a sidecar which was killed leaves: it is there, and no process listens. */
async function leaveDeadSocket(path: string): Promise<void> {
  const server = createServer();
  const other = `${path}.before`;
  await new Promise<void>((resolve) => server.listen(other, resolve));
  renameSync(other, path);
  await new Promise((resolve) => server.close(resolve));
}

describe('the control socket', () => {
  it('is for its own user, answers without a token, and shows what was printed', async () => {
    const { served, asked } = recording({ token: () => 'needed elsewhere' });
    const { socket } = await startIn(scratch(), served);
    const { mode } = lstatSync(socket);
    expect((mode & 0o7777).toString(8)).toBe('600');
    for (const path of ['/', '/status']) {
      const got = await askSocket(socket, 'GET', path);
      expect([path, got.status]).toEqual([path, 200]);
      expect(got.body).toContain('printed by the hook');
    }
    expect((await askSocket(socket, 'POST', '/sync')).status).toBe(200);
    expect((await askSocket(socket, 'GET', '/sync')).status).toBe(405);
    expect(asked).toEqual(['sync']);
  });

  it('works where its path is longer than the address of a socket can be', async () => {
    const directory = join(scratch(), 'a'.repeat(120), 'b'.repeat(120));
    mkdirSync(directory, { recursive: true });
    const { socket, control } = await startIn(directory);
    expect(await answers(socket)).toBe(200);
    await control.close();
    expect(readdirSync(directory)).toEqual([]);
  });

  it('takes the place of one that a crash has left', async () => {
    const directory = scratch();
    const socket = join(directory, 'control.sock');
    await leaveDeadSocket(socket);
    await expect(answers(socket)).rejects.toThrow('no sidecar answers at');
    start(() => directory);
    await vi.waitFor(async () => expect(await answers(socket)).toBe(200), PATIENCE);
    expect(readdirSync(directory)).toEqual(['control.sock']);
  });

  it('leaves alone what is no socket, says so once, and opens when that has gone', async () => {
    const directory = scratch();
    const path = join(directory, 'control.sock');
    writeFileSync(path, 'another file');
    const { control, lines } = start(() => directory);
    await vi.waitFor(() => expect(lines).toHaveLength(1), PATIENCE);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'warn',
      event: 'control socket not opened',
      code: 'control.socket',
      message: `Cannot open the control socket "${path}": a file that is not a socket already exists there. Delete it if it is not needed.`,
    });
    void control.look();
    await expect(answers(path)).rejects.toThrow();
    expect(readFileSync(path, 'utf8')).toBe('another file');
    rmSync(path);
    await vi.waitFor(async () => expect(await answers(path)).toBe(200), PATIENCE);
    expect(lines).toHaveLength(1);
  });

  it('says when the directory cannot hold one', async () => {
    const gone = join(scratch(), 'gone');
    const { lines } = start(() => gone);
    await vi.waitFor(() => expect(lines).toHaveLength(1), PATIENCE);
    expect(JSON.parse(lines[0] ?? '').message).toBe(
      `Cannot open the control socket "${join(gone, 'control.sock')}": ENOENT. Until it is open, "config-sidecar sync", "rollback" and "resume" find no sidecar.`,
    );
    mkdirSync(gone);
    await vi.waitFor(async () => expect(await answers(join(gone, 'control.sock'))).toBe(200), PATIENCE);
  });

  it('is there only while the directory is ours, and moves with it', async () => {
    const [first, second] = [scratch(), scratch()];
    let directory: string | null = null;
    const { control } = start(() => directory);
    void control.look();
    directory = first;
    void control.look();
    await vi.waitFor(async () => expect(await answers(join(first, 'control.sock'))).toBe(200), PATIENCE);
    directory = second;
    void control.look();
    await vi.waitFor(async () => expect(await answers(join(second, 'control.sock'))).toBe(200), PATIENCE);
    expect(readdirSync(first)).toEqual([]);
    directory = null;
    void control.look();
    await vi.waitFor(() => expect(readdirSync(second)).toEqual([]), PATIENCE);
  });

  it('comes back by itself when it was removed', async () => {
    const { socket } = await startIn(scratch());
    rmSync(socket);
    await vi.waitFor(async () => expect(await answers(socket)).toBe(200), PATIENCE);
  });

  it('is removed at the end, but not what has its name by then', async () => {
    const directory = scratch();
    const { control, socket } = await startIn(directory);
    await control.close();
    expect(readdirSync(directory)).toEqual([]);
    const again = await startIn(directory);
    rmSync(socket);
    writeFileSync(socket, 'another file');
    await again.control.close();
    expect(readFileSync(socket, 'utf8')).toBe('another file');
  });

  it('is removed where it was made, and not in a directory that has its name by then', async () => {
    const [parent, own] = [scratch(), 'own'];
    mkdirSync(join(parent, own));
    const { control, socket } = await startIn(join(parent, own));
    renameSync(join(parent, own), join(parent, 'moved'));
    mkdirSync(join(parent, own));
    // Even the same file: another sidecar may have put it there.
    linkSync(join(parent, 'moved/control.sock'), socket);
    await control.close();
    expect(readdirSync(join(parent, own))).toEqual(['control.sock']);
    expect(readdirSync(join(parent, 'moved'))).toEqual([]);
  });

  it('is there as soon as the lock is ours, without waiting for a next look', async () => {
    const directory = scratch();
    writeFileSync(join(directory, 'source.json'), '{}');
    vi.useFakeTimers({ toFake: ['setInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const output = join(directory, 'app.json');
    const loaded = await load({ OUTPUT: output, SOURCE: join(directory, 'source.json') });
    const log = createLog({ level: 'error', format: 'json', write: () => {} });
    let control: ControlSocket | null = null;
    const target = startTarget({
      ...{ name: 'default', loaded, env: {}, open: await sourceOf(loaded).load(), instance: 'test', log },
      onOpen: () => void control?.look(),
    });
    onTestFinished(() => target.stop());
    ({ control } = start(() => (target.state.session.isOpen ? target.stateDirectory : null)));
    const socket = controlSocketOf(loaded.settings.OUTPUT, loaded.settings.STATE_DIR);
    await until('it answers', async () => (await answers(socket)) === 200, 20_000);
  });

  it('serves many at once', async () => {
    const { socket } = await startIn(scratch());
    const all = await Promise.all(Array.from({ length: 50 }, () => answers(socket)));
    expect(new Set(all)).toEqual(new Set([200]));
  });
});

function request(socket: string, more: Partial<ControlRequest> = {}): ControlRequest {
  return {
    ...{ sockets: [socket], target: null, action: 'sync', retry: false, generation: null, waitMs: 20_000 },
    ...{ asker: { by: 'alice', reason: null }, signal: new AbortController().signal, ...more },
  };
}

const now = (): string => new Date().toISOString();

describe('a command', () => {
  it('waits for the result', async () => {
    const { served, asked, become } = recording();
    const { socket } = await startIn(scratch(), served);
    let isDone = false;
    const result = sendControl(request(socket)).finally(() => {
      isDone = true;
    });
    await vi.waitFor(() => expect(asked).toEqual(['sync']), PATIENCE);
    expect(isDone).toBe(false);
    become({ ...TARGET, sources: [{ ...SOURCE, lastContactAt: now() }] });
    expect(await result).toEqual({
      exitCode: 0,
      text: 'Read the source: revision r2, applied; the application runs it (answered alive).',
    });
  });

  it('rolls back to a generation, and reports when the application does not accept it', async () => {
    const { served, asked, become } = recording();
    const { socket } = await startIn(scratch(), served);
    const result = sendControl(request(socket, { action: 'rollback', generation: 1 }));
    await vi.waitFor(() => expect(asked).toEqual(['rollback 1']), PATIENCE);
    const outcome = { outcome: 'refused', code: 'reload.command', message: 'It said no.' } as const;
    const generations = [
      { ...TWO, onVolume: false },
      { ...ONE, onVolume: true, pinned: true },
    ];
    become({
      ...TARGET,
      ...outcome,
      pinned: true,
      generations,
      history: [{ ...outcome, count: 1, at: now() }],
    });
    expect(await result).toEqual({
      exitCode: 6,
      text: 'Rolled back to generation 1 (revision r1), but: refused: It said no.',
    });
  });

  it('does not wait when told so', async () => {
    const { served, asked } = recording();
    const { socket } = await startIn(scratch(), served);
    const texts: string[] = [];
    for (const more of [
      {},
      { retry: true },
      { action: 'rollback' },
      { action: 'rollback', generation: 2 },
      { action: 'resume' },
    ] as const) {
      const { exitCode, text } = await sendControl(request(socket, { ...more, waitMs: 0 }));
      expect(exitCode).toBe(0);
      texts.push(text);
    }
    expect(asked).toEqual(['sync', 'sync, retry', 'rollback to the one before', 'rollback 2', 'resume']);
    expect(texts).toEqual([
      'Asked to sync.',
      'Asked to sync, and to try again what was rejected or blocked.',
      'Rolls back to generation 1 (revision r1), and stays there until "config-sidecar resume".',
      'Rolls back to generation 2 (revision r2), and stays there until "config-sidecar resume".',
      'Follows the source again.',
    ]);
  });

  it('has nothing to wait for where nothing was pinned', async () => {
    const { served } = recording();
    const [controls] = [...served.controls().values()];
    if (controls === undefined) throw new Error('no controls');
    const unpinned = new Map([['default', { ...controls, resume: () => false }]]);
    const { socket } = await startIn(scratch(), { ...served, controls: () => unpinned });
    expect(await sendControl(request(socket, { action: 'resume' }))).toEqual({
      exitCode: 0,
      text: 'Nothing was pinned.',
    });
  });

  it('says what stands when its time is up', async () => {
    const { socket } = await startIn(scratch());
    expect(await sendControl(request(socket, { waitMs: 300 }))).toEqual({
      exitCode: 1,
      text: 'Asked to sync, but there was no result within 0.3 s: applied: The configuration of the source is on the volume. See "config-sidecar status".',
    });
  });

  it('passes on what the sidecar refuses', async () => {
    const { socket } = await startIn(scratch());
    expect(await sendControl(request(socket, { action: 'rollback', generation: 9 }))).toEqual({
      exitCode: 2,
      text: 'Cannot roll back to generation "9": it is not kept; there are 2, 1. [control.unknown-generation]',
    });
  });

  it('has exit code 8 when no sidecar is there, and says where it looked', async () => {
    const directory = scratch();
    const socket = join(directory, 'control.sock');
    const absent = {
      exitCode: 8,
      text: `Cannot resume: no sidecar answers at "${socket}"; check that it runs, and with the same OUTPUT and STATE_DIR. [control.nobody]`,
    };
    const resume = request(socket, { action: 'resume' });
    expect(await sendControl(resume)).toEqual(absent);
    writeFileSync(socket, 'no socket');
    expect(await sendControl(resume)).toEqual(absent);
    rmSync(socket);
    await leaveDeadSocket(socket);
    expect(await sendControl(resume)).toEqual(absent);
    rmSync(directory, { recursive: true });
    expect(await sendControl(resume)).toEqual(absent);
  });

  it('says whose the sidecar is when that is another user', async () => {
    const directory = join(scratch(), 'app.json');
    mkdirSync(directory, { mode: 0o700 });
    const { socket } = await startIn(directory);
    const owner = process.getuid?.() ?? 0;
    const { exitCode, text } = await asAnotherUser(directory, () => sendControl(request(socket)));
    expect([exitCode, text]).toEqual([
      8,
      `Cannot sync: "${socket}" is for user ${owner} only, and this is user ${owner === 0 ? ANOTHER : owner}; run the command as that user. [control.denied]`,
    ]);
  });

  it('says when the sidecar ends before there was an answer', async () => {
    const server = createServer(
      (socket) => void socket.on('data', () => socket.destroy()).on('error', () => {}),
    );
    const socket = join(scratch(), 'control.sock');
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    onTestFinished(() => void server.close());
    expect(await sendControl(request(socket))).toEqual({
      exitCode: 8,
      text: `Cannot sync: the sidecar at "${socket}" does not answer: socket hang up [control.no-answer]`,
    });
  });
});

const ANOTHER = 65_534;

/** As a user who may not look there: another one, or, without the right to be that, one who has locked himself out. */
async function asAnotherUser<T>(directory: string, act: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) {
    chmodSync(directory, 0o000);
    return await act().finally(() => chmodSync(directory, 0o700));
  }
  process.seteuid?.(ANOTHER);
  return await act().finally(() => process.seteuid?.(0));
}

describe('the status', () => {
  it('is asked of the socket first, which shows more', async () => {
    const { served } = recording();
    const server = await listenAt({ host: '127.0.0.1', port: 0 }, served);
    onTestFinished(() => server.close());
    const { socket } = await startIn(scratch(), served);
    const listen = { host: '127.0.0.1', port: portOf(server.server) };
    const [byBoth, byListen] = [
      await askSidecar({ sockets: [socket], listen, target: null }),
      await askSidecar({ sockets: [`${socket}.gone`], listen, target: null }),
    ];
    expect(JSON.stringify(byBoth)).toContain('printed by the hook');
    expect(byListen).toMatchObject({ ready: true });
    expect(JSON.stringify(byListen)).not.toContain('printed by the hook');
  });

  it('that no sidecar gives is a sentence about both places', async () => {
    const socket = join(scratch(), 'control.sock');
    const [port = 0] = await freePorts(1);
    expect(await askSidecar({ sockets: [socket], listen: 'off', target: null })).toBe(
      `Cannot get the status: no sidecar answers at "${socket}"; check that it runs, and with the same OUTPUT and STATE_DIR. Also, LISTEN is off.`,
    );
    expect(await askSidecar({ sockets: [], listen: { host: '127.0.0.1', port }, target: null })).toMatch(
      `Cannot get the status: no sidecar answers at "http://127.0.0.1:${port}/status" (`,
    );
  });
});
