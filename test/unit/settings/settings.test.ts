// Where settings come from, which of them win, and what they must be together.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { explain } from '../../../src/settings/docs.ts';
import { environmentForCommands } from '../../../src/settings/environment.ts';
import { separateArguments } from '../../../src/settings/flags.ts';
import { SettingsError } from '../../../src/settings/settings.ts';
import { flagOf, NAMES } from '../../../src/settings/table.ts';
import { loadPartialSettings, loadSettings } from '../../support/settings/only-target.ts';
import { type Env, load, problemsOf, scratch } from '../../support/settings/settings-loading.ts';

test('defaults are those of the contract', async () => {
  const { settings, warnings } = await load({});
  expect(warnings).toEqual([]);
  expect(settings).toMatchObject({
    SOURCE: [{ url: { text: 'etcd://store:2379/app/' }, name: null, optional: false }],
    CONFIG_FILE: undefined,
    UPDATE_FREQUENCY: 60_000,
    FETCH_TIMEOUT: 10_000,
    STALE_AFTER: 600_000,
    MAX_SIZE: 16 * 1024 * 1024,
    ALLOW_EMPTY: false,
    REQUIRED_KEYS: undefined,
    KEYS_AS: 'string',
    OUTPUT: { kind: 'file', path: '/srv/app.json' },
    FORMAT: undefined,
    OUTPUT_MODE: 0o644,
    OUTPUT_OWNER: undefined,
    STATE_DIR: '/srv/.config-sidecar',
    DEBOUNCE: 50,
    DEBOUNCE_MAX: 1000,
    RELOAD_MIN_INTERVAL: 1000,
    SPLAY: 0,
    VALIDATE_TIMEOUT: 30_000,
    RELOAD_SIGNAL: undefined,
    RELOAD_METHOD: 'POST',
    RELOAD_STATUS: [{ first: 200, last: 299 }],
    RELOAD_TIMEOUT: 30_000,
    RELOAD_WAIT: 60_000,
    RELOAD_GATE: 'handler',
    LISTEN: { host: null, port: 9533 },
    LOG_LEVEL: 'info',
    LOG_FORMAT: undefined,
    ONCE_TIMEOUT: 60_000,
  });
});

test('a directory output keeps its state inside, hidden', async () => {
  expect((await load({ OUTPUT: '/srv/out/' })).settings.STATE_DIR).toBe('/srv/out/..config-sidecar');
});

test('flag beats prefixed variable beats plain variable beats file beats default', async () => {
  const directory = scratch({
    'settings.yaml': 'splay: 1s\ndebounce: 1ms\nreload_wait: 1s\nfetch_timeout: 1s\n',
  });
  const { settings, raw } = await load(
    {
      SETTINGS_FILE: join(directory, 'settings.yaml'),
      RELOAD_WAIT: '2s',
      DEBOUNCE: '2ms',
      SPLAY: '2s',
      CONFIG_SIDECAR_DEBOUNCE: '3ms',
      CONFIG_SIDECAR_SPLAY: '3s',
    },
    { flags: ['--splay', '4s'] },
  );
  expect(settings).toMatchObject({
    SPLAY: 4000,
    DEBOUNCE: 3,
    RELOAD_WAIT: 2000,
    FETCH_TIMEOUT: 1000,
    RELOAD_TIMEOUT: 30_000,
  });
  expect(
    ['SPLAY', 'DEBOUNCE', 'RELOAD_WAIT', 'FETCH_TIMEOUT'].map((name) => raw.get(name as 'SPLAY')?.spelled),
  ).toEqual([
    '--splay',
    'CONFIG_SIDECAR_DEBOUNCE',
    'RELOAD_WAIT',
    `fetch_timeout in "${join(directory, 'settings.yaml')}"`,
  ]);
});

test('every setting has its flag, spelled from its name', async () => {
  for (const name of NAMES) {
    expect(await problemsOf({}, { flags: [flagOf(name)] })).not.toContain(
      `Cannot use ${flagOf(name)}: unknown flag`,
    );
  }
  expect(flagOf('CONSUL_HTTP_TOKEN')).toBe('--consul-http-token');
});

