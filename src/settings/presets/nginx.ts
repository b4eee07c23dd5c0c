// nginx, whose master process starts workers of the new configuration and lives on when it cannot.
import type { Preset } from './preset.ts';

export const nginx: Preset = {
  application: 'nginx',
  verified: '1.22.1 (Debian 12)',
  process: 'nginx',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'nginx.conf',
  checker: { programs: ['nginx'], arguments: '-t -q -e stderr -c {main}' },
  confirm: { CONFIRM_WORKERS: 'true' },
  onBadFile: 'keeps the old one',
  remarks: [
    'The check opens the PID file, the logs, the temporary folders and the certificates that the file names, and looks up its upstreams, all where the sidecar runs: as in `nginx-unprivileged`, name paths below `/tmp`.',
    'A relative `include` is looked for beside the staged copy: write the whole path, or publish the folder.',
    '`conf.d/*.conf` is a part that cannot be checked alone: publish a whole `nginx.conf`.',
  ],
};
