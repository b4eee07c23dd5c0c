// Traefik, which watches the directory of its file provider by itself.
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
    'It watches the directory of its file provider; the static configuration needs a restart. `SIGHUP` kills it.',
  ],
};
