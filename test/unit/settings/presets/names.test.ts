// The processes that presets find, by the command lines that distributions, images and launchers give them.
import { expect, test } from 'vitest';
import { fits, type Selector } from '../../../../src/application/process/selector.ts';
import { PRESETS, type PresetName } from '../../../../src/settings/presets/table.ts';
import { processMatch } from '../../../../src/settings/process.ts';

/** A command line, and the kernel's name for the process where that is not the first word's. */
type Line = readonly [words: string, comm?: string];

interface Names {
  readonly found: readonly Line[];
  readonly passedOver: readonly Line[];
}

const NAMES: Readonly<Partial<Record<PresetName, Names>>> = {
  nginx: {
    found: [
      ['nginx: master process nginx -g daemon off;', 'nginx'],
      ['nginx: master process /usr/sbin/nginx -c /etc/nginx/nginx.conf', 'nginx'],
    ],
    passedOver: [
      ['/bin/sh /docker-entrypoint.sh nginx -g daemon off;', 'docker-entrypoi'],
      ['nginx-prometheus-exporter'],
    ],
  },
  haproxy: {
    found: [
      ['haproxy -W -db -f /usr/local/etc/haproxy/haproxy.cfg'],
      ['/usr/sbin/haproxy -Ws -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid'],
      ['haproxy -sf 8 -x sockpair@3 -W -db -f /usr/local/etc/haproxy/haproxy.cfg'],
    ],
    passedOver: [['haproxy-exporter']],
  },
  apache: {
    found: [
      ['httpd -DFOREGROUND'],
      ['/usr/sbin/apache2 -k start'],
      ['/usr/sbin/httpd -DFOREGROUND'],
      ['apache2 -DFOREGROUND'],
    ],
    passedOver: [
      ['/usr/sbin/lighttpd -D -f /etc/lighttpd/lighttpd.conf'],
      ['/bin/sh /usr/sbin/apache2ctl -DFOREGROUND', 'apache2ctl'],
      ['apache2ctl -DFOREGROUND'],
      ['rotatelogs /var/log/httpd 86400'],
    ],
  },
  squid: {
    found: [['/usr/sbin/squid --foreground -sYC'], ['/usr/sbin/squid -f /etc/squid/squid.conf -NYC']],
    passedOver: [['squidclient mgr:info'], ['(logfile-daemon) /var/log/squid/access.log', 'log_file_daemon']],
  },
  'php-fpm': {
    found: [
      ['php-fpm: master process (/usr/local/etc/php-fpm.conf)', 'php-fpm'],
      ['php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)', 'php-fpm8.2'],
    ],
    passedOver: [['php-fpm: pool www', 'php-fpm'], ['php artisan queue:work']],
  },
  gunicorn: {
    found: [
      ['/usr/local/bin/python3.12 /usr/local/bin/gunicorn app:app', 'gunicorn'],
      ['/usr/bin/python3 /usr/bin/gunicorn -c gunicorn.conf.py', 'gunicorn'],
      ['python -u -m gunicorn app:app'],
      ['/venv/bin/python /venv/bin/gunicorn'],
      ['gunicorn: master [app:app]'],
      ['/usr/bin/python3 /usr/bin/gunicorn3 app:app'],
    ],
    passedOver: [
      ['gunicorn: worker [app:app]'],
      ['uv run gunicorn app:app'],
      ['python manage.py run gunicorn'],
      ['/usr/bin/python3 /usr/bin/gunicorn_exporter'],
    ],
  },
  prometheus: {
    found: [
      ['/usr/bin/prometheus --web.enable-lifecycle'],
      ['/bin/prometheus --config.file=/etc/prometheus/prometheus.yml'],
    ],
    passedOver: [['/usr/bin/prometheus-node-exporter'], ['/usr/bin/prometheus-alertmanager']],
  },
  alertmanager: {
    found: [['/usr/bin/prometheus-alertmanager'], ['/bin/alertmanager --storage.path=/alertmanager']],
    passedOver: [['vi /etc/alertmanager /srv/alertmanager']],
  },
  dnsmasq: { found: [['/usr/sbin/dnsmasq -k']], passedOver: [] },
  unbound: { found: [['/opt/unbound/sbin/unbound -d']], passedOver: [['unbound-control status']] },
  bind: { found: [['/usr/sbin/named -f -u bind']], passedOver: [['named-checkconf /etc/bind/named.conf']] },
  postgresql: {
    found: [['postgres -D /data'], ['/usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/15/main']],
    passedOver: [['psql postgres']],
  },
  redis: { found: [['redis-server *:6379']], passedOver: [['redis-cli monitor']] },
  rsyslog: { found: [['/usr/sbin/rsyslogd -n -iNONE']], passedOver: [] },
  'syslog-ng': {
    found: [['/usr/sbin/syslog-ng -F']],
    passedOver: [['supervising syslog-ng', 'syslog-ng'], ['/usr/sbin/syslog-ng-ctl reload']],
  },
  envoy: { found: [['envoy -c /etc/envoy/envoy.yaml']], passedOver: [] },
  traefik: { found: [['traefik traefik --configFile=/etc/traefik/traefik.yml']], passedOver: [] },
  'fluent-bit': {
    found: [['/fluent-bit/bin/fluent-bit -c /fluent-bit/etc/fluent-bit.conf']],
    passedOver: [],
  },
  vector: { found: [['/usr/bin/vector --config /etc/vector/vector.yaml']], passedOver: [] },
  node: {
    found: [
      ['node server.js'],
      ['/usr/local/bin/node --enable-source-maps dist/main.js', 'node-MainThread'],
      ['/usr/bin/node server.js', 'MainThread'],
    ],
    passedOver: [['npm start'], ['node_exporter']],
  },
};

for (const [name, { found, passedOver }] of Object.entries(NAMES)) {
  const preset = name as PresetName;

  test(`${preset} is found as distributions and images start it`, () => {
    expect(found.filter((line) => !isFound(preset, line))).toEqual([]);
  });

  test(`${preset} is not mistaken for what is called nearly so`, () => {
    expect(passedOver.filter((line) => isFound(preset, line))).toEqual([]);
  });
}

/** Whether the preset's `process` fits, without regard to who is whose parent. */
function isFound(preset: PresetName, [line, comm]: Line): boolean {
  const match = processMatch.parse(PRESETS[preset].process, '');
  const selector: Selector = match.kind === 'name' ? { name: match.name } : { pattern: match.pattern };
  const words = line.split(' ');
  const own = (words[0] ?? '').slice((words[0] ?? '').lastIndexOf('/') + 1);
  return fits(selector, {
    pid: 7,
    comm: () => (comm ?? own).slice(0, 15),
    arguments: () => words,
    containerName: () => null,
  });
}
