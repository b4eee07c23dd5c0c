// Envoy, which watches what its bootstrap names and cannot read the bootstrap again.
import type { Preset } from './preset.ts';

export const envoy: Preset = {
  application: 'Envoy',
  verified: null,
  process: 'envoy',
  hook: { RELOAD_SIGNAL: 'none' },
  main: 'envoy.yaml',
  checker: null,
  confirm: {},
  onBadFile: 'keeps the old one',
  remarks: [
    'It watches the files its `path_config_source` names, and only those; a change of the bootstrap needs a restart.',
  ],
};
