// Every kind of value: what is accepted, and the whole message for what is not.
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { alternatives } from '../../../src/settings/kind.ts';
import { currentOf } from '../../../src/settings/secrets.ts';
import { SOURCE_KINDS } from '../../../src/settings/sources.ts';
import type { Name } from '../../../src/settings/table.ts';
import { includesStatus } from '../../../src/settings/web.ts';
import { BASE, load, problemsOf, scratch } from '../../support/settings/settings-loading.ts';

const DURATION =
  'a duration is a number and one unit (ms, s, m or h; none means seconds), such as 500ms, 30s, 5m or 1h';
const SIZE =
  'a size is a whole number and a unit (KiB, MiB or GiB; none means bytes), such as 64KiB or 16MiB';
const MODE = 'a mode is three octal digits, such as 0644 or 640';
const OWNER = 'an owner is a numeric uid, or uid:gid, such as 1000 or 1000:1000';
const SIGNAL = 'it must be SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGTERM or none';
const LISTEN = 'it must be :port, host:port, [IPv6]:port or off, such as :9533';
const SOURCE = `it must be a URL beginning with ${alternatives(
  SOURCE_KINDS.flatMap(({ schemes }) => schemes.map((scheme) => `${scheme}://`)),
)}, or a path beginning with /, ./ or ../`;
const MALFORMED_SOURCE = 'the URL is malformed; it reads http://host:port/path or https://host:port/path';
const MALFORMED_URL = 'the URL is malformed; it reads scheme://host:port/path';

const REFUSED: ReadonlyArray<readonly [name: Name, text: string, said: string]> = [
  ['UPDATE_FREQUENCY', '5 m', `${DURATION}; did you mean "5m"?`],
  ['UPDATE_FREQUENCY', '1d', `${DURATION}; did you mean "24h"?`],
  ['UPDATE_FREQUENCY', '2 minutes', `${DURATION}; did you mean "2m"?`],
  ['UPDATE_FREQUENCY', '30S', `${DURATION}; did you mean "30s"?`],
  ['UPDATE_FREQUENCY', '.5s', `${DURATION}; did you mean "0.5s"?`],
  ['UPDATE_FREQUENCY', '1,5s', `${DURATION}; did you mean "1.5s"?`],
  ['UPDATE_FREQUENCY', '+30', `${DURATION}; did you mean "30"?`],
  ['UPDATE_FREQUENCY', '-1s', DURATION],
  ['UPDATE_FREQUENCY', '1e3', DURATION],
  ['UPDATE_FREQUENCY', '0x10', DURATION],
  ['UPDATE_FREQUENCY', '1h30m', DURATION],
  ['UPDATE_FREQUENCY', '5.s', DURATION],
  ['UPDATE_FREQUENCY', 'Infinity', DURATION],
  ['UPDATE_FREQUENCY', 'soon', DURATION],
  ['UPDATE_FREQUENCY', '0', 'it must be at least 100ms'],
  ['UPDATE_FREQUENCY', '99ms', 'it must be at least 100ms'],
  ['FETCH_TIMEOUT', '0s', 'it must be at least 1ms'],
  ['STALE_AFTER', '597h', 'it must be at most 596h'],
  ['MAX_SIZE', '16 MiB', `${SIZE}; did you mean "16MiB"?`],
  ['MAX_SIZE', '10MB', `${SIZE}; did you mean "10MiB"?`],
  ['MAX_SIZE', '64k', `${SIZE}; did you mean "64KiB"?`],
  ['MAX_SIZE', '12 bytes', `${SIZE}; did you mean "12"?`],
  ['MAX_SIZE', '1.5MiB', SIZE],
  ['MAX_SIZE', '-1', SIZE],
  ['MAX_SIZE', 'large', SIZE],
  ['MAX_SIZE', '0', 'it must be at least 1'],
  ['MAX_SIZE', '1GiB', 'it must be at most 512MiB'],
  ['ALLOW_EMPTY', 'yes', 'it must be true or false; did you mean "true"?'],
  ['ALLOW_EMPTY', '0', 'it must be true or false; did you mean "false"?'],
  ['ALLOW_EMPTY', 'True', 'it must be true or false; did you mean "true"?'],
  ['ALLOW_EMPTY', 'perhaps', 'it must be true or false'],
  ['KEYS_AS', 'jsn', 'it must be string or json; did you mean "json"?'],
  ['FORMAT', 'yml', 'it must be json, yaml, toml, ini, env, properties or raw; did you mean "yaml"?'],
  ['FORMAT', 'xml', 'it must be json, yaml, toml, ini, env, properties or raw'],
  [
    'REQUIRED_KEYS',
    'db/host /db/port',
    '"/db/port" is not the path of a key: join names with one /, such as db/host; did you mean "db/port"?',
  ],
  [
    'REQUIRED_KEYS',
    'db//host',
    '"db//host" is not the path of a key: join names with one /, such as db/host; did you mean "db/host"?',
  ],
  [
    'TEMPLATE_ENV',
    'HOME 1ST',
    '"1ST" is not the name of an environment variable: use letters, digits and _, and begin with no digit',
  ],
  ['OUTPUT_MODE', '0888', MODE],
  ['OUTPUT_MODE', '4755', MODE],
  ['OUTPUT_MODE', '0o644', `${MODE}; did you mean "0644"?`],
  ['OUTPUT_MODE', 'rw-r--r--', MODE],
  ['OUTPUT_OWNER', 'nginx', OWNER],
  ['OUTPUT_OWNER', 'root', `${OWNER}; did you mean "0"?`],
  ['OUTPUT_OWNER', '1000:', OWNER],
  ['OUTPUT_OWNER', ':1000', OWNER],
  ['OUTPUT_OWNER', '-1', OWNER],
  ['OUTPUT_OWNER', '4294967295', '4294967295 is too large for a user or group: the largest is 4294967294'],
  ['RELOAD_SIGNAL', 'HUP', `${SIGNAL}; did you mean "SIGHUP"?`],
  ['RELOAD_SIGNAL', 'sighup', `${SIGNAL}; did you mean "SIGHUP"?`],
  ['RELOAD_SIGNAL', '1', `${SIGNAL}; did you mean "SIGHUP"?`],
  ['RELOAD_SIGNAL', 'SIGUSR', `${SIGNAL}; did you mean "SIGUSR1"?`],
  ['RELOAD_SIGNAL', 'SIGKILL', SIGNAL],
  [
    'APP_PROCESS',
    '/usr/sbin/nginx',
    'it must be the name of a process without a path, or a regular expression on its command line between slashes, such as /app\\.jar/; did you mean "nginx"?',
  ],
  ['APP_PROCESS', '/java (/', 'the regular expression is broken: Unterminated group'],
  ['APP_PROCESS', '/[/', 'the regular expression is broken: Unterminated character class'],
  ['APP_PROCESS', '/a{2,1}/', 'the regular expression is broken: numbers out of order in {} quantifier'],
  [
    'APP_PROCESS',
    '/app(?!-debug)/',
    'it looks ahead or behind ("(?=", "(?!", "(?<=", "(?<!"), which a search in linear time cannot do',
  ],
  ['APP_PROCESS', '//', 'the regular expression matches every process'],
  ['APP_PROCESS', '/.*/', 'the regular expression matches every process'],
  ['RELOAD_METHOD', 'post', 'it must be POST, PUT, PATCH, GET or DELETE; did you mean "POST"?'],
  ['RELOAD_STATUS', '2xx ok', '"ok" is not a status; write 2xx, 200 or 200-204'],
  ['RELOAD_STATUS', '2XX', '"2XX" is not a status; write 2xx, 200 or 200-204; did you mean "2xx"?'],
  ['RELOAD_STATUS', '204-200', '"204-200" is not a status; write 2xx, 200 or 200-204'],
  ['RELOAD_STATUS', '600', '"600" is not a status; write 2xx, 200 or 200-204'],
  ['RELOAD_COMMAND', `sh -c 'kill`, "a ' is not closed"],
  ['RELOAD_COMMAND', '""', 'it names no program'],
  [
    'VALIDATE_COMMAND',
    'nginx -t && true',
    "it is run without a shell, so & must be quoted; write sh -c '…' to use a shell",
  ],
  ['RELOAD_GATE', 'of', 'it must be handler or off; did you mean "off"?'],
  ['RELOAD_URL', 'localhost:8080/reload', 'it must be a URL beginning with http:// or https://'],
  [
    'RELOAD_URL',
    'htp://localhost/reload',
    'it must be a URL beginning with http:// or https://; did you mean "http://localhost/reload"?',
  ],
  [
    'RELOAD_URL',
    'http:/localhost/',
    'it must be a URL beginning with http:// or https://; did you mean "http://localhost/"?',
  ],
  ['RELOAD_URL', 'http://', MALFORMED_URL],
  ['RELOAD_URL', 'http://localhost:99999/', MALFORMED_URL],
  ['LISTEN', 'localhost', LISTEN],
  ['LISTEN', '*:9533', `${LISTEN}; did you mean ":9533"?`],
  ['LISTEN', '::1:9533', `${LISTEN}; did you mean "[::1]:9533"?`],
  ['LISTEN', 'http://localhost:9533/', `${LISTEN}; did you mean "localhost:9533"?`],
  ['LISTEN', 'none', `${LISTEN}; did you mean "off"?`],
  ['LISTEN', ':65536', 'a port is a number from 0 to 65535'],
  ['LOG_LEVEL', 'warning', 'it must be debug, info, warn or error; did you mean "warn"?'],
  ['LOG_FORMAT', 'prety', 'it must be json or pretty; did you mean "pretty"?'],
  ['CONSUL_NAMESPACE', 'a b', 'it must be one word without blanks'],
  ['SOURCE', 'etdc://store/app/', `${SOURCE}; did you mean "etcd://store/app/"?`],
  ['SOURCE', 'https:/host/app', `${SOURCE}; did you mean "https://host/app"?`],
  ['SOURCE', 'redis://store/app', SOURCE],
  ['SOURCE', 'config/app.yaml', `${SOURCE}; did you mean "./config/app.yaml"?`],
  ['SOURCE', 'store:8500/app', SOURCE],
  [
    'SOURCE',
    '/a tls-x=/b',
    'source 2: the name "tls-x" is not an identifier: use letters, digits and _, and begin with no digit',
  ],
  ['SOURCE', 'a=/a b=/b a=/c', 'the name "a" is given to two sources'],
  ['SOURCE', 'a=/a b=', `source 2: ${SOURCE}`],
  [
    'SOURCE',
    'file://etc/app.yaml',
    'a file URL has three slashes, then the absolute path; did you mean "file:///etc/app.yaml"?',
  ],
  [
    'SOURCE',
    'file://localhost/etc/app.yaml',
    'a file URL has three slashes, then the absolute path; did you mean "file:///etc/app.yaml"?',
  ],
  ['SOURCE', 'file:///etc/100%.yaml', 'the URL is malformed; in a file URL a % is written %25'],
  ['SOURCE', 'http://[::1/app', MALFORMED_SOURCE],
  ['SOURCE', 'http://host:port/app', MALFORMED_SOURCE],
  ['SOURCE', 'etcd:///app/', 'the URL names no host'],
  ['SOURCE', 'etcd://a:2379,/app/', 'the URL names no host'],
  [
    'SOURCE',
    'etcd://a:port/app/',
    'the URL is malformed; a host reads name:port or [IPv6]:port (port 2379 without one)',
  ],
  [
    'SOURCE',
    'etcd://::1:2379/app/',
    'the URL is malformed; a host reads name:port or [IPv6]:port (port 2379 without one)',
  ],
  ['SOURCE', 'etcd://a:0/app/', 'the URL is malformed; a port is a number from 1 to 65535'],
  [
    'SOURCE',
    'etcd://a:2379',
    'the URL names no key: end it with /key for one document or /prefix/ for a tree',
  ],
  [
    'SOURCE',
    'etcd://a:2379?key=',
    'the URL names no key: end it with /key for one document or /prefix/ for a tree',
  ],
  ['SOURCE', 'consul://a:8500?key=app', 'the only parameter behind ? is dc'],
  ['SOURCE', 'consul://a:8500,b:8500/app/', 'the URL names several hosts; name one'],
  ['OUTPUT', '/', 'the root directory cannot be an output'],
  [
    'OUTPUT',
    '/srv/.',
    'it is a directory; an output that is a directory ends with a slash; did you mean "/srv/./"?',
  ],
  ['TEMPLATE', '/no/such.liquid', 'the file does not exist'],
  ['TEMPLATE', '/dev/null', 'it is neither a file nor a directory'],
  ['TEMPLATE', '/dev/null/x', 'a part of the path is a file, not a directory'],
  ['SCHEMA', '/no/such.json', 'the file does not exist'],
  ['SCHEMA', '/', 'it is a directory; a file is needed'],
];

