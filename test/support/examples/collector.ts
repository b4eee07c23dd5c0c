// A collector of log lines over TCP, and a client whose every request leaves a line with a number of its own.
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { httpGet } from '../e2e/sidecar.ts';
import { portOf } from '../servers/ports.ts';

export interface Collector {
  readonly port: number;
  readonly lines: () => readonly string[];
}

export async function startCollector(): Promise<Collector> {
  const connections: { text: string }[] = [];
  const server = createServer((socket) => {
    const connection = { text: '' };
    connections.push(connection);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      connection.text += chunk.toString();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  // What follows the last line end is a line that is still on its way.
  const lines = () => connections.flatMap(({ text }) => text.split('\n').slice(0, -1));
  return { port: portOf(server), lines };
}

export interface Traffic {
  /** Ends it and gives how many requests were answered. */
  readonly stop: () => Promise<number>;
}

/** Asks for `/item/0`, `/item/1`, … one after the other, and for `/healthz` between them. */
export function startTraffic(port: number): Traffic {
  let count = 0;
  let stopped = false;
  const loop = async (): Promise<void> => {
    while (!stopped) {
      const answers = [await httpGet(port, `/item/${count}`), await httpGet(port, '/healthz')];
      if (answers.some(({ status }) => status !== 200)) throw new Error('nginx does not answer');
      count += 1;
      await sleep(5);
    }
  };
  const running = loop();
  const stop = async (): Promise<number> => {
    stopped = true;
    await running;
    return count;
  };
  return { stop };
}

/** The numbers of the items in these lines. */
export function itemsIn(lines: readonly string[]): readonly number[] {
  return lines.flatMap((line) => /GET \/item\/(\d+) /.exec(line)?.[1] ?? []).map(Number);
}
