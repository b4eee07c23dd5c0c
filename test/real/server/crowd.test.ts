// The built program's endpoints while many clients misbehave at once: it stays small, answers its probes and ends in time.
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it, onTestFinished, type TestContext } from 'vitest';
import { createPlace } from '../../support/e2e/place.ts';
import { httpGet, type Sidecar } from '../../support/e2e/sidecar.ts';

/** The memory limit of the examples. */
const LIMIT_MIB = 128;
/** What half of the probes may take, besides ten times what they take in peace: the attackers share the machine's cores. */
const HALF_MS = 100;
const CALM_MS = 500;
const ATTACK_MS = 3_000;

async function startIn(context: TestContext): Promise<Sidecar> {
  const place = createPlace(context);
  const sidecar = await place.start({
    SOURCE: place.write('app.json', '{"a": 1}'),
    OUTPUT: place.at('out.json'),
  });
  await sidecar.outcome('applied');
  return sidecar;
}

/** The most memory the process has had, in MiB. */
function peakMiB({ pid }: Sidecar): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** Asks /healthz until the time is over; how long each answer took, in milliseconds, shortest first. */
async function probe({ port }: Sidecar, ms: number): Promise<readonly number[]> {
  const took: number[] = [];
  for (const until = Date.now() + ms; Date.now() < until; await pause(20)) {
    const startedAt = performance.now();
    expect((await httpGet(port, '/healthz')).status).toBe(200);
    took.push(performance.now() - startedAt);
  }
  return took.sort((a, b) => a - b);
}

/** Opens connections, each again as soon as it is closed, until the test ends. */
function crowd({ port }: Sidecar, count: number, onOpen: (socket: Socket) => void): void {
  let isOver = false;
  const sockets = new Set<Socket>();
  const open = (): void => {
    const socket = connect(port, '127.0.0.1', () => onOpen(socket));
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      // The attackers are in the process that measures: without a pause it would measure itself.
      if (!isOver) setTimeout(open, 10);
    });
  };
  for (let i = 0; i < count; i += 1) open();
  onTestFinished(() => {
    isOver = true;
    for (const socket of sockets) socket.destroy();
  });
}

/** What the main thread of a process has run, and has waited for a processor meanwhile, in nanoseconds. */
function processorOf(pid: number): { readonly ran: number; readonly waited: number } {
  const [ran = 0, waited = 0] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ').map(Number);
  return { ran, waited };
}

/** Starts a measurement; what it gives back says how many times longer the work took than on a free machine. */
function slowdownOf(pid: number): () => number {
  const before = processorOf(pid);
  return () => {
    const after = processorOf(pid);
    return 1 + (after.waited - before.waited) / Math.max(1, after.ran - before.ran);
  };
}

function middle(sorted: readonly number[]): number {
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** Every probe is answered, half of them quickly; it stays small and ends in time. */
async function expectUnharmed(sidecar: Sidecar, attack: () => void): Promise<void> {
  const calm = middle(await probe(sidecar, CALM_MS));
  // An answer takes its time in this process and in that one; other tests want the processors as well.
  const slowdowns = [process.pid, sidecar.pid].map(slowdownOf);
  attack();
  const half = middle(await probe(sidecar, ATTACK_MS));
  const slower = slowdowns.reduce((product, slowdown) => product * slowdown(), 1);
  expect(half).toBeLessThan((HALF_MS + 10 * calm) * slower);
  expect(peakMiB(sidecar)).toBeLessThan(LIMIT_MIB);
  const { code, ms } = await sidecar.end();
  expect(code).toBe(0);
  expect(ms).toBeLessThan(5_000);
}

it.for([
  [1, '/metrics'],
  [8, '/metrics'],
  [8, '/status'],
  [256, '/'],
  [256, '/metrics'],
  [256, '/healthz'],
] as const)(
  '%i connections that send thousands of requests for %s and read no answer do no harm',
  async ([count, path], context) => {
    const sidecar = await startIn(context);
    const requests = `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(count === 256 ? 2_000 : 40_000);
    await expectUnharmed(sidecar, () => {
      crowd(sidecar, count, (socket) => {
        socket.pause();
        socket.write(requests);
      });
    });
  },
);

it('300 connections that say nothing, opened again when closed, leave room for every probe', async (context) => {
  const sidecar = await startIn(context);
  await expectUnharmed(sidecar, () => crowd(sidecar, 300, (socket) => socket.resume()));
});

it('300 connections that begin a request and never end it leave room for every probe', async (context) => {
  const sidecar = await startIn(context);
  await expectUnharmed(sidecar, () => {
    crowd(sidecar, 300, (socket) => socket.resume().write('GET /metrics HTTP/1.1\r\nX-More: '));
  });
});
