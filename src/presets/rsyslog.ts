// rsyslog, which reads its configuration at its start only.
import type { Preset } from './preset.ts';

export const rsyslog: Preset = {
  application: 'rsyslog',
  verified: null,
  process: 'rsyslogd',
  hook: null,
  main: 'rsyslog.conf',
  checker: { programs: ['rsyslogd'], arguments: '-N1 -f {main}' },
  confirm: {},
  onBadFile: 'is not told',
  remarks: ['It reads its configuration at its start only; `SIGHUP` makes it open its output files again.'],
};
