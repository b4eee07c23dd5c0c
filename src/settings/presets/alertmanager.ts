// Alertmanager, whose metrics say when it last took its configuration.
import type { Preset } from './preset.ts';

export const alertmanager: Preset = {
  application: 'Alertmanager',
  verified: '0.25.0 (Debian 12)',
  process: '/^\\S*alertmanager(?: |$)/',
  hook: { RELOAD_URL: 'http://127.0.0.1:9093/-/reload' },
  main: 'alertmanager.yml',
  checker: { programs: ['amtool'], arguments: 'check-config {main}' },
  confirm: {
    CONFIRM_URL: 'http://127.0.0.1:9093/metrics',
    CONFIRM_MATCH: '^alertmanager_config_last_reload_success_timestamp_seconds (?<time>\\S+)',
  },
  onBadFile: 'keeps the old one',
  remarks: ['With a `--web.route-prefix` set `RELOAD_URL` and `CONFIRM_URL`.'],
};
