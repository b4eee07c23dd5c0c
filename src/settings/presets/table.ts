// The known applications (PRESET), one record each: how each is found, told, checked and confirmed.
import type { Preset } from './preset.ts';

/** Every preset by the name it is asked for. */
export const PRESETS = {
  // nginx, whose master process starts workers of the new configuration and lives on when it cannot.
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
      'The check opens the PID file, the logs, the temporary folders and the certificates that the file names, and looks up its upstreams, all where the sidecar runs: as in `nginx-unprivileged`, name paths below `/tmp`.',
      'A relative `include` is looked for beside the staged copy: write the whole path, or publish the folder.',
      '`conf.d/*.conf` is a part that cannot be checked alone: publish a whole `nginx.conf`.',
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
      'It has to run with `-W` (or `-Ws`), as its image does: without it there is no reload, and `SIGUSR2` is ignored.',
      'The check wants users, certificates and maps that the file names, and looks up its servers, where the sidecar runs; name them by whole paths.',
      'A port that is taken passes the check; while the new worker tries it, for two seconds, the old one refuses connections.',
    ],
  },
  // Apache httpd, which ends as a whole when it cannot load a file; a graceful restart loses no request otherwise.
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
      'The check binds no port and loads no key: a port that is taken, or a key of another certificate, ends it, and what starts it again finds the last known good file.',
      'It wants the modules, the `User` and the folders of the logs that the file names where the sidecar runs; relative paths begin at `ServerRoot`.',
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
      'The check opens neither ports nor files that are named (error pages, MIME table): where it cannot go on without one it exits, and what starts it again finds the last known good file.',
      'Its ports are closed for a moment at every reload: connections are refused meanwhile.',
      'One port of several that it cannot open is left out in silence; a `CONFIRM_URL` behind that port sees it.',
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
      'It has to run with `--web.enable-lifecycle`, else it answers 403; with a `--web.route-prefix` set `RELOAD_URL` and `CONFIRM_URL`.',
      'The check looks for rule files and certificates too, relative ones beside the staged copy: where the sidecar cannot see them, `VALIDATE_COMMAND="promtool check config --syntax-only {path}"`.',
      'What only the reload finds out (a `query_log_file` that cannot be opened) is taken in part, until it is taken back.',
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
    remarks: ['With a `--web.route-prefix` set `RELOAD_URL` and `CONFIRM_URL`.'],
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
      'There is no Debian package; tried by hand with 1.40.0. The bootstrap cannot be reloaded: `OUTPUT` is a file that its `path_config_source` names, or a directory that is its `watched_directory`.',
      'Whether it took `lds.yaml` is seen with `CONFIRM_URL=http://127.0.0.1:9901/stats?filter=lds.update_time` (its `admin` port) and `CONFIRM_MATCH="^\\S+\\.update_time: (?<time>\\d+)\\d{3}$"`.',
      'Fields it does not know are passed over.',
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
    onBadFile: 'takes a part',
    remarks: [
      '`SIGHUP` makes it read `addn-hosts`, `hostsdir`, `dhcp-hostsfile` and `servers-file` again, not `dnsmasq.conf`: for that one set `RELOAD_SIGNAL=SIGTERM`, so that its supervisor starts it again, and `VALIDATE_COMMAND="dnsmasq --test -C {path}"`.',
      'It leaves out lines it cannot read, and nobody sees that.',
    ],
  },
  // Unbound, which loads everything anew and exits where it cannot.
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
      'The check also wants what the file names, such as the user, the certificates and the `directory`, where the sidecar runs.',
      'A reload empties its cache, and does not take another `interface`: that needs a restart.',
      'It reads the file again as its `username` and inside of its `chroot`.',
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
      'Whether it took the file is seen with `RELOAD_COMMAND="rndc -k KEYFILE reload"` (`rndc` and the key beside the sidecar, `controls` in its configuration); its signal tells nothing, nor does the `config-time` of its statistics.',
      'A zone that does not load is missing in silence; `VALIDATE_COMMAND="named-checkconf -z {path}"` finds it where the zone files are in sight.',
    ],
  },
  // PostgreSQL, which takes what it can of a file and tells only its log of the rest.
  postgresql: {
    application: 'PostgreSQL',
    verified: '15.18 (Debian 12)',
    process: 'postgres',
    hook: { RELOAD_SIGNAL: 'SIGHUP' },
    main: 'postgresql.conf',
    checker: { programs: ['postgres'], arguments: '-C config_file -D / -c config_file={main}' },
    confirm: {},
    onBadFile: 'takes a part',
    remarks: [
      'It has to run with `-c config_file=…` where `OUTPUT` lies, as its user writes to the data directory.',
      'Debian keeps the checker out of `PATH`, in `/usr/lib/postgresql/15/bin`.',
      'A wrong value is left out, and so is, until a restart, what it takes at its start only (`port`, `max_connections`): both are taken back with ' +
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
    onBadFile: 'is not told',
    remarks: [
      'It reads its configuration at its start only, ignores `SIGHUP`, and dies of `SIGUSR1`.',
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
    onBadFile: 'is not told',
    remarks: [
      'It reads its configuration at its start only; `SIGHUP` makes it open its output files again.',
      'It starts with what it understands of a broken file, and nobody sees that, unless `global(abortOnUncleanConfig="on")` stands in it.',
      'The check wants every module that the file loads where the sidecar runs.',
    ],
  },
  // syslog-ng, which goes back by itself where it cannot load a file, and tells only those who ask over its control socket.
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
      'Whether it took the file is seen with `RELOAD_COMMAND="syslog-ng-ctl reload -c SOCKET"` (the program and the control socket beside the sidecar); its signal tells nothing.',
      'The check wants every module and every file it includes where the sidecar runs.',
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
      'There is no Debian package: taken from its documentation. What became of a reload cannot be seen, as it counts reloads and gives no time.',
      'It has to run with `-Y`, or `hot_reload: on`.',
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
      'There is no Debian package: taken from its documentation. What became of a reload is only in its log.',
      'It exits where it can build neither the new configuration nor the old one again, and a VRL `file` that alone has changed is not read again.',
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
      'There is no Debian package: taken from its documentation. The static configuration cannot be reloaded.',
      'Name the file (`providers.file.filename`), not its directory, of which it would read the hidden folders too.',
      'Whether it took it is seen with `{{ sidecar.digest }}` in a header that a middleware sets, `CONFIRM_URL=http://127.0.0.1:8080/api/rawdata` (its `api`) and `CONFIRM_MATCH="{digest}"`.',
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
      'The program needs `process.on("SIGHUP", …)`: without it nothing is sent, since it would die.',
      'One that catches its own errors lives on with the old configuration: let it answer what it runs, and set `CONFIRM_URL` and `CONFIRM_MATCH`.',
      'Started by another Node.js program (such as `nodemon`), or with a `process.title`, it has to be named: `APP_PROCESS="/server\\.js/"`.',
    ],
  },
  // gunicorn, which exits when it cannot load a file, or its new workers cannot start.
  gunicorn: {
    application: 'gunicorn',
    verified: '20.1.0 (Debian 12)',
    // Run by its first line, by `python -m gunicorn` or, with `setproctitle`, under a name of its own.
    process:
      '/^(?:(?:\\S*\\/)?(?:python|pypy)[\\d.]* (?:-\\S+ )*)?(?:\\S*\\/)?gunicorn3?(?:: master\\b| (?!worker\\b)|$)/',
    hook: { RELOAD_SIGNAL: 'SIGHUP' },
    main: 'gunicorn.conf.py',
    checker: { programs: ['gunicorn'], arguments: '--check-config -c {main}' },
    confirm: { CONFIRM_WORKERS: 'true' },
    onBadFile: 'exits',
    remarks: [
      'It has to run with `-c FILE`; what its command line and `GUNICORN_CMD_ARGS` say beats the file.',
      'The check imports the application, so it needs its code (`chdir`) and Python where the sidecar runs; elsewhere set `VALIDATE_COMMAND="python3 -m py_compile {path}"`.',
      'A worker that fails later than `CONFIRM_PERIOD` is not seen: set that longer where the application takes long to be imported.',
      'With `preload_app` the code of the application is not loaded anew.',
    ],
  },
  // php-fpm, whose master executes itself anew, and is gone when it cannot load a file.
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
      'A reload cuts off the requests on their way, unless the file sets `process_control_timeout` (`10s`).',
      'The check opens `error_log` for writing where the sidecar runs, and binds no port.',
      'A pool file (`php-fpm.d/www.conf`) can be published and checked alone.',
    ],
  },
} as const satisfies Readonly<Record<string, Preset>>;

export type PresetName = keyof typeof PRESETS;

export const PRESET_NAMES = Object.keys(PRESETS) as readonly PresetName[];
