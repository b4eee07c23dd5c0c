// Unbound.
import type { Preset } from './preset.ts';

export const unbound: Preset = {
  application: 'Unbound',
  verified: null,
  process: 'unbound',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'unbound.conf',
  checker: { programs: ['unbound-checkconf'], arguments: '{main}' },
  confirm: {},
  onBadFile: 'exits',
  remarks: [],
};
