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
  remarks: [],
};
