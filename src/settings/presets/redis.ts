// Redis, which reads its configuration at its start only.
import type { Preset } from './preset.ts';

export const redis: Preset = {
  application: 'Redis',
  verified: '7.0.15 (Debian 12)',
  process: 'redis-server',
  hook: null,
  main: 'redis.conf',
  checker: null,
  confirm: {},
  onBadFile: 'is not told',
  remarks: [
    'It reads its configuration at its start only, ignores `SIGHUP`, and dies of `SIGUSR1`.',
    'Without `save` or `appendonly` a restart empties it.',
  ],
};
