// syslog-ng.
import type { Preset } from './preset.ts';

export const syslogNg: Preset = {
  application: 'syslog-ng',
  verified: null,
  process: 'syslog-ng',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'syslog-ng.conf',
  checker: { programs: ['syslog-ng'], arguments: '-s -f {main}' },
  confirm: {},
  onBadFile: 'keeps the old one',
  remarks: [],
};
