// dnsmasq, which reads its hosts files again, and not dnsmasq.conf.
import type { Preset } from './preset.ts';

export const dnsmasq: Preset = {
  application: 'dnsmasq',
  verified: null,
  process: 'dnsmasq',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'hosts',
  checker: null,
  confirm: {},
  onBadFile: 'takes a part',
  remarks: [
    '`SIGHUP` makes it read `addn-hosts`, `hostsdir`, `dhcp-hostsfile` and `servers-file` again, not `dnsmasq.conf`: that one needs a restart (`RELOAD_SIGNAL=SIGTERM`).',
  ],
};
