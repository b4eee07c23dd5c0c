// rsyslog, which reads its configuration at its start only.
import type { Preset } from './preset.ts';

export const rsyslog: Preset = {
  application: 'rsyslog',
  verified: '8.2302.0 (Debian 12)',
  process: 'rsyslogd',
  hook: null,
  main: 'rsyslog.conf',
  checker: { programs: ['rsyslogd'], arguments: '-N1 -f {main}' },
  confirm: {},
  onBadFile: 'is not told',
  remarks: [
    'It reads its configuration at its start only; `SIGHUP` makes it open its output files again.',
    'It starts with what it understands of a broken file, and nobody sees that, unless `global(abortOnUncleanConfig="on")` stands in it.',
    'The check wants every module that the file loads where the sidecar runs.',
  ],
};
