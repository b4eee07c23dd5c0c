// A marked secret in every place that can hold one, on every path that fails: it is in nothing that is shown or handed on.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fileJob } from '../../support/e2e/backing.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import type { Variables } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { respond, startHttpSource } from '../../support/servers/http-source.ts';

const SECRET = 'hunter2-Zq9';

function expectNoSecret(what: string, text: string): void {
  expect([what, text.split('\n').filter((line) => line.includes(SECRET))]).toEqual([what, []]);
}

/** Everything a sidecar with these settings shows, to every caller and to its own user, while it fails and in its commands. */
async function expectNothingShown(place: Place, variables: Variables, hasFailed: string): Promise<void> {
  const sidecar = await place.start({ LOG_LEVEL: 'debug', CONTROL_TOKEN: SECRET, ...variables });
  await until('it has failed', () => sidecar.output().includes(`"${hasFailed}"`));
  for (const path of ['/', '/status', '/metrics', '/readyz'])
    expectNoSecret(path, (await sidecar.get(path)).body);
  expectNoSecret('the whole status', JSON.stringify(await sidecar.status()));
  const own = { ...variables, LISTEN: 'off', ONCE_TIMEOUT: '1s', FETCH_TIMEOUT: '1s' };
  for (const words of [['status'], ['history'], ['settings'], ['check'], ['sync', '--no-wait']]) {
    const { stdout, stderr } = await place.run(words, own);
    expectNoSecret(words.join(' '), stdout + stderr);
  }
  await sidecar.end();
  for (const words of [['diff'], ['once']]) {
    const { stdout, stderr } = await place.run(words, own);
    expectNoSecret(words.join(' '), stdout + stderr);
  }
  expectNoSecret('the log', sidecar.output());
}

test('a source that refuses, redirects or repeats its URL: query, login, headers', async (context) => {
  const place = createPlace(context);
  const server = await startHttpSource();
  context.onTestFinished(() => server.stop());
  const job = fileJob(place);
  const url = `http://user:${SECRET}@127.0.0.1:${server.port}/app.json?sig=${SECRET}&x-own=${SECRET}&${SECRET}`;
  const variables = { ...job.variables, SOURCE: url, HTTP_HEADERS: `X-Api-Key: ${SECRET}` };
  server.answer((request, response) =>
    respond(response, 403, `no: ${request.url} ${JSON.stringify(request.headers)}`),
  );
  await expectNothingShown(place, variables, 'source down');
  server.answer((request, response) => {
    response.writeHead(302, { Location: `http://127.0.0.1/?${request.url}` });
    response.end();
  });
  await expectNothingShown(place, variables, 'source down');
  server.answer((request, response) => respond(response, 200, `{ "${request.url}`));
  await expectNothingShown(place, variables, 'rejected');
});

test('a hook and a CONFIRM_URL that repeat what they were asked', async (context) => {
  const place = createPlace(context);
  const server = await startHttpSource();
  context.onTestFinished(() => server.stop());
  server.answer((request, response) =>
    respond(response, 404, `no: ${request.url} ${JSON.stringify(request.headers)}`),
  );
  const job = fileJob(place);
  const query = `?sig=${SECRET}&own=${SECRET}`;
  const hook = {
    RELOAD_URL: `${server.origin}/reload${query}`,
    RELOAD_HEADERS: `Authorization: Bearer ${SECRET}`,
  };
  await expectNothingShown(place, { ...job.variables, ...hook }, 'failed');
  await expectNothingShown(place, { ...job.variables, RELOAD_URL: hook.RELOAD_URL }, 'failed');
  const confirm = { CONFIRM_URL: `${server.origin}/check${query}`, CONFIRM_TIMEOUT: '1s' };
  await expectNothingShown(place, { ...job.variables, ...confirm }, 'unconfirmed');
});

test('the environment and the arguments of a command, and what the state directory shows to others', async (context) => {
  const place = createPlace(context);
  const job = fileJob(place);
  const seen = place.at('seen');
  const command = `sh -c "env >> ${seen}; tr '\\\\0' ' ' < /proc/self/cmdline >> ${seen}; tr '\\\\0' ' ' < /proc/$PPID/cmdline >> ${seen}"`;
  const sidecar = await place.start(
    {
      ...job.variables,
      ...{ VALIDATE_COMMAND: command, RELOAD_COMMAND: command },
      ...{ CONTROL_TOKEN: SECRET, HTTP_TOKEN: SECRET, ETCDCTL_PASSWORD: SECRET },
    },
    { words: ['--consul-http-token', SECRET] },
  );
  await sidecar.outcome('applied');
  const text = readFileSync(seen, 'utf8');
  expect(text).toContain('CONFIG_OUTPUT=');
  expectNoSecret('the commands', text);
  const state = join(job.config, '../.config-sidecar');
  for (const name of readdirSync(state, { recursive: true, encoding: 'utf8' })) {
    const found = statSync(join(state, name));
    // The lock's socket hands out who holds it, and nothing else.
    if (!found.isSocket()) expect([name, (found.mode & 0o077).toString(8)]).toEqual([name, '0']);
  }
});

test('settings that cannot be read', async (context) => {
  const place = createPlace(context);
  const files = [
    ...[
      `http_token: *${SECRET}`,
      `http_token: !${SECRET} x`,
      `http_token: "${SECRET}`,
      `http_token: ${SECRET}: x`,
    ],
    ...[
      `http_token: {${SECRET}`,
      `http_token: [${SECRET}]`,
      `http_token: |${SECRET}`,
      `http_token: a\n${SECRET}`,
    ],
    ...[`{"http_token": "${SECRET}"`, `http_headers: "no colon ${SECRET}"`, `%TAG ! ${SECRET}\n---\na: b`],
  ].map((text, i) => ({ SETTINGS_FILE: place.write(`${i}.yaml`, `${text}\n`) }));
  const headers = place.write('headers', `X-One: 1\n${SECRET}\n`);
  const cases: readonly Variables[] = [
    ...files,
    ...[{ HTTP_HEADERS_FILE: headers }, { RELOAD_HEADERS_FILE: headers, RELOAD_URL: 'http://127.0.0.1/' }],
    ...[
      { SOURCE: `htp://h/?sig=${SECRET}` },
      { RELOAD_URL: `htp://h/?sig=${SECRET}` },
      { CONFIRM_URL: `htp:/${SECRET}@h` },
    ],
    ...[{ CONTROL_TOKEN: `${SECRET} x` }, { HTTP_TOKEN: `${SECRET}\n\u0001` }],
  ];
  for (const variables of cases) {
    for (const command of ['run', 'check', 'settings']) {
      const own = { SOURCE: '/nowhere', OUTPUT: place.at('out/a'), LISTEN: 'off', ONCE_TIMEOUT: '1s' };
      const { code, stdout, stderr } = await place.run([command], { ...own, ...variables });
      expect([variables, command, code]).toEqual([variables, command, 2]);
      expectNoSecret(`${command} ${JSON.stringify(variables)}`, stdout + stderr);
    }
  }
});