test('a flag takes its value behind it or after an equals sign; a boolean may stand alone', async () => {
  const flags = ['--update-frequency=5s', '--splay', '1s', '--allow-empty'];
  expect((await load({}, { flags })).settings).toMatchObject({
    UPDATE_FREQUENCY: 5000,
    SPLAY: 1000,
    ALLOW_EMPTY: true,
  });
  for (const off of [['--allow-empty=false'], ['--allow-empty', 'false']]) {
    expect((await load({ ALLOW_EMPTY: 'true' }, { flags: off })).settings.ALLOW_EMPTY).toBe(false);
  }
});

const FLAG_MISTAKES: ReadonlyArray<readonly [flags: readonly string[], said: string]> = [
  [['--reload-sginal', 'SIGHUP'], 'Cannot use --reload-sginal: unknown flag; did you mean --reload-signal?'],
  [['--reload_url=http://u:hunter2@h/'], 'Cannot use --reload_url: unknown flag; did you mean --reload-url?'],
  [['--keep-forever=3'], 'Cannot use --keep-forever: unknown flag'],
  [['-x'], 'Cannot use -x: unknown flag'],
  [['--splay'], 'Cannot use --splay: it needs a value: --splay VALUE'],
  [['--splay='], 'Cannot use --splay "": it needs a value: --splay VALUE'],
  [
    ['--template-env', '--allow-empty'],
    'Cannot use --template-env: it needs a value; one that begins with -- is written --template-env=VALUE',
  ],
  [['--splay', '1s', '--splay', '2s'], 'Cannot use --splay: it is given twice; give it once'],
  [
    ['--splay', '-1s'],
    'Cannot use --splay "-1s": a duration is a number and one unit (ms, s, m or h; none means seconds), such as 500ms, 30s, 5m or 1h',
  ],
  [['--settings-file=/no/such.yaml'], 'Cannot use --settings-file "/no/such.yaml": the file does not exist'],
  [
    ['--http-token', 'hunter 2'],
    'Cannot use --http-token "***": it must be visible ASCII characters without blanks, since it is sent in a header',
  ],
];

test.each(FLAG_MISTAKES)('the flags %j are a mistake', async (flags, said) => {
  const problems = await problemsOf({}, { flags });
  expect(problems.filter((problem) => !problem.startsWith('Cannot use "'))).toEqual([said]);
});

test('a word that belongs to no flag is a mistake', async () => {
  expect(await problemsOf({}, { flags: ['yes'] })).toEqual([
    'Cannot use "yes": a setting is given as --name value; see --help',
  ]);
});

test('a command line is taken apart into the command, its own flags and settings', () => {
  const argv = [
    '--output',
    'run',
    'status',
    '--json',
    '--allow-empty',
    'false',
    '--splay=1s',
    '--unknown',
    '--',
    '--x',
  ];
  expect(separateArguments(argv, [{ name: 'json' }, { name: 'help' }])).toEqual({
    positionals: ['status', '--x'],
    own: new Map([['json', true]]),
    flags: ['--output', 'run', '--allow-empty', 'false', '--splay=1s', '--unknown'],
    problems: [],
  });
  expect(separateArguments(['-h', '-x'], [{ name: 'help', short: 'h' }])).toMatchObject({
    own: new Map([['help', true]]),
    flags: ['-x'],
  });
});

test("a command's own flag takes its value, or none", () => {
  const own = [{ name: 'reason', takesValue: true }, { name: 'json' }];
  expect(separateArguments(['--reason', 'too hot', '--json'], own)).toMatchObject({
    own: new Map<string, unknown>([
      ['reason', 'too hot'],
      ['json', true],
    ]),
    problems: [],
  });
  for (const [argv, problem] of [
    [['--json=yes'], 'Cannot use --json=yes: --json takes no value'],
    [['--reason'], 'Cannot use --reason: it needs a value: --reason VALUE'],
    [['--reason='], 'Cannot use --reason: it needs a value: --reason VALUE'],
    [
      ['--reason', '--json'],
      'Cannot use --reason: it needs a value; one that begins with - is written --reason=VALUE',
    ],
  ] as const) {
    expect(separateArguments(argv, own).problems).toEqual([problem]);
  }
});

