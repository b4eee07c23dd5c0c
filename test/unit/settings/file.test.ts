// The settings file: its shapes, and what is wrong with one.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Loaded, loadTargets } from '../../../src/settings/settings.ts';
import { load, problemsOf, scratch } from '../../support/settings/settings-loading.ts';

async function loadFile(text: string, name = 'settings.yaml'): Promise<Loaded> {
  return load({ SETTINGS_FILE: join(scratch({ [name]: text }), name) });
}

test('scalars are taken as they are written', async () => {
  const { settings } = await loadFile(
    'output_mode: 0640\nupdate_frequency: 90\nallow_empty: true\nsplay: "1s"\nsource: ./ignored\n',
  );
  expect(settings).toMatchObject({
    OUTPUT_MODE: 0o640,
    UPDATE_FREQUENCY: 90_000,
    ALLOW_EMPTY: true,
    SPLAY: 1000,
  });
  expect(settings.SOURCE?.map((one) => one.url.text)).toEqual(['etcd://store:2379/app/']);
});

test('settings may stand under defaults, in JSON too', async () => {
  expect((await loadFile('defaults:\n  splay: 1s\n')).settings.SPLAY).toBe(1000);
  const json = '{\n\t"output_mode": "0600",\n\t"splay": 1.5,\n\t"required_keys": ["a", "b/c"]\n}';
  const { settings } = await loadFile(json, 'settings.json');
  expect(settings).toMatchObject({ OUTPUT_MODE: 0o600, SPLAY: 1500, REQUIRED_KEYS: ['a', 'b/c'] });
});

test('lists and maps say what they seem to say', async () => {
  const { settings } = await loadFile(`
required_keys: [db/host, db/port]
template_env:
  - HOME
validate_command: [sh, -c, 'test -s "$1" && it''s', _, '{path}']
reload_headers:
  X-One: a
  X-Two: b
reload_status: [2xx, 304]
reload_url: http://localhost/
reload_body: |
  line
`);
  expect(settings).toMatchObject({
    REQUIRED_KEYS: ['db/host', 'db/port'],
    TEMPLATE_ENV: ['HOME'],
    VALIDATE_COMMAND: ['sh', '-c', 'test -s "$1" && it\'s', '_', '{path}'],
    RELOAD_HEADERS: [
      ['X-One', 'a'],
      ['X-Two', 'b'],
    ],
    RELOAD_STATUS: [
      { first: 200, last: 299 },
      { first: 304, last: 304 },
    ],
    RELOAD_BODY: 'line\n',
  });
});

test('an empty file, or one of comments, holds no settings', async () => {
  expect((await loadFile('')).raw.has('SPLAY')).toBe(false);
  expect((await loadFile('# nothing\n\n  # at all\n')).raw.has('SPLAY')).toBe(false);
});

const KEYS: ReadonlyArray<readonly [text: string, key: string, said: string]> = [
  ['reload_sginal: x', 'reload_sginal', 'unknown setting; did you mean reload_signal?'],
  ['OUTPUT_MODE: 0600', 'OUTPUT_MODE', 'unknown setting; did you mean output_mode?'],
  ['predecessor: nginx', 'predecessor', 'unknown setting'],
  ['__proto__: nginx', '__proto__', 'unknown setting'],
  ['settings_file: x', 'settings_file', 'a settings file cannot name another one'],
  ['splay:', 'splay', 'it must be one value, and not empty'],
  ['splay: [1s]', 'splay', 'it must be one value, and not empty'],
  ['required_keys: {a: b}', 'required_keys', 'it must be one value or a list of values, and not empty'],
  ['required_keys: []', 'required_keys', 'it must be one value or a list of values, and not empty'],
  ['required_keys: [[a]]', 'required_keys', 'it must be one value or a list of values, and not empty'],
  [
    'http_headers: {A: {b: c}}',
    'http_headers',
    'it must be one value or a list of values or a map of values, and not empty',
  ],
  ['http_token_file: [a]', 'http_token_file', 'it must be one value, and not empty'],
];

