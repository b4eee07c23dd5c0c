// @module-tag root
// The preset of a program for Node.js, shown with a small one that reads its configuration again on a signal.
import { createServer } from 'node:net';
import { httpGet } from '../support/e2e/sidecar.ts';
import { testClaims } from '../support/presets/claims.ts';
import { freePorts } from '../support/servers/ports.ts';

const [port = 0, taken = 0] = await freePorts(2);

const PROGRAM = `const { readFileSync } = require('node:fs');
const { createServer } = require('node:http');
let config;
const read = () => {
  config = JSON.parse(readFileSync(process.argv[2], 'utf8'));
  if (config.also !== undefined) createServer().listen(config.also, '127.0.0.1');
};
read();
process.on('SIGHUP', read);
createServer((_, response) => response.end(config.version)).listen(${port}, '127.0.0.1');
`;

const config = (version: string, more: { readonly also?: number } = {}): string =>
  JSON.stringify({ version, ...more });

testClaims({
  preset: 'node',
  set: null,
  output: 'config.json',
  prepare: ({ place }) => {
    place.write('server.cjs', PROGRAM);
    createServer().listen(taken, '127.0.0.1').unref();
  },
  good: (version) => config(version),
  badSyntax: () => '{ "version": ',
  badSemantics: () => config('never', { also: taken }),
  command: ({ place, output }) => [process.execPath, place.at('server.cjs'), output],
  served: async () => (await httpGet(port, '/')).body,
  signal: 'SIGHUP',
});
