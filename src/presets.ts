// The known applications (PRESET): `ls src/presets` is the list.
import { alertmanager } from './presets/alertmanager.ts';
import { apache } from './presets/apache.ts';
import { bind } from './presets/bind.ts';
import { dnsmasq } from './presets/dnsmasq.ts';
import { envoy } from './presets/envoy.ts';
import { fluentBit } from './presets/fluent-bit.ts';
import { gunicorn } from './presets/gunicorn.ts';
import { haproxy } from './presets/haproxy.ts';
import { nginx } from './presets/nginx.ts';
import { node } from './presets/node.ts';
import { phpFpm } from './presets/php-fpm.ts';
import { postgresql } from './presets/postgresql.ts';
import type { Preset } from './presets/preset.ts';
import { prometheus } from './presets/prometheus.ts';
import { redis } from './presets/redis.ts';
import { rsyslog } from './presets/rsyslog.ts';
import { squid } from './presets/squid.ts';
import { syslogNg } from './presets/syslog-ng.ts';
import { traefik } from './presets/traefik.ts';
import { unbound } from './presets/unbound.ts';
import { vector } from './presets/vector.ts';

/** Every preset by the name it is asked for. */
export const PRESETS = {
  nginx,
  haproxy,
  apache,
  squid,
  prometheus,
  alertmanager,
  envoy,
  dnsmasq,
  unbound,
  bind,
  postgresql,
  redis,
  rsyslog,
  'syslog-ng': syslogNg,
  'fluent-bit': fluentBit,
  vector,
  traefik,
  node,
  gunicorn,
  'php-fpm': phpFpm,
} as const satisfies Readonly<Record<string, Preset>>;

export type PresetName = keyof typeof PRESETS;

export const PRESET_NAMES = Object.keys(PRESETS) as readonly PresetName[];
