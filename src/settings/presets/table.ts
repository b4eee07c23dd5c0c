// The known applications (PRESET), one record each: how each is found, reloaded, checked and confirmed.
import type { Preset } from './preset.ts';

/** Every preset by the name it is asked for. */
export const PRESETS = {
  // nginx, whose master process starts workers with the new configuration and keeps running when it cannot.
  nginx: {
    application: 'nginx',
    verified: '1.22.1 (Debian 12)',
    process: 'nginx',
    hook: { RELOAD_SIGNAL: 'SIGHUP' },
    main: 'nginx.conf',
    checker: { programs: ['nginx'], arguments: '-t -q -e stderr -c {main}' },
    confirm: { CONFIRM_WORKERS: 'true' },
    onBadFile: 'keeps the old one',
    remarks: [
      'The check opens the PID file, the logs, the temporary folders and the certificates that the file names, and looks up its upstreams, all in the container of the sidecar. Use paths below `/tmp`, as `nginx-unprivileged` does.',
      'A relative `include` is searched beside the staged copy: write the whole path, or publish the whole directory.',
      'A part such as `conf.d/*.conf` cannot be checked alone: publish a whole `nginx.conf`.',
    ],
  },
  // HAProxy in master-worker mode (`-W`), which keeps its old worker when the new one cannot start.
  haproxy: {
    application: 'HAProxy (-W)',
    verified: '2.6.12 (Debian 12)',
    process: 'haproxy',
    hook: { RELOAD_SIGNAL: 'SIGUSR2' },
    main: 'haproxy.cfg',
    checker: { programs: ['haproxy'], arguments: '-c -f {main}' },
    confirm: { CONFIRM_WORKERS: 'true' },
    onBadFile: 'keeps the old one',
    remarks: [
      'It must run with `-W` (or `-Ws`), as its image does. Without it, `SIGUSR2` is ignored and nothing reloads.',
      'The check needs the users, certificates and maps that the file names, and resolves its servers, in the container of the sidecar. Use absolute paths.',
      'The check does not notice a port that is in use. While the new worker tries to bind it, for two seconds, the old one refuses connections.',
    ],
  },
  // Apache httpd, which exits when it cannot load a file; otherwise a graceful restart loses no request.
  apache: {
    application: 'Apache httpd',
    verified: '2.4.71 (Debian 12)',
    process: '/^(?:\\S*\\/)?(?:apache2|httpd)(?: |$)/',
    hook: { RELOAD_SIGNAL: 'SIGUSR1' },
    main: 'httpd.conf',
    checker: { programs: ['apache2', 'httpd'], arguments: '-t -f {main}' },
    confirm: { CONFIRM_WORKERS: 'true' },
    onBadFile: 'exits',
    remarks: [
      'The check binds no port and loads no key. A port that is in use, or a key that does not match its certificate, makes it exit; its supervisor restarts it with the last known good file.',
      'The check needs the modules, the `User` and the log directories that the file names in the container of the sidecar. Relative paths begin at `ServerRoot`.',
      "Debian's `apache2.conf` needs the variables of its `envvars`.",
    ],
  },
  // Squid, which closes its ports while it reads its configuration, and exits when it cannot.
  squid: {
    application: 'Squid',
    verified: '5.7 (Debian 12)',
    process: 'squid',
    hook: { RELOAD_SIGNAL: 'SIGHUP' },
    main: 'squid.conf',
    checker: { programs: ['squid'], arguments: '-k parse -f {main}' },
    // Its master starts a worker that cannot go on four times more before it ends as well.
    confirm: { CONFIRM_PERIOD: '5s' },
    onBadFile: 'exits',
    remarks: [
      'The check opens no ports and none of the files that are named (error pages, MIME table). When Squid cannot run without one, it exits; its supervisor restarts it with the last known good file.',
      'It closes its ports for a moment at every reload and refuses connections meanwhile.',
      'It skips a port that it cannot open without an error. Set `CONFIRM_URL` to an address behind that port to notice it.',
    ],
  },
  // Prometheus, whose metrics say when it last took its configuration.
  prometheus: {
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
      'It must run with `--web.enable-lifecycle`, or it answers 403. With `--web.route-prefix`, set `RELOAD_URL` and `CONFIRM_URL`.',
      'The check also reads rule files and certificates; relative ones are searched beside the staged copy. If the sidecar cannot see them, set `VALIDATE_COMMAND="promtool check config --syntax-only {path}"`.',
      'An error that only the reload finds (a `query_log_file` that cannot be opened) is applied in part until the roll-back.',
    ],
  },
  // Alertmanager, whose metrics say when it last took its configuration.
  alertmanager: {
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
    remarks: ['With `--web.route-prefix`, set `RELOAD_URL` and `CONFIRM_URL`.'],
  },
  // Envoy, which watches what its bootstrap names and cannot read the bootstrap again.
  envoy: {
    application: 'Envoy',
    verified: null,
    process: 'envoy',
    hook: { RELOAD_SIGNAL: 'none' },
    main: 'lds.yaml',
    checker: null,
    confirm: {},
    onBadFile: 'keeps the old one',
    remarks: [
      'Debian has no package; tried by hand with 1.40.0. The bootstrap cannot be reloaded: `OUTPUT` is a file that its `path_config_source` names, or a directory that is its `watched_directory`.',
      'To see whether it loaded `lds.yaml`, set `CONFIRM_URL=http://127.0.0.1:9901/stats?filter=lds.update_time` (its `admin` port) and `CONFIRM_MATCH="^\\S+\\.update_time: (?<time>\\d+)\\d{3}$"`.',
      'It ignores fields that it does not know.',
    ],
  },
  // dnsmasq, which reads its hosts files again, and not dnsmasq.conf.
  dnsmasq: {
    application: 'dnsmasq',
    verified: '2.90 (Debian 12)',
    process: 'dnsmasq',
    hook: { RELOAD_SIGNAL: 'SIGHUP' },
    main: 'hosts',
    checker: null,
    confirm: {},
    onBadFile: 'applies the valid part',
    remarks: [
      '`SIGHUP` makes it read `addn-hosts`, `hostsdir`, `dhcp-hostsfile` and `servers-file` again, not `dnsmasq.conf`. For that file set `RELOAD_SIGNAL=SIGTERM`, so that its supervisor restarts it, and `VALIDATE_COMMAND="dnsmasq --test -C {path}"`.',
      'It skips lines that it cannot read, without an error.',
    ],
  },
  // Unbound, which loads everything again and exits where it cannot.
  unbound: {
    application: 'Unbound',
    verified: '1.17.1 (Debian 12)',
    process: 'unbound',
    hook: { RELOAD_SIGNAL: 'SIGHUP' },
    main: 'unbound.conf',
    checker: { programs: ['unbound-checkconf'], arguments: '{main}' },
    confirm: {},
    onBadFile: 'exits',
    remarks: [
      'The check also needs what the file names (the user, the certificates, the `directory`) in the container of the sidecar.',
      'A reload empties its cache. A changed `interface` needs a restart.',
      'It reads the file again as its `username` and inside its `chroot`.',
    ],
  },
  // BIND, which waits for its signals with sigwait.
  bind: {
    application: 'BIND',
    verified: '9.18.49 (Debian 12)',
    process: 'named',
    hook: { RELOAD_SIGNAL: 'SIGHUP' },
    gate: 'off',
    main: 'named.conf',
    checker: { programs: ['named-checkconf'], arguments: '{main}' },
    confirm: {},
    onBadFile: 'keeps the old one',
    remarks: [
      'To see whether it loaded the file, set `RELOAD_COMMAND="rndc -k KEYFILE reload"` (`rndc` and the key beside the sidecar, `controls` in its configuration). After a signal that is not visible, not even in the `config-time` of its statistics.',
      'A zone that does not load is left out without an error. `VALIDATE_COMMAND="named-checkconf -z {path}"` finds it if the sidecar sees the zone files.',
    ],
  },
  // PostgreSQL, which applies the valid part of a file and reports the rest only in its log.
  postgresql: {
    application: 'PostgreSQL',
    verified: '15.18 (Debian 12)',
    process: 'postgres',
    hook: { RELOAD_SIGNAL: 'SIGHUP' },
    main: 'postgresql.conf',
    checker: { programs: ['postgres'], arguments: '-C config_file -D / -c config_file={main}' },
    confirm: {},
    onBadFile: 'applies the valid part',
    remarks: [
      'It must run with `-c config_file=…` naming `OUTPUT`, because its user writes to the data directory.',
      'Debian installs the checker outside `PATH`, in `/usr/lib/postgresql/15/bin`.',
      'A wrong value is ignored; a value that it reads only at its start (`port`, `max_connections`) is ignored until a restart. Both are rolled back with ' +
        '`RELOAD_COMMAND="psql -c \\"DO \'BEGIN ASSERT NOT EXISTS (SELECT FROM pg_file_settings WHERE error IS NOT NULL); PERFORM pg_reload_conf(); END\'\\""`, run as a superuser.',
    ],
  },
  // Redis, which reads its configuration at its start only.
  redis: {
    application: 'Redis',
    verified: '7.0.15 (Debian 12)',
    process: 'redis-server',
    hook: null,
    main: 'redis.conf',
    checker: null,
    confirm: {},
    onBadFile: 'is not reloaded',
    remarks: [
      'It reads its configuration only at its start, ignores `SIGHUP`, and dies of `SIGUSR1`.',
      'Without `save` or `appendonly` a restart empties it.',
    ],
  },
  // rsyslog, which reads its configuration at its start only.
  rsyslog: {
    application: 'rsyslog',
    verified: '8.2302.0 (Debian 12)',
    process: 'rsyslogd',
    hook: null,
    main: 'rsyslog.conf',
    checker: { programs: ['rsyslogd'], arguments: '-N1 -f {main}' },
    confirm: {},
    onBadFile: 'is not reloaded',
    remarks: [
      'It reads its configuration only at its start; `SIGHUP` makes it reopen its output files.',
      'It starts with the valid part of a broken file, without an error, unless the file has `global(abortOnUncleanConfig="on")`.',
      'The check needs every module that the file loads in the container of the sidecar.',
    ],
  },
  // syslog-ng, which keeps its old configuration when it cannot load a file, and reports that only on its control socket.
  'syslog-ng': {
    application: 'syslog-ng',
    verified: '3.38.1 (Debian 12)',
    // Not its own supervisor (`supervising syslog-ng`), which ignores the signal.
    process: '/^\\S*syslog-ng(?: |$)/',
    hook: { RELOAD_SIGNAL: 'SIGHUP' },
    main: 'syslog-ng.conf',
    checker: { programs: ['syslog-ng'], arguments: '-s -f {main}' },
    confirm: {},
    onBadFile: 'keeps the old one',
    remarks: [
      'To see whether it loaded the file, set `RELOAD_COMMAND="syslog-ng-ctl reload -c SOCKET"` (the program and the control socket beside the sidecar). After a signal that is not visible.',
      'The check needs every module and every included file in the container of the sidecar.',
    ],
  },
  // Fluent Bit with hot reload.
  'fluent-bit': {
    application: 'Fluent Bit',
    verified: null,
    process: 'fluent-bit',
    hook: { RELOAD_SIGNAL: 'SIGHUP' },
    main: 'fluent-bit.conf',
    checker: { programs: ['fluent-bit'], arguments: '--dry-run -c {main}' },
    confirm: {},
    onBadFile: 'keeps the old one',
    remarks: [
      'Debian has no package; this follows its documentation. The result of a reload is not visible: it counts reloads and gives no time.',
      'It must run with `-Y`, or `hot_reload: on`.',
    ],
  },
  // Vector.
  vector: {
    application: 'Vector',
    verified: null,
    process: 'vector',
    hook: { RELOAD_SIGNAL: 'SIGHUP' },
    main: 'vector.yaml',
    checker: { programs: ['vector'], arguments: 'validate --no-environment {main}' },
    confirm: {},
    onBadFile: 'keeps the old one',
    remarks: [
      'Debian has no package; this follows its documentation. The result of a reload is only in its log.',
      'It exits when it can build neither the new nor the old configuration. It does not read a VRL `file` again when only that file has changed.',
    ],
  },
  // Traefik, which watches the file of its file provider by itself.
  traefik: {
    application: 'Traefik',
    verified: null,
    process: 'traefik',
    hook: { RELOAD_SIGNAL: 'none' },
    main: 'dynamic.yaml',
    checker: null,
    confirm: {},
    onBadFile: 'keeps the old one',
    remarks: [
      'Debian has no package; this follows its documentation. The static configuration cannot be reloaded.',
      'Name the file (`providers.file.filename`), not its directory: it would read the hidden directories in it as well.',
      'To see whether it loaded the file, put `{{ sidecar.digest }}` into a header that a middleware sets, and set `CONFIRM_URL=http://127.0.0.1:8080/api/rawdata` (its `api`) and `CONFIRM_MATCH="{digest}"`.',
    ],
  },
  // A program for Node.js with a handler for SIGHUP.
  node: {
    application: 'Node.js',
    verified: '20.20',
    process: 'node',
    hook: { RELOAD_SIGNAL: 'SIGHUP' },
    main: 'config.json',
    checker: null,
    confirm: {},
    onBadFile: 'exits',
    remarks: [
      'The program needs `process.on("SIGHUP", …)`. Without it no signal is sent, because it would die.',
      'A program that catches its own errors keeps the old configuration. Let it report the version that it runs, and set `CONFIRM_URL` and `CONFIRM_MATCH`.',
      'If another Node.js program (such as `nodemon`) starts it, or it has a `process.title`, name it: `APP_PROCESS="/server\\.js/"`.',
    ],
  },
  // gunicorn, which exits when it cannot load a file, or its new workers cannot start.
  gunicorn: {
    application: 'gunicorn',
    verified: '20.1.0 (Debian 12)',
    // Run by its first line, by `python -m gunicorn` or, with `setproctitle`, under a name of its own.
    process:
      '/^(?:(?:\\S*\\/)?(?:python|pypy)[\\d.]* (?:-\\S+ )*)?(?:\\S*\\/)?gunicorn3?(?:: master\\b| |$)/',
    hook: { RELOAD_SIGNAL: 'SIGHUP' },
    main: 'gunicorn.conf.py',
    checker: { programs: ['gunicorn'], arguments: '--check-config -c {main}' },
    confirm: { CONFIRM_WORKERS: 'true' },
    onBadFile: 'exits',
    remarks: [
      'It must run with `-c FILE`. Its command line and `GUNICORN_CMD_ARGS` beat the file.',
      'The check imports the application, so it needs its code (`chdir`) and Python in the container of the sidecar. Without them set `VALIDATE_COMMAND="python3 -m py_compile {path}"`.',
      'A worker that fails after `CONFIRM_PERIOD` goes unnoticed. Set it longer when the application takes long to import.',
      'With `preload_app`, a reload does not load new application code.',
    ],
  },
  // php-fpm, whose master re-executes itself, and exits when it cannot load a file.
  'php-fpm': {
    application: 'php-fpm',
    verified: '8.2.35 (Debian 12)',
    process: '/^php-fpm: master process/',
    hook: { RELOAD_SIGNAL: 'SIGUSR2' },
    main: 'php-fpm.conf',
    checker: { programs: ['php-fpm', 'php-fpm8.2', 'php-fpm8.3', 'php-fpm8.4'], arguments: '-t -y {main}' },
    confirm: { CONFIRM_WORKERS: 'true' },
    onBadFile: 'exits',
    remarks: [
      'A reload cuts off running requests, unless the file sets `process_control_timeout` (`10s`).',
      'The check opens `error_log` for writing in the container of the sidecar. It binds no port.',
      'A pool file (`php-fpm.d/www.conf`) can be published and checked alone.',
    ],
  },
} as const satisfies Readonly<Record<string, Preset>>;

export type PresetName = keyof typeof PRESETS;

export const PRESET_NAMES = Object.keys(PRESETS) as readonly PresetName[];
