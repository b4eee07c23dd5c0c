// HAProxy in master-worker mode (`-W`), which keeps its old worker when the new one cannot start.
import type { Preset } from './preset.ts';

export const haproxy: Preset = {
  application: 'HAProxy (-W)',
  verified: '2.6.12 (Debian 12)',
  process: 'haproxy',
  hook: { RELOAD_SIGNAL: 'SIGUSR2' },
  main: 'haproxy.cfg',
  checker: { programs: ['haproxy'], arguments: '-c -f {main}' },
  confirm: { CONFIRM_WORKERS: 'true' },
  onBadFile: 'keeps the old one',
  remarks: [
    'It has to run with `-W` (or `-Ws`), as its image does: without it there is no reload, and `SIGUSR2` is ignored.',
    'The check wants users, certificates and maps that the file names, and looks up its servers, where the sidecar runs; name them by whole paths.',
    'A port that is taken passes the check; while the new worker tries it, for two seconds, the old one refuses connections.',
  ],
};
