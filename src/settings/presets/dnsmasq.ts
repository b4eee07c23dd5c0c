// dnsmasq, which reads its hosts files again, and not dnsmasq.conf.
import type { Preset } from './preset.ts';

export const dnsmasq: Preset = {
  application: 'dnsmasq',
  verified: '2.90 (Debian 12)',
  process: 'dnsmasq',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'hosts',
  checker: null,
  confirm: {},
  onBadFile: 'takes a part',
  remarks: [
    '`SIGHUP` makes it read `addn-hosts`, `hostsdir`, `dhcp-hostsfile` and `servers-file` again, not `dnsmasq.conf`: for that one set `RELOAD_SIGNAL=SIGTERM`, so that its supervisor starts it again, and `VALIDATE_COMMAND="dnsmasq --test -C {path}"`.',
    'It leaves out lines it cannot read, and nobody sees that.',
  ],
};