test('an empty variable counts as not set', async () => {
  expect((await load({ SPLAY: '', TEMPLATE: '  ', CONFIG_SIDECAR_DEBOUNCE: '' })).raw.size).toBe(2);
});

test('all mistakes are reported at once, one on each line', async () => {
  const loading = loadSettings({
    flags: ['--splya=1s'],
    env: { UPDATE_FREQUENCY: '5 m', OUTPUT_MODE: '0999', CONFIG_SIDECAR_OUTPT: '/x' },
    cwd: '/',
  });
  const error = await loading.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(SettingsError);
  expect(error).toMatchObject({ code: 'settings', stage: 'settings' });
  expect((error as Error).message.split('\n')).toEqual([
    'Cannot use --splya: unknown flag; did you mean --splay?',
    'Cannot use CONFIG_SIDECAR_OUTPT: unknown setting; did you mean CONFIG_SIDECAR_OUTPUT?',
    'Cannot use UPDATE_FREQUENCY "5 m": a duration is a number and one unit (ms, s, m or h; none means seconds), such as 500ms, 30s, 5m or 1h; did you mean "5m"?',
    'Cannot use OUTPUT_MODE "0999": a mode is three octal digits, such as 0644 or 640',
    'Cannot start without OUTPUT: set OUTPUT (or --output, or output in the settings file) to a file, or to a directory with a trailing slash',
    'Cannot start without SOURCE: set SOURCE (or --source, or source in the settings file) to a URL such as https://host/app.json or to a path, or CONFIG_FILE to a file',
  ]);
});

test('a command that follows nothing needs no source and no output, but no mistakes either', async () => {
  const { settings } = await loadPartialSettings({ flags: ['--listen', ':1'], env: {}, cwd: '/' });
  expect(settings).toMatchObject({
    LISTEN: { host: null, port: 1 },
    OUTPUT: undefined,
    STATE_DIR: undefined,
  });
  const mistaken = loadPartialSettings({ flags: [], env: { LISTEN: ':x' }, cwd: '/' });
  await expect(mistaken).rejects.toThrow(
    new SettingsError([
      'Cannot use LISTEN ":x": it must be :port, host:port, [IPv6]:port or off, such as :9533',
    ]),
  );
});