test.each(REFUSED)('%s "%s" is refused with the whole reason', async (name, text, said) => {
  expect(await problemsOf({ APP_PID_FILE: '/run/app.pid', [name]: text })).toEqual([
    `Cannot use ${name} "${text}": ${said}`,
  ]);
});

test('SOURCE as a git server shows it for a clone is refused with the URL that is meant', async () => {
  const meant = '; did you mean "git+ssh://git@example.com/team/app.git"?';
  const cannot = `Cannot use SOURCE "example.com:team/app.git": ${SOURCE}`;
  expect(await problemsOf({ SOURCE: 'git@example.com:team/app.git' })).toEqual([cannot + meant]);
  // Any other user may be a token, which no message repeats.
  expect(await problemsOf({ SOURCE: 'token@example.com:team/app.git' })).toEqual([cannot]);
});

const MATCHES: ReadonlyArray<readonly [text: string, said: string]> = [
  ['a(', 'the regular expression is broken: Unterminated group'],
  [
    '^(?!old)',
    'it looks ahead or behind ("(?=", "(?!", "(?<=", "(?<!"), which a search in linear time cannot do',
  ],
  ['(a)\\1', 'it refers back to a group ("\\1", "\\k<name>"), which a search in linear time cannot do'],
  [
    'a{1,2000}',
    'it repeats something more than 1000 times ("{1,2000}"), which a search in linear time cannot do',
  ],
  [
    '[\\b]',
    'it has a backspace in brackets ("[\\b]"; "\\x08" is one too), which a search in linear time cannot do',
  ],
];

