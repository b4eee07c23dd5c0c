// php-fpm, whose master executes itself anew, and is gone when it cannot load a file.
import type { Preset } from './preset.ts';

export const phpFpm: Preset = {
  application: 'php-fpm',
  verified: '8.2.35 (Debian 12)',
  process: '/^php-fpm: master process/',
  hook: { RELOAD_SIGNAL: 'SIGUSR2' },
  main: 'php-fpm.conf',
  checker: { programs: ['php-fpm', 'php-fpm8.2', 'php-fpm8.3', 'php-fpm8.4'], arguments: '-t -y {main}' },
  confirm: { CONFIRM_WORKERS: 'true' },
  onBadFile: 'exits',
  remarks: [
    'A reload cuts off the requests on their way, unless the file sets `process_control_timeout` (`10s`).',
    'The check opens `error_log` for writing where the sidecar runs, and binds no port.',
    'A pool file (`php-fpm.d/www.conf`) can be published and checked alone.',
  ],
};
