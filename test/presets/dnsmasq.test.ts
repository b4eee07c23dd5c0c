// @module-tag root
// The preset of dnsmasq, shown with the real one: a hosts file of its own, and the main file, which needs a restart.
import { describe } from 'vitest';
import { testClaims } from '../support/presets/claims.ts';
import { askAddress, askText } from '../support/presets/dns.ts';
import { testRestarts } from '../support/presets/restarts.ts';
import { freePorts } from '../support/servers/ports.ts';

const [port = 0, other = 0] = await freePorts(2);

const VERSIONS = ['one', 'two', 'three', 'never'];

const hosts = (version: string): string => `10.0.0.${VERSIONS.indexOf(version)} version.test\n`;

describe('with a hosts file', () => {
  testClaims({
    preset: 'dnsmasq',
    output: 'hosts',
    good: hosts,
    badSyntax: () => `${hosts('never')}10.0.0.400 other.test\n`,
    badSemantics: null,
    unseen: true,
    command: ({ programs, output }) => [
      programs.path('dnsmasq'),
      ...['--keep-in-foreground', '--conf-file=/dev/null', '--pid-file=', '--user=root', '--no-resolv'],
      ...['--no-hosts', `--addn-hosts=${output}`, '--listen-address=127.0.0.1', '--bind-interfaces'],
      `--port=${port}`,
    ],
    served: async () => VERSIONS[Number((await askAddress(port, 'version.test')).split('.')[3])] ?? 'nothing',
    signal: 'SIGHUP',
  });
});

describe('with RELOAD_SIGNAL=SIGTERM, for dnsmasq.conf', () => {
  const config = (version: string, more = ''): string => `port=${other}
pid-file=
user=root
no-resolv
no-hosts
listen-address=127.0.0.1
bind-interfaces
txt-record=version.test,${version}
${more}
`;

  testRestarts({
    preset: 'dnsmasq',
    output: 'dnsmasq.conf',
    settings: () => ({ VALIDATE_COMMAND: 'dnsmasq --test -C {path}' }),
    good: (version) => config(version),
    bad: () => config('never', 'colour=red'),
    reloads: true,
    checked: true,
    command: ({ programs, output }) => [programs.path('dnsmasq'), '--keep-in-foreground', '-C', output],
    served: () => askText(other, 'version.test'),
  });
});
