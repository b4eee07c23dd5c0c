// gunicorn, which exits when it cannot load a file, or its new workers cannot start.
import type { Preset } from './preset.ts';

export const gunicorn: Preset = {
  application: 'gunicorn',
  verified: '20.1.0 (Debian 12)',
  // Run by its first line, by `python -m gunicorn` or, with `setproctitle`, under a name of its own.
  process:
    '/^(?:(?:\\S*\\/)?(?:python|pypy)[\\d.]* (?:-\\S+ )*)?(?:\\S*\\/)?gunicorn3?(?:: master\\b| (?!worker\\b)|$)/',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'gunicorn.conf.py',
  checker: { programs: ['gunicorn'], arguments: '--check-config -c {main}' },
  confirm: { CONFIRM_WORKERS: 'true' },
  onBadFile: 'exits',
  remarks: [
    'It has to run with `-c FILE`; what its command line and `GUNICORN_CMD_ARGS` say beats the file.',
    'The check imports the application, so it needs its code (`chdir`) and Python where the sidecar runs; elsewhere set `VALIDATE_COMMAND="python3 -m py_compile {path}"`.',
    'A worker that fails later than `CONFIRM_PERIOD` is not seen: set that longer where the application takes long to be imported.',
    'With `preload_app` the code of the application is not loaded anew.',
  ],
};
