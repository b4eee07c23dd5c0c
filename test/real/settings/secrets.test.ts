// Secrets: given as files, read again at every use, never shown.
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SidecarError } from '../../../src/lib/errors.ts';
import {
  currentOf,
  type FollowedSource,
  secretOf,
  settingsForProvider,
  sourceOf,
} from '../../../src/settings/secrets.ts';
import { load, problemsOf, scratch } from '../../support/settings/settings-loading.ts';

const textsOf = ({ entries }: FollowedSource): string[] => entries.map(({ url }) => url.text);

test('a secret file is read again at every use, and loses one trailing newline', async () => {
  const directory = scratch({ password: 'first\n\n' });
  const file = join(directory, 'password');
  const loaded = await load({ HTTP_PASSWORD_FILE: file });
  expect(secretOf(loaded, 'HTTP_PASSWORD')).toBe('first\n');
  writeFileSync(file, ' second\r\n');
  expect(secretOf(loaded, 'HTTP_PASSWORD')).toBe(' second');
  expect(settingsForProvider(loaded)('HTTP_PASSWORD')).toBe(' second');
});

test('a secret can be a file in all three spellings', async () => {
  const directory = scratch({ token: 'abc\n', 'settings.yaml': 'http_token_file: token\n' });
  for (const more of [
    { flags: ['--http-token-file', 'token'] },
    { flags: ['--settings-file', 'settings.yaml'] },
  ]) {
    expect(secretOf(await load({}, { ...more, cwd: directory }), 'HTTP_TOKEN')).toBe('abc');
  }
  const prefixed = await load({ CONFIG_SIDECAR_HTTP_TOKEN_FILE: 'token' }, { cwd: directory });
  expect(secretOf(prefixed, 'HTTP_TOKEN')).toBe('abc');
});

test('URLs and headers with secrets can be files too, and their values follow the file', async () => {
  const directory = scratch({
    source: 'etcd://u:p@a/app/\n',
    url: 'http://u:p@localhost/\n',
    headers: 'A: b\nC: d\n',
  });
  const path = (name: string): string => join(directory, name);
  const loaded = await load({
    SOURCE: '',
    SOURCE_FILE: path('source'),
    RELOAD_URL_FILE: path('url'),
    RELOAD_HEADERS_FILE: path('headers'),
  });
  expect(textsOf(sourceOf(loaded))).toEqual(['etcd://u:p@a/app/']);
  expect(currentOf(loaded, 'RELOAD_URL')).toBe('http://u:p@localhost/');
  expect(currentOf(loaded, 'RELOAD_HEADERS')).toEqual([
    ['A', 'b'],
    ['C', 'd'],
  ]);
  writeFileSync(path('headers'), 'A: rotated\n');
  expect(currentOf(loaded, 'RELOAD_HEADERS')).toEqual([['A', 'rotated']]);
});

test('a secret file that cannot be read later is an error with a code of its own', async () => {
  const directory = scratch({ token: 'hunter2' });
  const file = join(directory, 'token');
  const loaded = await load({ HTTP_TOKEN_FILE: file });
  writeFileSync(file, 'hunter 2');
  expect(() => secretOf(loaded, 'HTTP_TOKEN')).toThrow(
    new SidecarError(
      `Cannot use HTTP_TOKEN_FILE "${file}": it must be visible ASCII characters without blanks, since it is sent in a header`,
      { code: 'settings.secret', stage: 'settings' },
    ),
  );
  rmSync(file);
  expect(() => secretOf(loaded, 'HTTP_TOKEN')).toThrow(
    `Cannot use HTTP_TOKEN_FILE "${file}": the file does not exist`,
  );
  expect(codeOf(() => secretOf(loaded, 'HTTP_TOKEN'))).toBe('settings.secret');
});

function codeOf(use: () => unknown): string | undefined {
  try {
    use();
    return undefined;
  } catch (error) {
    return error instanceof SidecarError ? error.code : String(error);
  }
}