const TOGETHER: ReadonlyArray<readonly [env: Env, said: string]> = [
  [
    { UPDATE_FREQUENCY: '10m', STALE_AFTER: '10m' },
    'Cannot use STALE_AFTER "10m" with UPDATE_FREQUENCY "10m": STALE_AFTER must be longer, or every source would count as stale',
  ],
  [
    { DEBOUNCE: '90' },
    'Cannot use DEBOUNCE_MAX "1s" with DEBOUNCE "90s": DEBOUNCE_MAX must be at least as long',
  ],
  [
    { APP_PROCESS: 'nginx', RELOAD_SIGNAL: 'SIGHUP', RELOAD_URL: 'http://u:hunter2@localhost/' },
    'Cannot use RELOAD_SIGNAL "SIGHUP" with RELOAD_URL "http://localhost/": an application has one hook; keep one of them',
  ],
  [
    { RELOAD_COMMAND: 'true', RELOAD_URL: 'http://localhost/' },
    'Cannot use RELOAD_URL "http://localhost/" with RELOAD_COMMAND "true": an application has one hook; keep one of them',
  ],
  [
    { RELOAD_SIGNAL: 'SIGHUP' },
    'Cannot use RELOAD_SIGNAL "SIGHUP": no process is configured to receive it; set APP_PROCESS, APP_CONTAINER or APP_PID_FILE',
  ],
  [
    { SOURCE: 'https://h/a', HTTP_TOKEN: 'hunter2', HTTP_USERNAME: 'me' },
    'Cannot use HTTP_TOKEN "***" with HTTP_USERNAME "me": a request carries one of them; keep one',
  ],
  [
    { SOURCE: 'https://h/a', HTTP_PASSWORD: 'hunter2' },
    'Cannot use HTTP_PASSWORD "***" without HTTP_USERNAME: a password needs its user name',
  ],
  [
    { SOURCE: 'https://h/a', HTTP_CERT: '/c.pem' },
    'Cannot use HTTP_CERT "/c.pem" without HTTP_KEY: a certificate and its key go together',
  ],
  [
    { ETCDCTL_KEY: '/k.pem' },
    'Cannot use ETCDCTL_KEY "/k.pem" without ETCDCTL_CERT: a certificate and its key go together',
  ],
  [
    { SOURCE: 'consuls://h/a', CONSUL_CLIENT_CERT: '/c.pem' },
    'Cannot use CONSUL_CLIENT_CERT "/c.pem" without CONSUL_CLIENT_KEY: a certificate and its key go together',
  ],
  [
    { TEMPLATE: '/' },
    'Cannot use TEMPLATE "/" with OUTPUT "/srv/app.json": a directory of templates needs an OUTPUT that is a directory and ends with a slash',
  ],
  [
    { SOURCE: 'file:///srv/app.json#/a' },
    'Cannot use OUTPUT "/srv/app.json" with SOURCE "file:///srv/app.json#/a": the output would be read again as input',
  ],
  [
    { CONFIG_FILE: '../srv/app.json' },
    'Cannot use OUTPUT "/srv/app.json" with CONFIG_FILE "../srv/app.json": the output would be read again as input',
  ],
  [
    { OUTPUT: '/srv/out/', STATE_DIR: '/srv/out' },
    'Cannot use STATE_DIR "/srv/out" with OUTPUT "/srv/out/": the state needs a directory of its own',
  ],
];

test.each(TOGETHER)('%j does not go together', async (env, said) => {
  const problems = await problemsOf(env);
  expect(problems).toContain(said);
  expect(problems.join()).not.toContain('hunter2');
});

test.each([
  ['60s', '10m'],
  ['200s', '10m'],
  ['10m', '30m'],
  ['500h', '1500h'],
])('a source that is polled every %s is stale after %s by default', async (UPDATE_FREQUENCY, stale) => {
  const loaded = await load({ UPDATE_FREQUENCY });
  const shown = explain(loaded).find(({ name }) => name === 'STALE_AFTER');
  expect(shown).toMatchObject({ value: stale, from: 'default' });
});

test('an output inside the directory that is followed is refused, one beside it is not', async () => {
  const directory = scratch();
  mkdirSync(join(directory, 'conf'));
  const source = join(directory, 'conf/');
  expect(await problemsOf({ SOURCE: source, OUTPUT: join(directory, 'conf/app.json') })).toEqual([
    `Cannot use OUTPUT "${directory}/conf/app.json" with SOURCE "${source}": the output would be read again as input`,
  ]);
  expect(await problemsOf({ SOURCE: source, OUTPUT: join(directory, 'conf.json') })).toEqual([]);
});

test('credentials of other kinds of sources are left alone', async () => {
  const others = { HTTP_TOKEN: 'a', HTTP_USERNAME: 'b', HTTP_CERT: '/c', CONSUL_CLIENT_KEY: '/k' };
  expect(await problemsOf(others)).toEqual([]);
  expect(await problemsOf({ ...others, ETCDCTL_CERT: '/c', CONFIG_FILE: './app.json' })).toEqual([]);
});

