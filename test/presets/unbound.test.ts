// @module-tag root
// The preset of Unbound, shown with the real one.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type Scene, testClaims } from '../support/presets/claims.ts';
import { askText } from '../support/presets/dns.ts';
import { freePorts } from '../support/servers/ports.ts';

const [port = 0, taken = 0] = await freePorts(2);

const config = (version: string, { place }: Scene, more = '') => `server:
  directory: "${place.at('run')}"
  interface: 127.0.0.1
  port: ${port}
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  local-data: 'version.test. 0 IN TXT ${version}'
  ${more}
remote-control:
  control-enable: no
`;

testClaims({
  preset: 'unbound',
  output: 'unbound.conf',
  prepare: async ({ place }) => {
    place.directory('run');
    const other = createSocket('udp4').bind(taken, '127.0.0.1').unref();
    await once(other, 'listening');
  },
  good: config,
  badSyntax: (scene) => config('never', scene, 'colour: red'),
  badSemantics: (scene) => config('never', scene, `port: ${taken}`),
  command: ({ programs, output }) => [programs.path('unbound'), '-d', '-c', output],
  served: () => askText(port, 'version.test'),
  signal: 'SIGHUP',
});
