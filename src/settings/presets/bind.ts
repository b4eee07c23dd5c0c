// BIND, which waits for its signals with sigwait.
import type { Preset } from './preset.ts';

export const bind: Preset = {
  application: 'BIND',
  verified: '9.18.49 (Debian 12)',
  process: 'named',
  hook: { RELOAD_SIGNAL: 'SIGHUP' },
  gate: 'off',
  main: 'named.conf',
  checker: { programs: ['named-checkconf'], arguments: '{main}' },
  confirm: {},
  onBadFile: 'keeps the old one',
  remarks: [
    'Whether it took the file is seen with `RELOAD_COMMAND="rndc -k KEYFILE reload"` (`rndc` and the key beside the sidecar, `controls` in its configuration); its signal tells nothing, nor does the `config-time` of its statistics.',
    'A zone that does not load is missing in silence; `VALIDATE_COMMAND="named-checkconf -z {path}"` finds it where the zone files are in sight.',
  ],
};
