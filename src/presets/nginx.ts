// nginx, whose master process starts workers of the new configuration and lives on when it cannot.
import type { Preset } from './preset.ts';

export const nginx: Preset = {
  application: 'nginx',
  verified: null,
  process: 'nginx',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'nginx.conf',
  checker: { programs: ['nginx'], arguments: '-t -q -e stderr -c {main}' },
  confirm: { CONFIRM_WORKERS: 'true' },
  onBadFile: 'keeps the old one',
  remarks: [],
};
