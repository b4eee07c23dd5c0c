// Traefik, which watches the file of its file provider by itself.
import type { Preset } from './preset.ts';

export const traefik: Preset = {
  application: 'Traefik',
  verified: null,
  process: 'traefik',
  hook: { RELOAD_SIGNAL: 'none' },
  main: 'dynamic.yaml',
  checker: null,
  confirm: {},
  onBadFile: 'keeps the old one',
  remarks: [
    'There is no Debian package: taken from its documentation. The static configuration cannot be reloaded.',
    'Name the file (`providers.file.filename`), not its directory, of which it would read the hidden folders too.',
    'Whether it took it is seen with `{{ sidecar.digest }}` in a header that a middleware sets, `CONFIRM_URL=http://127.0.0.1:8080/api/rawdata` (its `api`) and `CONFIRM_MATCH="{digest}"`.',
  ],
};
