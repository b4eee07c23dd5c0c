// Asks a name server on this machine what it serves.
import { Resolver } from 'node:dns/promises';

/** Throws while no server answers, or the name does not exist. */
export async function askAddress(port: number, name: string): Promise<string> {
  return (await resolverAt(port).resolve4(name))[0] ?? 'nothing';
}

/** The first text of a name. */
export async function askText(port: number, name: string): Promise<string> {
  return (await resolverAt(port).resolveTxt(name))[0]?.join('') ?? 'nothing';
}

function resolverAt(port: number): Resolver {
  const resolver = new Resolver({ timeout: 1_000, tries: 2 });
  resolver.setServers([`127.0.0.1:${port}`]);
  return resolver;
}
