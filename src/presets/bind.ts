// BIND, which waits for its signals with sigwait.
import type { Preset } from './preset.ts';

export const bind: Preset = {
  application: 'BIND',
  verified: null,
  process: 'named',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  gate: 'off',
  main: 'named.conf',
  checker: { programs: ['named-checkconf'], arguments: '-z {main}' },
  confirm: {},
  onBadFile: 'keeps the old one',
  remarks: [],
};