test.each(KEYS)('%j is refused', async (text, key, said) => {
  const file = join(scratch({ 'settings.yaml': text }), 'settings.yaml');
  expect(await problemsOf({ SETTINGS_FILE: file })).toEqual([`Cannot use ${key} in "${file}": ${said}`]);
});

test('a value in the file that is not accepted is reported with its key, file and value', async () => {
  const file = join(scratch({ 'settings.yaml': 'splay: 1d\nhttp_token: hunter 2\n' }), 'settings.yaml');
  expect(await problemsOf({ SETTINGS_FILE: file })).toEqual([
    `Cannot use http_token in "${file}" "***": it must be visible ASCII characters without blanks, since it is sent in a header`,
    `Cannot use splay in "${file}" "1d": a duration is a number and one unit (ms, s, m or h; none means seconds), such as 500ms, 30s, 5m or 1h; did you mean "24h"?`,
  ]);
});

const TARGETS_SHAPE = 'targets: must be a map from names to settings, such as web: {output: /srv/web.json}';

const FILES: ReadonlyArray<readonly [text: string, said: string]> = [
  [
    'splay: 1s\noutput: [a',
    'it is not valid YAML or JSON in line 2: unexpected end of the stream within a flow collection',
  ],
  ['splay: 1s\nsplay: 2s\n', 'it is not valid YAML or JSON in line 2: duplicated mapping key'],
  [
    'http_token: hunter2\n\tx: y\n',
    'it is not valid YAML or JSON in line 2: tab characters must not be used in indentation',
  ],
  [
    'splay: 1s\n---\nsplay: 2s\n',
    'it is not valid YAML or JSON: expected a single document in the stream, but found more',
  ],
  ['http_token: *hunter2\n', 'it is not valid YAML or JSON in line 1: unidentified alias'],
  ['http_token: !hunter2 x\n', 'it is not valid YAML or JSON in line 1: unknown scalar tag'],
  ['http_token: !h!hunter2 x\n', 'it is not valid YAML or JSON in line 1: undeclared tag handle'],
  ['- splay', 'it must hold a map of settings, such as output: /srv/app.json'],
  ['hunter2', 'it must hold a map of settings, such as output: /srv/app.json'],
  ['targets: [web]', TARGETS_SHAPE],
  ['targets: {}', TARGETS_SHAPE],
  ['targets: {web: {output: /x}}\ndefaults: 3\n', 'defaults: must be a map of settings'],
  ['defaults:\n  splay: 1s\nsplay: 2s\n', 'settings go either at the top or under defaults:, not both'],
  ['defaults: [splay]', 'defaults: must be a map of settings'],
];

test.each(FILES)('the file %j is refused', async (text, said) => {
  const file = join(scratch({ 'settings.yaml': text }), 'settings.yaml');
  expect(await problemsOf({ SETTINGS_FILE: file })).toEqual([`Cannot use SETTINGS_FILE "${file}": ${said}`]);
});

test('a file that cannot be used is the only mistake: what it gives is not called missing', async () => {
  for (const text of [': : {', 'targets: 5', null]) {
    const directory = scratch(text === null ? {} : { 'settings.yaml': text });
    const env = { SETTINGS_FILE: 'settings.yaml', DEBOUNCE: 'x' };
    const thrown: unknown = await loadTargets({ flags: [], env, cwd: directory }).catch(
      (error: unknown) => error,
    );
    expect(thrown).toMatchObject({
      problems: [
        expect.stringContaining('Cannot use SETTINGS_FILE'),
        expect.stringContaining('Cannot use DEBOUNCE "x"'),
      ],
    });
  }
});

test('a file that cannot be read, or is far too large, is refused', async () => {
  const directory = scratch({ 'large.yaml': '#'.repeat(2 ** 20 + 1) });
  expect(await problemsOf({ SETTINGS_FILE: 'none.yaml' }, { cwd: directory })).toEqual([
    `Cannot use SETTINGS_FILE "${directory}/none.yaml": the file does not exist`,
  ]);
  expect(await problemsOf({ SETTINGS_FILE: 'large.yaml' }, { cwd: directory })).toEqual([
    `Cannot use SETTINGS_FILE "${directory}/large.yaml": it is larger than 1MiB`,
  ]);
});
