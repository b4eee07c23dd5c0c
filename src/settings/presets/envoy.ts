// Envoy, which watches what its bootstrap names and cannot read the bootstrap again.
import type { Preset } from './preset.ts';

export const envoy: Preset = {
  application: 'Envoy',
  verified: null,
  process: 'envoy',
  hook: { RELOAD_SIGNAL: 'none' },
  main: 'lds.yaml',
  checker: null,
  confirm: {},
  onBadFile: 'keeps the old one',
  remarks: [
    'There is no Debian package; tried by hand with 1.40.0. The bootstrap cannot be reloaded: `OUTPUT` is a file that its `path_config_source` names, or a directory that is its `watched_directory`.',
    'Whether it took `lds.yaml` is seen with `CONFIRM_URL=http://127.0.0.1:9901/stats?filter=lds.update_time` (its `admin` port) and `CONFIRM_MATCH="^\\S+\\.update_time: (?<time>\\d+)\\d{3}$"`.',
    'Fields it does not know are passed over.',
  ],
};
