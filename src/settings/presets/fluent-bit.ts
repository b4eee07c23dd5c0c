// Fluent Bit with hot reload.
import type { Preset } from './preset.ts';

export const fluentBit: Preset = {
  application: 'Fluent Bit',
  verified: null,
  process: 'fluent-bit',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'fluent-bit.conf',
  checker: { programs: ['fluent-bit'], arguments: '--dry-run -c {main}' },
  confirm: {},
  onBadFile: 'keeps the old one',
  remarks: [
    'There is no Debian package: taken from its documentation. What became of a reload cannot be seen, as it counts reloads and gives no time.',
    'It has to run with `-Y`, or `hot_reload: on`.',
  ],
};
