// gunicorn.
import type { Preset } from './preset.ts';

export const gunicorn: Preset = {
  application: 'gunicorn',
  verified: null,
  process: 'gunicorn',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'gunicorn.conf.py',
  checker: { programs: ['gunicorn'], arguments: '--check-config -c {main}' },
  confirm: { CONFIRM_WORKERS: 'true' },
  onBadFile: 'exits',
  remarks: [],
};
