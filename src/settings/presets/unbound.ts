// Unbound, which loads everything anew and exits where it cannot.
import type { Preset } from './preset.ts';

export const unbound: Preset = {
  application: 'Unbound',
  verified: '1.17.1 (Debian 12)',
  process: 'unbound',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  main: 'unbound.conf',
  checker: { programs: ['unbound-checkconf'], arguments: '{main}' },
  confirm: {},
  onBadFile: 'exits',
  remarks: [
    'The check also wants what the file names, such as the user, the certificates and the `directory`, where the sidecar runs.',
    'A reload empties its cache, and does not take another `interface`: that needs a restart.',
    'It reads the file again as its `username` and inside of its `chroot`.',
  ],
};
