// Squid.
import type { Preset } from './preset.ts';

export const squid: Preset = {
  application: 'Squid',
  verified: null,
  process: 'squid',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'squid.conf',
  checker: { programs: ['squid'], arguments: '-k parse -f {main}' },
  confirm: {},
  onBadFile: 'exits',
  remarks: [],
};
