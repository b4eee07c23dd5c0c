// syslog-ng, which goes back by itself where it cannot load a file, and tells only those who ask over its control socket.
import type { Preset } from './preset.ts';

export const syslogNg: Preset = {
  application: 'syslog-ng',
  verified: '3.38.1 (Debian 12)',
  // Not its own supervisor (`supervising syslog-ng`), which ignores the signal.
  process: '/^\\S*syslog-ng(?: |$)/',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'syslog-ng.conf',
  checker: { programs: ['syslog-ng'], arguments: '-s -f {main}' },
  confirm: {},
  onBadFile: 'keeps the old one',
  remarks: [
    'Whether it took the file is seen with `RELOAD_COMMAND="syslog-ng-ctl reload -c SOCKET"` (the program and the control socket beside the sidecar); its signal tells nothing.',
    'The check wants every module and every file it includes where the sidecar runs.',
  ],
};
