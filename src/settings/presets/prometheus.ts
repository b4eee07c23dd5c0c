// Prometheus, whose metrics say when it last took its configuration.
import type { Preset } from './preset.ts';

export const prometheus: Preset = {
  application: 'Prometheus',
  verified: '2.42.0 (Debian 12)',
  process: 'prometheus',
  hook: { RELOAD_URL: 'http://127.0.0.1:9090/-/reload' },
  main: 'prometheus.yml',
  checker: { programs: ['promtool'], arguments: 'check config {main}' },
  confirm: {
    CONFIRM_URL: 'http://127.0.0.1:9090/metrics',
    CONFIRM_MATCH: '^prometheus_config_last_reload_success_timestamp_seconds (?<time>\\S+)',
  },
  onBadFile: 'keeps the old one',
  remarks: [
    'It has to run with `--web.enable-lifecycle`, else it answers 403; with a `--web.route-prefix` set `RELOAD_URL` and `CONFIRM_URL`.',
    'The check looks for rule files and certificates too, relative ones beside the staged copy: where the sidecar cannot see them, `VALIDATE_COMMAND="promtool check config --syntax-only {path}"`.',
    'What only the reload finds out (a `query_log_file` that cannot be opened) is taken in part, until it is taken back.',
  ],
};
