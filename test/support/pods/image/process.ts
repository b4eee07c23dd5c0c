// The image's process seen from outside: signals, exit codes, whom it takes for the application.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../../e2e/until.ts';
import {
  type BuiltImage,
  createVolumes,
  firstProcess,
  LOCKED_DOWN,
  MAIN,
  startContainer,
  UID,
  variables,
} from './built.ts';

const FILES = { 'app.yaml': 'greeting: Hello\n' };
/** An application that reports each notification. */
const TAKES_HUP =
  "process.on('SIGHUP', () => console.log('told')); setInterval(() => {}, 1000); console.log('up')";

/** The tests about signals, exit codes and rights. */
export function testProcess(built: () => BuiltImage): void {
  test('SIGUSR1 and SIGUSR2 change nothing, SIGHUP reads the source, SIGTERM ends it with 0 at once', async (context) => {
    const { podman, image } = built();
    const { flags } = createVolumes(context, FILES);
    const rarely = variables({ UPDATE_FREQUENCY: '5m' });
    const id = await startContainer(context, podman, ...LOCKED_DOWN, ...flags, ...rarely, image);
    const logs = async (): Promise<string> => (await podman.run('logs', id)).stdout;
    const lastContact = async (): Promise<number> => {
      const status = await podman.must('exec', id, 'node', MAIN, 'status', '--json');
      return Date.parse(JSON.parse(status).targets.default.sources[0].lastContactAt);
    };
    await until('it has published', async () => (await logs()).includes('"event":"applied"'));
    for (const signal of ['USR1', 'USR2']) await podman.must('kill', '-s', signal, id);
    const before = await lastContact();
    await podman.must('kill', '-s', 'HUP', id);
    await until('the source was read again', async () => (await lastContact()) > before);
    expect(countListeners(await firstProcess(podman, id))).toBe(1);
    expect((await podman.run('logs', id)).stderr).toBe('');

    const askedAt = Date.now();
    await podman.must('kill', '-s', 'TERM', id);
    expect((await podman.must('wait', id)).trim()).toBe('0');
    // It takes a second at most; the rest is podman's.
    expect(Date.now() - askedAt).toBeLessThan(5_000);
  });

  test('its processes have no rights at all, and nothing to write to but the volume', async (context) => {
    const { podman, image } = built();
    const { flags } = createVolumes(context, FILES);
    const id = await startContainer(context, podman, ...LOCKED_DOWN, ...flags, image);
    const first = await firstProcess(podman, id);
    const node = await until('Node.js is there', () => childrenOf(first)[0]);
    for (const pid of [first, node]) {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      for (const set of ['CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
        expect(status).toMatch(new RegExp(`^${set}:\\s0+$`, 'm'));
      }
      expect(status).toMatch(/^NoNewPrivs:\s1$/m);
      expect(status).toMatch(new RegExp(`^Uid:(\\s${UID}){4}$`, 'm'));
    }
    expect(readFileSync(`/proc/${first}/mountinfo`, 'utf8')).toMatch(/^\S+ \S+ \S+ \/\S* \/ ro,/m);
  });

  test('the exit code is that of the program', async (context) => {
    const { podman, image } = built();
    const { flags } = createVolumes(context, FILES);
    const once = async (settings: Readonly<Record<string, string>>): Promise<number> =>
      (await podman.run('run', '--rm', ...LOCKED_DOWN, ...flags, ...variables(settings), image, 'once')).code;
    const unreachable = {
      SOURCE: 'http://127.0.0.1:9/app.yaml',
      ONCE_TIMEOUT: '5s',
      OUTPUT: '/live/none.json',
    };
    const codes = [
      once(unreachable),
      once({ UPDATE_FREQUENCY: 'often' }),
      once({ VALIDATE_COMMAND: 'sh -c "exit 1"' }),
    ];
    expect(await Promise.all(codes)).toEqual([3, 2, 4]);
  });

  test('its own init is never taken for the application, nor its own Node.js', async (context) => {
    const { podman, image } = built();
    const app = await startContainer(
      context,
      podman,
      ...['--network', 'none', '--user', `${UID}:${UID}`, '--entrypoint', ''],
      ...[image, 'node', '-e', TAKES_HUP],
    );
    const logs = async (): Promise<string> => (await podman.run('logs', app)).stdout;
    await until('the application is up', async () => (await logs()) === 'up\n');
    const logOf = async (name: string): Promise<string> => {
      const { flags } = createVolumes(context, FILES);
      const words = [...LOCKED_DOWN, ...flags, '--pid', `container:${app}`, '-e', `APP_PROCESS=${name}`];
      return await podman.must('run', '--rm', ...words, image, 'once');
    };
    // One after the other: the init of another container would be found as well.
    expect(await logOf('tini')).toMatch(/is named \\"tini\\": \d+ \(tini\) is a process above this sidecar/);
    expect(await logOf('/config-sidecar/')).toContain('"event":"no-target"');
    expect(await logs()).toBe('up\n');
    expect(await logOf('node')).toContain('"event":"applied"');
    expect(await logs()).toBe('up\ntold\n');
  });
}

/** The numbers, on this machine, of a process's children. */
function childrenOf(pid: number): readonly number[] {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.flatMap((thread) => {
    const children = readFileSync(join(`/proc/${pid}/task`, thread, 'children'), 'utf8');
    return children
      .split(' ')
      .filter((child) => child !== '')
      .map(Number);
  });
}

/** Sockets that listen in the network namespace of a process: a debugger's would be one more. */
function countListeners(pid: number): number {
  const LISTENING = '0A';
  const sockets = ['tcp', 'tcp6'].flatMap((kind) =>
    readFileSync(`/proc/${pid}/net/${kind}`, 'utf8').split('\n').slice(1),
  );
  return sockets.filter((socket) => socket.trim().split(/\s+/)[3] === LISTENING).length;
}