const SIGNALS: ReadonlyArray<readonly [env: Env, signal: string | undefined]> = [
  [{ APP_PROCESS: 'nginx' }, 'SIGHUP'],
  [{ APP_PID_FILE: '/run/nginx.pid' }, 'SIGHUP'],
  [{ APP_PROCESS: 'nginx', APP_PID_FILE: '/run/nginx.pid', RELOAD_SIGNAL: 'SIGUSR2' }, 'SIGUSR2'],
  [{ APP_PROCESS: 'nginx', RELOAD_SIGNAL: 'none' }, 'none'],
  [{ APP_PROCESS: 'nginx', RELOAD_URL: 'http://localhost/' }, undefined],
  [{ APP_PROCESS: 'nginx', RELOAD_COMMAND: 'true' }, undefined],
  [{ APP_PROCESS: 'nginx', RELOAD_SIGNAL: 'none', RELOAD_COMMAND: 'true' }, 'none'],
  [{ RELOAD_SIGNAL: 'none' }, 'none'],
  [{}, undefined],
];

test.each(SIGNALS)('with %j the signal is %s', async (env, signal) => {
  expect((await load(env)).settings.RELOAD_SIGNAL).toBe(signal);
});

test('a variable with our prefix that is no setting is a mistake, what Kubernetes sets for a Service of our name is not', async () => {
  expect(await problemsOf({ CONFIG_SIDECAR_FOO: 'x', CONFIG_SIDECAR_OUTPUT_FILE: 'x' })).toEqual([
    'Cannot use CONFIG_SIDECAR_FOO: unknown setting',
    'Cannot use CONFIG_SIDECAR_OUTPUT_FILE: unknown setting',
  ]);
  const service = {
    CONFIG_SIDECAR_SERVICE_HOST: '10.0.0.1',
    CONFIG_SIDECAR_SERVICE_PORT: '9533',
    CONFIG_SIDECAR_SERVICE_PORT_HTTP: '9533',
    CONFIG_SIDECAR_PORT: 'tcp://10.0.0.1:9533',
    CONFIG_SIDECAR_PORT_9533_TCP: 'tcp://10.0.0.1:9533',
    CONFIG_SIDECAR_PORT_9533_TCP_PROTO: 'tcp',
    CONFIG_SIDECAR_PORT_9533_TCP_PORT: '9533',
    CONFIG_SIDECAR_PORT_9533_TCP_ADDR: '10.0.0.1',
  };
  const { warnings } = await load(service);
  expect(warnings).toEqual([]);
});

test('a variable one or two letters away from a setting gives a warning', async () => {
  const near = {
    UPDATE_FREQENCY: '1s',
    RELAOD_SIGNAL: 'SIGHUP',
    SOURCES: 'x',
    HTTP_TOKEN_FILES: 'x',
    TEMPLATES: 'x',
  };
  expect((await load(near)).warnings).toEqual([
    'The environment variable UPDATE_FREQENCY is not a setting and is ignored; did you mean UPDATE_FREQUENCY?',
    'The environment variable RELAOD_SIGNAL is not a setting and is ignored; did you mean RELOAD_SIGNAL?',
    'The environment variable SOURCES is not a setting and is ignored; did you mean SOURCE?',
    'The environment variable HTTP_TOKEN_FILES is not a setting and is ignored; did you mean HTTP_TOKEN_FILE?',
    'The environment variable TEMPLATES is not a setting and is ignored; did you mean TEMPLATE?',
  ]);
});

test('a misspelt variable is named as well when the settings are refused, since it may be why', async () => {
  await expect(loadSettings({ flags: [], env: { OUTPT: 'x', SOURCE: '/a' }, cwd: '/' })).rejects.toThrow(
    'Cannot start without OUTPUT: set OUTPUT (or --output, or output in the settings file) to a file, or to a directory with a trailing slash\nThe environment variable OUTPT is not a setting and is ignored; did you mean OUTPUT?',
  );
});

