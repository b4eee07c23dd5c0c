// HAProxy in master-worker mode (`-W`).
import type { Preset } from './preset.ts';

export const haproxy: Preset = {
  application: 'HAProxy (-W)',
  verified: null,
  process: 'haproxy',
  hook: { RELOAD_SIGNAL: 'SIGUSR2' },
  main: 'haproxy.cfg',
  checker: { programs: ['haproxy'], arguments: '-c -q -f {main}' },
  confirm: { CONFIRM_WORKERS: 'true' },
  onBadFile: 'keeps the old one',
  remarks: ['It has to run with `-W`: without it there is no reload, and `SIGUSR2` is not caught.'],
};
