// Vector.
import type { Preset } from './preset.ts';

export const vector: Preset = {
  application: 'Vector',
  verified: null,
  process: 'vector',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'vector.yaml',
  checker: { programs: ['vector'], arguments: 'validate --no-environment {main}' },
  confirm: {},
  onBadFile: 'keeps the old one',
  remarks: [
    'There is no Debian package: taken from its documentation. What became of a reload is only in its log.',
    'It exits where it can build neither the new configuration nor the old one again, and a VRL `file` that alone has changed is not read again.',
  ],
};