test("a variable of the store's own tools that has no effect gives a warning, when that store is the source", async () => {
  const env = {
    CONSUL_HTTP_AUTH: 'user:hunter2',
    CONSUL_HTTP_SSL: '',
    CONSUL_PARTITION: 'a',
    ETCDCTL_INSECURE_SKIP_TLS_VERIFY: 'true',
    ETCDCTL_API: '3',
  };
  expect((await load({ ...env, SOURCE: 'consul://h/k' })).warnings).toEqual([
    'The environment variable CONSUL_HTTP_AUTH has no effect here. Give an ACL token as CONSUL_HTTP_TOKEN.',
    'The environment variable CONSUL_PARTITION has no effect here. The partition is always that of the agent or of the token.',
  ]);
  expect((await load({ ...env, SOURCE: 'etcds://h/k' })).warnings).toEqual([
    'The environment variable ETCDCTL_INSECURE_SKIP_TLS_VERIFY has no effect here. The server is always verified; name its authority in ETCDCTL_CACERT.',
  ]);
  expect((await load({ ...env, SOURCE: 'https://h/k' })).warnings).toEqual([]);
  expect((await load({ ...env, SOURCE: 'consul://h/k', CONFIG_FILE: '/app.json' })).warnings).toEqual([]);
});

test('what stands in an ordinary environment gives no warning', async () => {
  const ordinary =
    'PATH HOME HOSTNAME LANG SHELL SHLVL TERM USER PWD DISPLAY INPUT OUTPUTS_DIR NODE_ENV NODE_VERSION HTTP_PROXY HTTPS_PROXY NO_PROXY HTTP_PORT HTTP_HOST CONSUL_HTTP_ADDR CONSUL_HTTP_SSL CONSUL_HTTP_AUTH CONSUL_TLS_SERVER_NAME CONSUL_CAPATH ETCDCTL_API ETCDCTL_ENDPOINTS ETCDCTL_DIAL_TIMEOUT APP_PORT APP_ENV LISTEN_FDS LOG_DIR LOG_FILE KUBERNETES_SERVICE_HOST SOURCE_PORT';
  const env = Object.fromEntries(ordinary.split(' ').map((name) => [name, 'x']));
  expect((await load({ ...env, SOURCE: '/srv/data.json' })).warnings).toEqual([]);
});

test('commands get an environment without our secrets, under whatever spelling', async () => {
  const kept = {
    PATH: '/bin',
    OUTPUT: '/srv/app.json',
    SOURCE: 'etcd://store/app/',
    HTTP_USERNAME: 'me',
    TOKEN: 'theirs',
  };
  const secrets = {
    HTTP_TOKEN: 'a',
    HTTP_TOKEN_FILE: '/a',
    CONFIG_SIDECAR_HTTP_TOKEN: 'a',
    CONFIG_SIDECAR_HTTP_PASSWORD_FILE: '/a',
    HTTP_PASSWORD: 'a',
    HTTP_HEADERS: 'a: b',
    ETCDCTL_USER: 'a:b',
    ETCDCTL_PASSWORD: 'a',
    CONSUL_HTTP_TOKEN: 'a',
    RELOAD_HEADERS: 'a: b',
    RELOAD_URL: 'http://a:b@localhost/',
    CONFIG_SIDECAR_SOURCE: 'consul://h/a?token=b',
    SOURCE_FILE: '/a',
  };
  expect(environmentForCommands({ ...kept, ...secrets, UNSET: undefined })).toEqual(kept);
});

test('a secret given as a flag is a warning that says how to give it, and does not repeat it', async () => {
  const flags = ['--control-token', 'hunter2', '--source', 'etcd://me:hunter2@store:2379/app/'];
  const { warnings } = await load({}, { flags });
  expect(warnings.toSorted().toReversed()).toEqual([
    '--source holds a secret, and every process in the same PID namespace can read the command line it stands on (that of tini and shells as well). Give it as SOURCE_FILE, the path of a file, or as the environment variable SOURCE.',
    '--control-token holds a secret, and every process in the same PID namespace can read the command line it stands on (that of tini and shells as well). Give it as CONTROL_TOKEN_FILE, the path of a file, or as the environment variable CONTROL_TOKEN.',
  ]);
  expect((await load({}, { flags: ['--source', 'etcd://store:2379/app/'] })).warnings).toEqual([]);
  expect((await load({ CONTROL_TOKEN: 'hunter2' })).warnings).toEqual([]);
  const file = scratch({ token: 'hunter2' });
  expect((await load({}, { flags: ['--control-token-file', join(file, 'token')] })).warnings).toEqual([]);
});
