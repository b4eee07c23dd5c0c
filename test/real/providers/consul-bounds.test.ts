// A Consul that sends what no agent sends: it costs neither memory nor time.
import { createServer, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { portOf } from '../../support/servers/ports.ts';
import { openConsul } from '../../support/source/open.ts';
import { failureOf, providerOptions } from '../../support/source/provider-contract.ts';

/** A server that begins an answer to each request and sends the parts again and again, as fast as they are taken. */
async function startSending(parts: string): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const send = (): void => {
      while (!socket.destroyed && socket.write(parts));
    };
    socket.on('error', () => undefined).on('drain', send);
    socket.once('data', () => {
      const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Consul-Index: 1\r\n\r\n';
      socket.write(head);
      send();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return portOf(server);
}

it.each([
  ['one byte at a time', '1\r\n \r\n'.repeat(10_000), 'the answer comes in parts of a few bytes'],
  ['without end', `10000\r\n${' '.repeat(65_536)}\r\n`, 'the answer has more than'],
])('an answer that comes %s is given up', async (_how, parts, reason) => {
  const port = await startSending(parts);
  const provider = openConsul(`consul://127.0.0.1:${port}/app/`, providerOptions({ fetchTimeoutMs: 60_000 }));
  expect((await failureOf(provider)).message).toContain(reason);
});