test('both a secret and its file are a mistake, unless one of them comes from a stronger place', async () => {
  const directory = scratch({ token: 'abc' });
  const file = join(directory, 'token');
  expect(await problemsOf({ HTTP_TOKEN: 'hunter2', HTTP_TOKEN_FILE: file })).toEqual([
    `Cannot use HTTP_TOKEN_FILE "${file}" with HTTP_TOKEN "***": keep one of them`,
  ]);
  const loaded = await load({ HTTP_TOKEN: 'theirs', CONFIG_SIDECAR_HTTP_TOKEN_FILE: file });
  expect(secretOf(loaded, 'HTTP_TOKEN')).toBe('abc');
});

test('a secret file that is no good at the start is a mistake', async () => {
  const directory = scratch({ empty: '\n', long: 'x'.repeat(65_537), most: 'x'.repeat(65_536) });
  writeFileSync(join(directory, 'binary'), Buffer.from([0xff, 0xfe]));
  const said = async (name: string): Promise<readonly string[]> =>
    problemsOf({ CONSUL_HTTP_TOKEN_FILE: name }, { cwd: directory });
  expect(await said('none')).toEqual(['Cannot use CONSUL_HTTP_TOKEN_FILE "none": the file does not exist']);
  expect(await said('empty')).toEqual(['Cannot use CONSUL_HTTP_TOKEN_FILE "empty": it is empty']);
  expect(await said('long')).toEqual(['Cannot use CONSUL_HTTP_TOKEN_FILE "long": it is larger than 64KiB']);
  expect(await said('binary')).toEqual(['Cannot use CONSUL_HTTP_TOKEN_FILE "binary": it is not UTF-8 text']);
  expect(await said('.')).toEqual([
    'Cannot use CONSUL_HTTP_TOKEN_FILE ".": it is a directory; a file is needed',
  ]);
  expect(await said('/dev/zero')).toEqual([
    'Cannot use CONSUL_HTTP_TOKEN_FILE "/dev/zero": it is larger than 64KiB',
  ]);
  execFileSync('mkfifo', [join(directory, 'pipe')]);
  expect(await said('pipe')).toEqual(['Cannot use CONSUL_HTTP_TOKEN_FILE "pipe": it is empty']);
  expect(await said('most')).toEqual([]);
});

test('what a secret file holds shows in no message', async () => {
  const directory = scratch({ source: 'etdc://user:hunter2@h/a', headers: 'hunter2' });
  const problems = await problemsOf(
    { SOURCE: '', SOURCE_FILE: 'source', HTTP_HEADERS_FILE: 'headers' },
    { cwd: directory },
  );
  expect(problems).toEqual([
    expect.stringMatching(
      /^Cannot use SOURCE_FILE "source": it must be a URL beginning with file:.*, or a path beginning with [./, or]+$/,
    ),
    'Cannot use HTTP_HEADERS_FILE "headers": line 1 is not a header; each line reads Name: value',
  ]);
});

test('a provider gets texts as given and paths made absolute, and nothing that was not given', async () => {
  const setting = settingsForProvider(await load({ HTTP_CACERT: 'ca.pem', HTTP_HEADERS: 'A: b\nC: d' }));
  expect(setting('HTTP_CACERT')).toBe('/work-dir/ca.pem');
  expect(setting('HTTP_HEADERS')).toBe('A: b\nC: d');
  expect(setting('HTTP_TOKEN')).toBeUndefined();
  expect(setting('NO_SUCH_SETTING')).toBeUndefined();
});

test('CONFIG_FILE is followed instead of SOURCE, whatever its name', async () => {
  expect(textsOf(sourceOf(await load({ CONFIG_FILE: 'a#b c.json' })))).toEqual([
    'file:///work-dir/a%23b%20c.json',
  ]);
  expect(textsOf(sourceOf(await load({ SOURCE: './conf/#/a' })))).toEqual(['/work-dir/conf/#/a']);
});
