// Apache httpd, which ends as a whole when it cannot load a file; a graceful restart loses no request otherwise.
import type { Preset } from './preset.ts';

export const apache: Preset = {
  application: 'Apache httpd',
  verified: '2.4.71 (Debian 12)',
  process: '/^(?:\\S*\\/)?(?:apache2|httpd)(?: |$)/',
  hook: { RELOAD_SIGNAL: 'SIGUSR1' },
  main: 'httpd.conf',
  checker: { programs: ['apache2', 'httpd'], arguments: '-t -f {main}' },
  confirm: { CONFIRM_WORKERS: 'true' },
  onBadFile: 'exits',
  remarks: [
    'The check binds no port and loads no key: a port that is taken, or a key of another certificate, ends it, and what starts it again finds the last known good file.',
    'It wants the modules, the `User` and the folders of the logs that the file names where the sidecar runs; relative paths begin at `ServerRoot`.',
    "Debian's `apache2.conf` needs the variables of its `envvars`.",
  ],
};
