// The two ends of examples/dnsmasq-systemd: the inventory that is followed, and dnsmasq, asked by DNS.
import { Resolver } from 'node:dns/promises';
import { createServer } from 'node:http';
import { onTestFinished } from 'vitest';
import { until } from '../e2e/until.ts';
import { portOf } from '../servers/ports.ts';

/** Names with their addresses. */
export type Hosts = ReadonlyArray<readonly [name: string, address: string]>;

/** An HTTP API with the list of hosts. */
export async function startInventory() {
  let hosts: Hosts = [];
  const server = createServer((_request, response) => {
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ hosts: hosts.map(([name, address]) => ({ name, address })) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const set = (wanted: Hosts): void => {
    hosts = wanted;
  };
  return { port: portOf(server), set };
}

export interface Client {
  /** Resolves when the server answers at all, and knows no such name. */
  readonly isUnknown: (name: string) => Promise<unknown>;
  /** Resolves when the name has these addresses, of both kinds. */
  readonly answers: (name: string, ...addresses: string[]) => Promise<unknown>;
}

/** Asks the server at this port of the loopback interface. */
export function clientOf(port: number): Client {
  const resolver = new Resolver({ timeout: 2_000, tries: 1 });
  resolver.setServers([`127.0.0.1:${port}`]);
  const unknown = ({ code }: { readonly code: string }): [] => {
    if (code === 'ENOTFOUND' || code === 'ENODATA' || code === 'EREFUSED') return [];
    throw new Error(`the answer is ${code}`);
  };
  const ask = async (name: string): Promise<string> =>
    [
      ...(await resolver.resolve4(name).catch(unknown)),
      ...(await resolver.resolve6(name).catch(unknown)),
    ].join();
  const answers: Client['answers'] = (name, ...wanted) =>
    until(`${name} is ${wanted.join(' and ')}`, async () => {
      const found = await ask(name);
      if (found !== wanted.join()) throw new Error(`it is ${found}`);
      return true;
    });
  return { answers, isUnknown: (name) => answers(name) };
}
