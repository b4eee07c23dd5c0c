// The fault proxy does what its names say: tests that rely on a fault must not find out that there was none.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { portOf } from '../../support/servers/ports.ts';
import { type FaultProxy, startProxy } from '../../support/servers/proxy.ts';

/** A client's connection: what came, and whether it is over. */
interface Client {
  readonly socket: Socket;
  text(): string;
  isOver(): boolean;
}

describe('the fault proxy', () => {
  let server: Server;
  let proxy: FaultProxy;
  const clients: Client[] = [];
  beforeAll(async () => {
    // Says everything back; "bye" ends the connection.
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk) =>
        chunk.toString() === 'bye' ? socket.end('farewell') : socket.write(chunk),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => void server.close());
  beforeEach(async () => {
    proxy = await startProxy(portOf(server));
  });
  afterEach(async () => {
    for (const { socket } of clients.splice(0)) socket.destroy();
    await proxy.close();
  });

  function dial(): Client {
    const socket = connect(proxy.port, '127.0.0.1');
    let text = '';
    let isOver: boolean = false;
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      isOver = true;
    });
    const client = { socket, text: () => text, isOver: () => isOver };
    clients.push(client);
    return client;
  }

  async function dialed(): Promise<Client> {
    const client = dial();
    client.socket.write('hello ');
    await expect.poll(client.text).toBe('hello ');
    return client;
  }

  it('passes bytes both ways and the end of a connection, and counts', async () => {
    const client = await dialed();
    expect([proxy.connections(), proxy.open(), proxy.bytesFromServer()]).toEqual([1, 1, 6]);
    client.socket.write('bye');
    await expect.poll(client.isOver).toBe(true);
    expect(client.text()).toBe('hello farewell');
    await expect.poll(proxy.open).toBe(0);
  });

  it('refuses new connections and leaves those there are', async () => {
    const client = await dialed();
    proxy.mode = 'refuse';
    const refused = dial();
    await expect.poll(refused.isOver).toBe(true);
    client.socket.write('again');
    await expect.poll(client.text).toBe('hello again');
  });

  it('cuts every connection', async () => {
    const client = await dialed();
    proxy.cut();
    await expect.poll(client.isOver).toBe(true);
    expect(proxy.open()).toBe(0);
  });

  it('cuts after so many bytes, and not one more', async () => {
    proxy.cutAfterBytes = 10;
    const client = await dialed();
    client.socket.write('0123456789');
    await expect.poll(client.isOver).toBe(true);
    expect(client.text()).toBe('hello 0123');
  });

  it('holds bytes and gives them out in order', async () => {
    const client = await dialed();
    proxy.mode = 'hold';
    client.socket.write('1');
    const late = dial();
    late.socket.write('2');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([client.text(), late.text()]).toEqual(['hello ', '']);
    proxy.mode = 'pass';
    await expect.poll(client.text).toBe('hello 1');
    await expect.poll(late.text).toBe('2');
  });

  it('delays without changing the order', async () => {
    const client = await dialed();
    proxy.delayMs = 500;
    client.socket.write('1');
    await expect.poll(proxy.bytesFromServer).toBe(7);
    proxy.delayMs = 0;
    client.socket.write('2');
    await expect.poll(proxy.bytesFromServer).toBe(8);
    expect(client.text()).toBe('hello ');
    await expect.poll(client.text).toBe('hello 12');
  });

  it('swallows everything, says nothing, and resets what was lost at its next word', async () => {
    const client = await dialed();
    proxy.mode = 'black-hole';
    client.socket.write('1');
    const late = dial();
    late.socket.write('2');
    await new Promise((resolve) => setTimeout(resolve, 100));
    proxy.mode = 'pass';
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([client.text(), client.isOver(), late.text(), late.isOver()]).toEqual([
      'hello ',
      false,
      '',
      false,
    ]);
    client.socket.write('3');
    await expect.poll(client.isOver).toBe(true);
    expect(client.text()).toBe('hello ');
    await dialed();
  });

  it('lists the requests of HTTP', async () => {
    const client = dial();
    client.socket.write('GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n');
    await expect.poll(client.text).toContain('Host');
    client.socket.write('PUT /d HTTP/1.1\r\n\r\n');
    await expect.poll(proxy.requests).toEqual(['GET /a?b=c HTTP/1.1', 'PUT /d HTTP/1.1']);
  });

  it('gives the bytes of each connection to a filter of its own', async () => {
    const client = await dialed();
    proxy.filter = () => (chunk) => Buffer.from(chunk.toString().toUpperCase());
    const filtered = dial();
    filtered.socket.write('loud');
    await expect.poll(filtered.text).toBe('LOUD');
    client.socket.write('soft');
    await expect.poll(client.text).toBe('hello soft');
  });
});