test.each(MATCHES)('CONFIRM_MATCH "%s" is refused with the whole reason', async (text, said) => {
  expect(await problemsOf({ CONFIRM_URL: 'http://127.0.0.1/', CONFIRM_MATCH: text })).toEqual([
    `Cannot use CONFIRM_MATCH "${text}": ${said}`,
  ]);
});

test('CONFIRM_MATCH may have in brackets what it may not have outside', async () => {
  const match = '[(?=][(?!]\\\\1\\{1,2000\\}(?<time>[{2000}])';
  expect(await problemsOf({ CONFIRM_URL: 'http://127.0.0.1/', CONFIRM_MATCH: match })).toEqual([]);
});

const HEADERS: ReadonlyArray<readonly [text: string, said: string]> = [
  ['Authorization hunter2', 'line 1 is not a header; each line reads Name: value'],
  ['A: b\nBad Name: hunter2', 'line 2 has no legal header name: letters, digits and - before the colon'],
  ['A: hunter2\u0001', 'line 1 has a value that no header can hold: control or non-Latin characters'],
  ['A: hunter2 \u20ac', 'line 1 has a value that no header can hold: control or non-Latin characters'],
];

test.each(HEADERS)('the header %j is refused without being shown', async (text, said) => {
  expect(await problemsOf({ RELOAD_HEADERS: text })).toEqual([`Cannot use RELOAD_HEADERS "***": ${said}`]);
});

