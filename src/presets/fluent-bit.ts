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
  remarks: ['It has to run with `-Y` (`hot_reload on`).'],
};
