// @module-tag root
// The preset of HAProxy, shown with the real one in master-worker mode.
import { createServer } from 'node:net';
import { httpGet } from '../support/e2e/sidecar.ts';
import { testClaims } from '../support/presets/claims.ts';
import { freePorts } from '../support/servers/ports.ts';

const [port = 0, taken = 0] = await freePorts(2);

const config = (version: string, more = ''): string => `defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend web
  bind 127.0.0.1:${port}
  ${more}
  http-request return status 200 content-type text/plain string ${version}
`;

testClaims({
  preset: 'haproxy',
  output: 'haproxy.cfg',
  prepare: () => void createServer().listen(taken, '127.0.0.1').unref(),
  good: (version) => config(version),
  badSyntax: () => config('never', 'bindd 127.0.0.1:1'),
  badSemantics: () => config('never', `bind 127.0.0.1:${taken}`),
  command: ({ programs, output }) => [programs.path('haproxy'), '-W', '-db', '-f', output],
  served: async () => (await httpGet(port, '/')).body,
  signal: 'SIGUSR2',
});