test('a token that no header can hold is refused without being shown', async () => {
  const said = 'it must be visible ASCII characters without blanks, since it is sent in a header';
  expect(await problemsOf({ HTTP_TOKEN: 'hunter 2' })).toEqual([`Cannot use HTTP_TOKEN "***": ${said}`]);
});

test('credentials in a refused URL are shown neither in the value nor in the suggestion', async () => {
  expect(await problemsOf({ SOURCE: 'htps://user:hunter2@host/a?token=hunter2' })).toEqual([
    `Cannot use SOURCE "htps://host/a?token=***": ${SOURCE}; did you mean "https://host/a?token=***"?`,
  ]);
  expect(await problemsOf({ RELOAD_URL: 'http:/user:hunter2@host/' })).toEqual([
    'Cannot use RELOAD_URL "http:/host/": it must be a URL beginning with http:// or https://; did you mean "http://host/"?',
  ]);
  expect(await problemsOf({ SOURCE: 'file://user:hunter2@host/a' })).toEqual([
    'Cannot use SOURCE "file://host/a": a file URL has three slashes, then the absolute path; did you mean "file:///host/a"?',
  ]);
});

test('a value is shown on one line and cut to size', async () => {
  const [problem] = await problemsOf({ FORMAT: `a\nb${'x'.repeat(1000)}` });
  expect(problem).toBe(
    `Cannot use FORMAT "a\\nb${'x'.repeat(197)}…": it must be json, yaml, toml, ini, env, properties or raw`,
  );
});

