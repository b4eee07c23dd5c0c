// php-fpm.
import type { Preset } from './preset.ts';

export const phpFpm: Preset = {
  application: 'php-fpm',
  verified: null,
  process: '/^php-fpm: master process/',
  hook: { RELOAD_SIGNAL: 'SIGUSR2' },
  main: 'php-fpm.conf',
  checker: { programs: ['php-fpm', 'php-fpm8.2'], arguments: '-t -y {main}' },
  confirm: { CONFIRM_WORKERS: 'true' },
  onBadFile: 'exits',
  remarks: [],
};
