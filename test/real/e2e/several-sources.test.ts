// Several sources of the built program: when something is published, what an outage of one does, and whose a key is.
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { replaceFile } from '../../support/e2e/backing.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import { until } from '../../support/e2e/until.ts';
import { type HttpSource, respond, startHttpSource } from '../../support/servers/http-source.ts';

type Documents = Record<string, string | null>;

/** Serves these documents by path, those that are null as an outage; only to who has this header, when one is given. */
async function serverOf(documents: Documents): Promise<HttpSource> {
  const server = await startHttpSource();
  server.answer(({ url = '' }, response) => {
    const text = documents[url];
    if (typeof text === 'string') respond(response, 200, text);
    else respond(response, 503, 'down');
  });
  return server;
}

/** A base file, an HTTP document and a directory with a name. */
async function threeSources(place: Place, documents: Documents) {
  const server = await serverOf(documents);
  const base = place.write('base.yaml', 'port: 80\nlog: {level: info}\n');
  place.write('certs/tls.crt', 'PEM 1');
  const variables = {
    SOURCE: `${base} ${server.origin}/app.json tls=${place.at('certs')}/`,
    OUTPUT: `${place.directory('out')}/app.json`,
    UPDATE_FREQUENCY: '200ms',
    RELOAD_MIN_INTERVAL: '0',
  };
  const shown = (): unknown => JSON.parse(place.read('out/app.json'));
  return { server, base, variables, shown };
}

test('nothing is published before all have answered; then one that is down keeps its last data', async (context) => {
  const place = createPlace(context);
  const documents: Documents = { '/app.json': null };
  const { base, variables, shown, server } = await threeSources(place, documents);
  const sidecar = await place.start(variables);
  await until('the outage is reported', () => sidecar.logs('source down').length > 0);
  await sleep(500);
  expect(existsSync(variables.OUTPUT)).toBe(false);
  expect((await sidecar.get('/readyz')).status).toBe(503);
  documents['/app.json'] = '{"log": {"level": "debug"}, "list": [1]}';
  await sidecar.outcome('applied');
  const first = { port: 80, log: { level: 'debug' }, list: [1], tls: { 'tls.crt': 'PEM 1' } };
  expect(shown()).toEqual(first);

  documents['/app.json'] = null;
  await until('it is down', async () => (await sidecar.target()).sources.some(({ up }) => !up));
  replaceFile(base, 'port: 81\n');
  await until('the change of another is applied', () => expect(shown()).toEqual({ ...first, port: 81 }));
  const { sources } = await sidecar.target();
  expect(sources.map(({ url, up }) => [url, up])).toEqual([
    [base, true],
    [`${server.origin}/app.json`, false],
    [`${place.at('certs')}/`, true],
  ]);
  expect(sources[1]?.error?.code).toBe('source.failed');
  const up = await sidecar.metric('config_sidecar_source_up');
  expect(up[`{target="default",source="${base}"}`]).toBe(1);
  expect(up[`{target="default",source="${server.origin}/app.json"}`]).toBe(0);
  expect((await sidecar.target()).desired?.revision.split(',')).toHaveLength(3);
});

test('a conflict, a violation of the schema and an empty source are refused by name, and the old data stays', async (context) => {
  const place = createPlace(context);
  const documents: Documents = { '/app.json': '{"a": 1}' };
  const { base, variables, shown, server } = await threeSources(place, documents);
  const schema = place.write('schema.json', '{"properties": {"a": {"type": "number"}}}');
  const sidecar = await place.start({ ...variables, SCHEMA: schema });
  await sidecar.outcome('applied');
  const before = shown();
  const refused = async (text: string, message: string): Promise<void> => {
    documents['/app.json'] = text;
    await until(message, async () => expect((await sidecar.target()).message).toContain(message));
    expect((await sidecar.target()).outcome).toBe('rejected');
    expect(shown()).toEqual(before);
  };
  await refused(
    '{"log": "all"}',
    `Cannot merge the sources at "log": it is a map in "${base}" and a value in "${server.origin}/app.json"`,
  );
  await refused('{"a": "x"}', `/a must be number (from "${server.origin}/app.json")`);
  await refused('', `Cannot use the source "${server.origin}/app.json": it is empty`);
});

test('check and diff name the source of each key, and whose fault it is', async (context) => {
  const place = createPlace(context);
  const documents: Documents = { '/app.json': '{"log": {"level": "debug"}}' };
  const { base, variables, server } = await threeSources(place, documents);
  const url = `${server.origin}/app.json`;
  const diff = await place.run(['diff', '--exit-code'], variables);
  expect(diff.stdout.split('\n=')[0]).toBe(
    [
      `# from "${base}": port`,
      `# from "${url}": log/level`,
      `# from "tls=${place.at('certs')}/": tls/tls.crt`,
    ].join('\n'),
  );
  expect(diff.code).toBe(7);
  const check = await place.run(['check'], { ...variables, LISTEN: 'off' });
  expect(check.stdout).toContain(
    `ok   content: The keys come from "${base}": port; from "${url}": log/level; from "tls=${place.at('certs')}/": tls/tls.crt.`,
  );
  expect(check.stdout.match(/^ok {3}source: /gm)).toHaveLength(3);
  documents['/app.json'] = null;
  const failed = await place.run(['check'], { ...variables, LISTEN: 'off' });
  expect(failed.code).toBe(3);
  expect(failed.stdout).toContain(`FAIL source: Cannot GET "${url}": the server answered 503.`);
  expect(failed.stdout.match(/^ok {3}source: /gm)).toHaveLength(2);
  const once = await place.run(['once', '--once-timeout', '2s'], { ...variables, LISTEN: 'off' });
  expect(once.code).toBe(3);
  expect(existsSync(variables.OUTPUT)).toBe(false);
});

test('an entry of the settings file is asked with its own credentials and no others, read again', async (context) => {
  const place = createPlace(context);
  const server = await startHttpSource();
  server.answer(({ url = '', headers }, response) => {
    respond(response, 200, JSON.stringify({ [url.slice(1)]: headers.authorization ?? 'none' }));
  });
  const token = place.write('token', 'first\n');
  const settings = place.write(
    'settings.yaml',
    `source:
  - { url: "${server.origin}/own", http_token_file: ${token}, format: json }
  - { url: "${server.origin}/shared", format: json }
  - { url: ./absent/, name: more, optional: true }
`,
  );
  const empty = place.directory('absent');
  expect(existsSync(empty)).toBe(true);
  const sidecar = await place.start({
    SETTINGS_FILE: settings,
    HTTP_USERNAME: 'me',
    HTTP_PASSWORD: 'secret-word',
    OUTPUT: `${place.directory('out')}/app.json`,
    UPDATE_FREQUENCY: '200ms',
    RELOAD_MIN_INTERVAL: '0',
  });
  await sidecar.outcome('applied');
  const shared = `Basic ${Buffer.from('me:secret-word').toString('base64')}`;
  const shown = (): unknown => JSON.parse(place.read('out/app.json'));
  expect(shown()).toEqual({ own: 'Bearer first', shared, more: {} });
  replaceFile(token, 'second\n');
  await until('the new token is used', () => expect(shown()).toMatchObject({ own: 'Bearer second' }));
  place.write('absent/k', 'v');
  await until('what was optional is there', () => expect(shown()).toMatchObject({ more: { k: 'v' } }));
  expect(sidecar.output()).not.toMatch(/first|secret-word/);
});
