// Asks a name server for the address of a name: `ask-dns.mjs SERVER NAME`; prints it, or why there is none.
import { Resolver } from 'node:dns/promises';

const [, , server, name] = process.argv;
const resolver = new Resolver({ timeout: 2_000, tries: 1 });
resolver.setServers([server]);
console.log(
  await resolver.resolve4(name).then(
    ([address]) => address,
    ({ code }) => code,
  ),
);
