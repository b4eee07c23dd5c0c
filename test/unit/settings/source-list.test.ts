// SOURCE with several sources: how they are written, what is refused, and what of them is shown.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { explain } from '../../../src/settings/docs.ts';
import { withoutSecrets } from '../../../src/settings/secrets.ts';
import { load, problemsOf, scratch } from '../../support/settings/settings-loading.ts';

const FROM_FILE = { SOURCE: '' };

async function fileOf(text: string, files: Readonly<Record<string, string>> = {}) {
  const directory = scratch({ ...files, 'settings.yaml': text });
  const file = join(directory, 'settings.yaml');
  return { file, directory, env: { ...FROM_FILE, SETTINGS_FILE: file } };
}

const briefly = (entries: Awaited<ReturnType<typeof load>>['settings']['SOURCE']) =>
  entries?.map(({ url, name, optional, format, own }) => [url.text, name, optional, format, [...own.keys()]]);

describe('several sources', () => {
  it('are separated by white space, each with or without a name', async () => {
    const { settings } = await load({ SOURCE: '  etcd://h/a/\n tls=./certs/\tx1=https://h/a?b=c ' });
    expect(briefly(settings.SOURCE)).toEqual([
      ['etcd://h/a/', null, false, undefined, []],
      ['/work-dir/certs/', 'tls', false, undefined, []],
      ['https://h/a?b=c', 'x1', false, undefined, []],
    ]);
  });

  it('are a list in the settings file, of texts and maps', async () => {
    const { env } = await fileOf(`
source:
  - /base.yaml
  - tls=/certs/
  - { url: https://h/app, name: app, optional: true, format: yaml, http_token: abcd, http_cacert: ca.pem }
`);
    expect(briefly((await load(env)).settings.SOURCE)).toEqual([
      ['/base.yaml', null, false, undefined, []],
      ['/certs/', 'tls', false, undefined, []],
      ['https://h/app', 'app', true, 'yaml', ['HTTP_TOKEN', 'HTTP_CACERT']],
    ]);
    const one = await fileOf('source: { url: /a.json, optional: true }');
    expect(briefly((await load(one.env)).settings.SOURCE)).toEqual([['/a.json', null, true, undefined, []]]);
  });

  it.each([
    [
      '{ url: /a, formt: yaml }',
      'it has an unknown key "formt"; accepted are url, name, optional, format; did you mean "format"?',
    ],
    [
      '{ url: https://h/a, etcdctl_user: u }',
      /^it has an unknown key "etcdctl_user"; accepted are url, name, optional, format, http_token, http_token_file, /,
    ],
    ['{ url: /a, optional: yes }', 'it must be true or false; did you mean "true"?'],
    ['{ url: /a, format: yml2 }', /^it must be json, yaml, toml, ini, env, properties, text or bytes/],
    [
      '{ url: https://h/a, http_token: a b }',
      'it must be visible ASCII characters without blanks, since it is sent in a header',
    ],
    ['{ url: https://h/a, http_token_file: /no/such }', 'the file does not exist'],
    [
      '{ url: https://h/a, http_token: secret1, http_username: me }',
      'Cannot use http_token of source 1 with http_username of source 1: a request carries one of them; keep one',
    ],
  ])('with %s in the file are refused', async (entry, reason) => {
    const { env } = await fileOf(`source: [${entry}]`);
    const [problem = '', ...others] = await problemsOf(env);
    expect(others).toEqual([]);
    const end = problem.startsWith('Cannot use source in')
      ? problem.replace(/^Cannot use source in "[^"]*" "[^"]*": /, '')
      : problem;
    if (typeof reason === 'string') expect(end).toBe(reason);
    else expect(end).toMatch(reason);
  });

  it('that are no texts or maps with a URL are refused', async () => {
    for (const text of [
      'source: []',
      'source: [[/a]]',
      'source: [{ name: x }]',
      'source: [{ url: { a: b } }]',
      'source: ["/a b"]',
    ]) {
      const { env, file } = await fileOf(text);
      expect(await problemsOf(env)).toContain(
        `Cannot use source in "${file}": it must be one value, a map with url, or a list of such; nothing in it may be empty`,
      );
    }
  });

  it('are shown without what is secret, and their secrets are masked in texts of others', async () => {
    const { env } = await fileOf(
      'source: [{ url: "https://u:passw0rd@h/a", http_token: t0ken-of-one, name: x }, "y=etcd://a:s3cret@h/k"]',
    );
    const loaded = await load(env);
    const row = explain(loaded).find(({ name }) => name === 'SOURCE');
    expect(row?.value).toBe('x=https://h/a (with http_token) y=etcd://h/k');
    expect(withoutSecrets(loaded, 'passw0rd t0ken-of-one s3cret')).toBe('*** *** ***');
    const problems = await problemsOf({ SOURCE: 'x=https://u:passw0rd@h/a x=/b' });
    expect(problems).toEqual([
      'Cannot use SOURCE "x=https://h/a x=/b": the name "x" is given to two sources',
    ]);
  });

  it('may not contain the output', async () => {
    expect(await problemsOf({ SOURCE: 'etcd://h/a/ base=/srv/app.json' })).toEqual([
      'Cannot use OUTPUT "/srv/app.json" with SOURCE "etcd://h/a/ base=/srv/app.json": the output would be read again as input',
    ]);
  });

  it('are checked for what belongs to each kind once', async () => {
    expect(await problemsOf({ SOURCE: 'https://h/a x=https://h/b', HTTP_CERT: '/c.pem' })).toEqual([
      'Cannot use HTTP_CERT "/c.pem" without HTTP_KEY: a certificate and its key go together',
    ]);
    const { warnings } = await load({ SOURCE: 'consul://h/a x=consul://h/b', CONSUL_HTTP_ADDR: 'h' });
    expect(warnings.filter((text) => text.includes('CONSUL_HTTP_ADDR'))).toHaveLength(1);
  });
});