test('an output that is an existing directory needs its slash', async () => {
  const directory = scratch();
  expect(await problemsOf({ OUTPUT: directory })).toEqual([
    `Cannot use OUTPUT "${directory}": it is a directory; an output that is a directory ends with a slash; did you mean "${directory}/"?`,
  ]);
});

test('a template that this user may not read is refused', async () => {
  const directory = scratch({ 'app.liquid': 'x' });
  const template = join(directory, 'app.liquid');
  chmodSync(directory, 0o755);
  chmodSync(template, 0);
  // Nothing is unreadable for root, so root steps aside for a moment.
  const root = process.geteuid?.() === 0;
  if (root) process.seteuid?.(65_534);
  try {
    expect(await problemsOf({ TEMPLATE: template })).toEqual([
      `Cannot use TEMPLATE "${template}": this user may not read it`,
    ]);
  } finally {
    if (root) process.seteuid?.(0);
  }
});

const ACCEPTED: ReadonlyArray<readonly [name: Name, text: string, value: unknown]> = [
  ['UPDATE_FREQUENCY', '500ms', 500],
  ['UPDATE_FREQUENCY', '90', 90_000],
  ['UPDATE_FREQUENCY', '0.5', 500],
  ['UPDATE_FREQUENCY', '1.5s', 1500],
  ['UPDATE_FREQUENCY', ' 5m\n', 300_000],
  ['STALE_AFTER', '1h', 3_600_000],
  ['STALE_AFTER', '596h', 2_145_600_000],
  ['DEBOUNCE', '0', 0],
  ['MAX_SIZE', '64KiB', 65_536],
  ['MAX_SIZE', '1000', 1000],
  ['ALLOW_EMPTY', 'true', true],
  ['REQUIRED_KEYS', ' db/host\n  db/port ', ['db/host', 'db/port']],
  ['TEMPLATE_ENV', 'HOME _x', ['HOME', '_x']],
  ['OUTPUT_MODE', '0640', 0o640],
  ['OUTPUT_MODE', '600', 0o600],
  ['OUTPUT_OWNER', '1000', { uid: 1000, gid: null }],
  ['OUTPUT_OWNER', '0:101', { uid: 0, gid: 101 }],
  ['OUTPUT', 'out/app.yaml', { kind: 'file', path: '/work-dir/out/app.yaml' }],
  ['OUTPUT', './out/', { kind: 'directory', path: '/work-dir/out' }],
  ['STATE_DIR', 'state/', '/work-dir/state'],
  ['APP_PROCESS', 'nginx', { kind: 'name', name: 'nginx' }],
  [
    'APP_PROCESS',
    '/java .*app\\.jar/',
    { kind: 'pattern', pattern: /java .*app\.jar/, text: 'java .*app\\.jar' },
  ],
  ['RELOAD_SIGNAL', 'SIGUSR2', 'SIGUSR2'],
  ['RELOAD_COMMAND', `sh -c 'kill -HUP 1' "" {path}`, ['sh', '-c', 'kill -HUP 1', '', '{path}']],
  [
    'RELOAD_HEADERS',
    'A: b: c\r\n\n X-Empty:\nA: d',
    [
      ['A', 'b: c'],
      ['X-Empty', ''],
      ['A', 'd'],
    ],
  ],
  ['RELOAD_BODY', ' {"a": 1}\n', ' {"a": 1}\n'],
  [
    'RELOAD_STATUS',
    '2xx, 304 400-404',
    [
      { first: 200, last: 299 },
      { first: 304, last: 304 },
      { first: 400, last: 404 },
    ],
  ],
  ['LISTEN', ':9533', { host: null, port: 9533 }],
  ['LISTEN', '9533', { host: null, port: 9533 }],
  ['LISTEN', '127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
  ['LISTEN', '[::1]:9533', { host: '::1', port: 9533 }],
  ['LISTEN', 'off', 'off'],
  ['HTTP_TOKEN', 'abc\n', 'abc'],
  ['HTTP_CACERT', 'ca.pem', '/work-dir/ca.pem'],
];

test.each(ACCEPTED)('%s "%s" is accepted', async (name, text, value) => {
  const needed = { APP_PID_FILE: '/run/app.pid', STALE_AFTER: '1h', [name]: text };
  const hook = name === 'RELOAD_COMMAND' ? {} : { RELOAD_SIGNAL: needed.RELOAD_SIGNAL ?? 'none' };
  expect((await load({ ...needed, ...hook })).settings[name]).toEqual(value);
});

test.each([
  ['./conf#/a/b', '/work-dir/conf#/a/b'],
  ['../conf/', '/conf/'],
  ['file:///conf/app.yaml', 'file:///conf/app.yaml'],
  ['HTTPS://host/app', 'https://host/app'],
  ['etcds://u:p@a:2379,[::1]:2379/app/', 'etcds://u:p@a:2379,[::1]:2379/app/'],
  ['etcd://a?key=app/web/', 'etcd://a?key=app/web/'],
  ['consul://a/app?dc=x', 'consul://a/app?dc=x'],
])('SOURCE "%s" is accepted', async (text, url) => {
  expect((await load({ SOURCE: text })).settings.SOURCE?.map((one) => one.url.text)).toEqual([url]);
});

test('a template may be a file or a directory, and the settings say which', async () => {
  const directory = scratch({ 'app.liquid': 'x' });
  mkdirSync(join(directory, 'all'));
  const file = await load({ TEMPLATE: join(directory, 'app.liquid') });
  expect(file.settings.TEMPLATE).toEqual({ kind: 'file', path: join(directory, 'app.liquid') });
  const all = await load({ TEMPLATE: join(directory, 'all/'), OUTPUT: '/srv/out/' });
  expect(all.settings.TEMPLATE).toEqual({ kind: 'directory', path: join(directory, 'all') });
});

test('statuses are compared by their ranges', async () => {
  const ranges = currentOf(await load({ RELOAD_STATUS: '2xx 304' }), 'RELOAD_STATUS');
  expect([199, 200, 299, 300, 304, 305].filter((status) => includesStatus(ranges, status))).toEqual([
    200, 299, 304,
  ]);
});

test('the base of these tests is legal by itself', async () => {
  expect(await problemsOf(BASE)).toEqual([]);
});
