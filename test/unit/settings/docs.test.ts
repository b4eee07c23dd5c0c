// What the program says about its settings.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { explain, readmeTable, settingsHelp } from '../../../src/settings/docs.ts';
import { flagOf, NAMES, type Name } from '../../../src/settings/table.ts';
import { load, scratch } from '../../support/settings/settings-loading.ts';

async function valuesOf(env: Readonly<Record<string, string>>, flags: readonly string[] = []) {
  const rows = explain(await load(env, { flags }));
  return (name: Name) => {
    const row = rows.find((each) => each.name === name);
    return row && [row.value, row.from, row.where];
  };
}

test('each effective value is shown in its own spelling, with where it came from', async () => {
  const directory = scratch({ 'settings.yaml': 'max_size: 65536\n' });
  const file = join(directory, 'settings.yaml');
  const value = await valuesOf({ SETTINGS_FILE: file, SPLAY: '90', APP_PROCESS: 'nginx' }, [
    '--output-mode',
    '600',
  ]);
  expect(value('SPLAY')).toEqual(['90s', 'environment', 'SPLAY']);
  expect(value('MAX_SIZE')).toEqual(['64KiB', 'file', `max_size in "${file}"`]);
  expect(value('OUTPUT_MODE')).toEqual(['0600', 'flag', '--output-mode']);
  expect(value('UPDATE_FREQUENCY')).toEqual(['60s', 'default', null]);
  expect(value('STALE_AFTER')).toEqual(['10m', 'default', null]);
  expect(value('DEBOUNCE')).toEqual(['50ms', 'default', null]);
  expect(value('LISTEN')).toEqual([':9533', 'default', null]);
  expect(value('RELOAD_STATUS')).toEqual(['2xx', 'default', null]);
  expect(value('RELOAD_SIGNAL')).toEqual(['SIGHUP', 'default', null]);
  expect(value('STATE_DIR')).toEqual(['/srv/.config-sidecar', 'default', null]);
  expect(value('OUTPUT')).toEqual(['/srv/app.json', 'environment', 'OUTPUT']);
  expect(value('TEMPLATE')).toEqual(['', 'default', null]);
  expect(value('HTTP_TOKEN')).toEqual(['', 'default', null]);
});

test('secrets are masked, and a secret file is shown by its path', async () => {
  const directory = scratch({ token: 'hunter2' });
  const file = join(directory, 'token');
  const env = {
    SOURCE: 'https://user:hunter2@host/a?token=hunter2',
    HTTP_PASSWORD: 'hunter2',
    HTTP_USERNAME: 'me',
    HTTP_HEADERS: 'X: hunter2',
    ETCDCTL_USER: 'user:hunter2',
    ETCDCTL_PASSWORD: 'hunter2',
    CONSUL_HTTP_TOKEN_FILE: file,
    RELOAD_URL: 'http://user:hunter2@host/',
    RELOAD_HEADERS: 'X: hunter2',
  };
  expect(JSON.stringify(explain(await load(env)))).not.toContain('hunter2');
  const value = await valuesOf(env);
  expect(value('SOURCE')?.[0]).toBe('https://host/a?token=***');
  expect(value('ETCDCTL_USER')?.[0]).toBe('user:***');
  expect(value('HTTP_HEADERS')?.[0]).toBe('***');
  expect(value('CONSUL_HTTP_TOKEN')).toEqual([
    `(the content of ${file})`,
    'environment',
    'CONSUL_HTTP_TOKEN_FILE',
  ]);
});

test('help and reference name every setting once', () => {
  for (const name of NAMES) {
    expect(settingsHelp().match(new RegExp(`^  ${flagOf(name)}[ [].*$`, 'gm'))).toHaveLength(1);
    expect(readmeTable().match(new RegExp(`^\\| \`${name}\` \\|.*\\|$`, 'gm'))).toHaveLength(1);
  }
});

test('help shows value, default and meaning', () => {
  expect(settingsHelp()).toContain(`
  --fetch-timeout DURATION
      bound of one read (default: 10s)
`);
  expect(settingsHelp()).toContain(`
  --allow-empty[=true|false]
      accept a source that answers that there is nothing (default: false)
`);
  expect(settingsHelp()).toContain(`
  --reload-gate handler|off
`);
  expect(settingsHelp()).toContain(`
  --output PATH
      a file; or, with a trailing slash, a directory (required)
`);
  const lines = settingsHelp().split('\n');
  expect(lines.filter((line) => line.length > 110)).toEqual([]);
});

test('the reference is one Markdown table for each section', () => {
  expect(readmeTable()).toContain(
    '### Source\n\n| Setting | Type | Default | Meaning |\n|---|---|---|---|\n| `SOURCE` | list of URLs, secret | – | where ',
  );
  expect(readmeTable()).toContain('\n| `OUTPUT_MODE` | mode | `0644` | permission bits');
  for (const row of readmeTable()
    .split('\n')
    .filter((line) => line.startsWith('|'))) {
    expect(row.split('|')).toHaveLength(6);
  }
});
