// Apache httpd.
import type { Preset } from './preset.ts';

export const apache: Preset = {
  application: 'Apache httpd',
  verified: null,
  process: '/^\\S*(?:apache2|httpd)(?: |$)/',
  hook: { RELOAD_SIGNAL: 'SIGUSR1' },
  main: 'httpd.conf',
  checker: { programs: ['apache2', 'httpd'], arguments: '-t -f {main}' },
  confirm: { CONFIRM_WORKERS: 'true' },
  onBadFile: 'exits',
  remarks: [],
};
