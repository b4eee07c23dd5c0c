// The known applications (PRESET): `ls src/presets` is the list.
import { alertmanager } from './alertmanager.ts';
import { apache } from './apache.ts';
import { bind } from './bind.ts';
import { dnsmasq } from './dnsmasq.ts';
import { envoy } from './envoy.ts';
import { fluentBit } from './fluent-bit.ts';
import { gunicorn } from './gunicorn.ts';
import { haproxy } from './haproxy.ts';
import { nginx } from './nginx.ts';
import { node } from './node.ts';
import { phpFpm } from './php-fpm.ts';
import { postgresql } from './postgresql.ts';
import type { Preset } from './preset.ts';
import { prometheus } from './prometheus.ts';
import { redis } from './redis.ts';
import { rsyslog } from './rsyslog.ts';
import { squid } from './squid.ts';
import { syslogNg } from './syslog-ng.ts';
import { traefik } from './traefik.ts';
import { unbound } from './unbound.ts';
import { vector } from './vector.ts';

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
