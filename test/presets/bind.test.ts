// @module-tag root
// The preset of BIND, shown with the real one.

import { type Scene, testClaims } from '../support/presets/claims.ts';
import { askText } from '../support/presets/dns.ts';
import { freePorts } from '../support/servers/ports.ts';

const [port = 0, control = 0] = await freePorts(2);

const KEY = 'key "rndc-key" { algorithm hmac-sha256; secret "Y29uZmlnLXNpZGVjYXI="; };\n';

const config = (version: string, { place }: Scene, more = '') => `include "${place.at('rndc.key')}";
controls { inet 127.0.0.1 port ${control} allow { 127.0.0.1; } keys { "rndc-key"; }; };
options {
  directory "${place.at('run')}";
  pid-file none;
  session-keyfile none;
  listen-on port ${port} { 127.0.0.1; };
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
};
zone "test" { type primary; file "${place.at(`${version}.zone`)}"; };
${more}
`;

testClaims({
  preset: 'bind',
  output: 'named.conf',
  prepare: ({ place }) => {
    place.directory('run');
    place.write('rndc.key', KEY);
    for (const version of ['one', 'two', 'three', 'never']) {
      place.write(
        `${version}.zone`,
        `@ 0 SOA host mail 1 60 60 60 0\n@ 0 NS host\nhost 0 A 127.0.0.1\nversion 0 TXT ${version}\n`,
      );
    }
  },
  good: config,
  badSyntax: (scene) => config('never', scene, 'zone "other" { colour red; };'),
  badSemantics: (scene) => {
    const file = scene.place.at('no/such/folder/named.log');
    return config('never', scene, `logging { channel c { file "${file}"; }; category default { c; }; };`);
  },
  unseen: true,
  seeing: ({ place, programs }) => ({
    RELOAD_COMMAND: `${programs.path('rndc')} -s 127.0.0.1 -p ${control} -k ${place.at('rndc.key')} reload`,
  }),
  command: ({ programs, output }) => [programs.path('named'), '-f', '-c', output],
  served: () => askText(port, 'version.test'),
  signal: 'SIGHUP',
});
