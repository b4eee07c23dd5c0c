// PostgreSQL.
import type { Preset } from './preset.ts';

export const postgresql: Preset = {
  application: 'PostgreSQL',
  verified: null,
  process: 'postgres',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'postgresql.conf',
  checker: null,
  confirm: {},
  onBadFile: 'takes a part',
  remarks: [],
};
