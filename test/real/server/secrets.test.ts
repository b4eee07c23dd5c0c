// A marked secret in every place that can hold one, on every path that fails: it is in nothing that is shown or handed on.
import { chmodSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { fileJob } from '../../support/e2e/backing.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import type { Variables } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { createAuthority } from '../../support/servers/certificates.ts';
import { findOnPath } from '../../support/servers/find-program.ts';
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

test('a KUBECONFIG with every kind of credentials, broken, refused and repeated by the server', async (context) => {
  const place = createPlace(context);
  const authority = createAuthority('authority');
  const server = await startHttpSource(authority.issue('server'));
  context.onTestFinished(() => server.stop());
  const said = (status: number, message: string): void =>
    server.answer((_request, response) =>
      respond(response, status, JSON.stringify({ kind: 'Status', message })),
    );
  const kubeconfig = (user: object, rest = ''): string =>
    JSON.stringify({
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
      clusters: [
        {
          name: 'k',
          cluster: {
            server: server.origin,
            'certificate-authority-data': Buffer.from(authority.cert).toString('base64'),
          },
        },
      ],
      users: [{ name: 'u', user }],
    }) + rest;
  const token = { token: SECRET };
  const pem = Buffer.from(`-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----\n`).toString(
    'base64',
  );
  const texts: readonly string[] = [
    kubeconfig(token),
    kubeconfig({ token: `${SECRET} with a blank` }),
    kubeconfig({
      exec: { command: 'login', args: ['--password', SECRET], env: [{ name: 'P', value: SECRET }] },
    }),
    kubeconfig({ username: 'me', password: SECRET }),
    kubeconfig({ 'auth-provider': { config: { 'access-token': SECRET } } }),
    kubeconfig({ 'client-certificate-data': pem, 'client-key-data': pem }),
    kubeconfig({ 'client-key-data': pem }),
    kubeconfig(token, ` *${SECRET}`),
    `users: [{ token: "${SECRET}" }`,
    `- ${SECRET}`,
  ];
  const job = fileJob(place);
  said(500, `who is ${SECRET}?`);
  for (const text of texts) {
    const variables = {
      ...job.variables,
      SOURCE: 'k8s://configmap/app',
      KUBECONFIG: place.write('kubeconfig', text),
    };
    await expectNothingShown(place, variables, 'source down');
  }
  expect(server.received.map(({ headers }) => headers.authorization)).toContain(`Bearer ${SECRET}`);
});

test('credentials of git: in the URL, as settings, as a key, and in what the server answers', async (context) => {
  const place = createPlace(context);
  const server = await startHttpSource();
  context.onTestFinished(() => server.stop());
  const login = Buffer.from(`user:${SECRET}`).toString('base64');
  server.answer((request, response) =>
    respond(response, 500, `${SECRET} ${login} ${request.url} ${request.headers.authorization}`),
  );
  // What git is started with, as the process list shows it.
  const argv = place.at('argv');
  const bin = place.write('bin/git', `#!/bin/sh\necho "$@" >> ${argv}\nexec ${findOnPath('git')} "$@"\n`);
  chmodSync(bin, 0o755);
  const job = fileJob(place);
  const ways: readonly Variables[] = [
    { SOURCE: `git+http://user:${SECRET}@127.0.0.1:${server.port}/app.git?ref=main` },
    {
      SOURCE: `git+http://127.0.0.1:${server.port}/app.git?ref=main`,
      GIT_USERNAME: 'user',
      GIT_PASSWORD_FILE: place.write('password', `${SECRET}\n`),
    },
    {
      SOURCE: 'git+ssh://git@127.0.0.1:1/app.git?ref=main',
      GIT_SSH_KEY: `-----BEGIN OPENSSH PRIVATE KEY-----\n${SECRET}\n-----END OPENSSH PRIVATE KEY-----`,
      GIT_KNOWN_HOSTS: place.write('hosts', ''),
    },
  ];
  for (const way of ways) {
    const variables = { ...job.variables, ...way, PATH: `${dirname(bin)}:${process.env['PATH']}` };
    await expectNothingShown(place, variables, 'source down');
  }
  expect(server.received.map(({ headers }) => headers.authorization)).toContain(`Basic ${login}`);
  const words = readFileSync(argv, 'utf8');
  expect(words).toContain('ls-remote');
  for (const secret of [SECRET, login]) expect(words).not.toContain(secret);
});

test('several targets and sources with credentials of their own, headers and keys of hooks', async (context) => {
  const place = createPlace(context);
  const server = await startHttpSource();
  context.onTestFinished(() => server.stop());
  server.answer((request, response) =>
    respond(response, 403, `no: ${request.url} ${JSON.stringify(request.headers)}`),
  );
  const source = (name: string, own: object): object => ({
    name,
    url: `${server.origin}/${name}.json`,
    ...own,
  });
  const { SOURCE } = fileJob(place).variables;
  const settings = {
    defaults: { reload_headers: `Authorization: Bearer ${SECRET}`, confirm_timeout: '1s' },
    targets: {
      one: {
        source: [
          source('a', { http_token: SECRET }),
          source('b', { http_username: 'me', http_password: SECRET }),
          source('c', { http_headers: `X-Key: ${SECRET}` }),
          { name: 'd', url: `consul://127.0.0.1:${server.port}/d/`, consul_http_token: SECRET },
        ],
        output: place.at('out/one.json'),
      },
      two: {
        source: SOURCE,
        output: place.at('out/two.json'),
        reload_url: `${server.origin}/reload?sig=${SECRET}`,
      },
      three: {
        source: SOURCE,
        output: place.at('out/three.json'),
        confirm_url: `${server.origin}/check?sig=${SECRET}`,
        confirm_headers: `X-Key: ${SECRET}`,
      },
      four: {
        source: SOURCE,
        output: place.at('out/four.json'),
        reload_url: 'https://127.0.0.1:1/reload',
        reload_cert: place.write('cert.pem', SECRET),
        reload_key: place.write('key.pem', SECRET),
      },
    },
  };
  const variables = { SETTINGS_FILE: place.write('settings.yaml', JSON.stringify(settings)) };
  for (const event of ['source down', 'failed', 'unconfirmed'])
    await expectNothingShown(place, variables, event);
  const seen = JSON.stringify(server.received);
  for (const path of ['/a.json', '/b.json', '/c.json', '/v1/kv/d', '/reload', '/check'])
    expect(seen).toContain(path);
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
      ...{ CONTROL_TOKEN: SECRET, HTTP_TOKEN: SECRET, ETCDCTL_PASSWORD: SECRET, GIT_PASSWORD: SECRET },
      ...{ GIT_SSH_KEY: SECRET },
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
  // All mistakes are reported at once.
  const together: Variables = {
    ...{ HTTP_HEADERS_FILE: headers, RELOAD_HEADERS_FILE: headers, RELOAD_URL: `htp://h/?sig=${SECRET}` },
    ...{ SOURCE: `htp://h/?sig=${SECRET}`, CONFIRM_URL: `htp:/${SECRET}@h` },
    ...{ CONTROL_TOKEN: `${SECRET} x`, HTTP_TOKEN: `${SECRET}\n\u0001` },
  };
  const [first = {}, ...others] = files;
  const cases: readonly (readonly [command: string, Variables])[] = [
    ...['run', 'check', 'settings'].flatMap((command) => [
      [command, first] as const,
      [command, together] as const,
    ]),
    ...others.map((variables) => ['run', variables] as const),
  ];
  for (const [command, variables] of cases) {
    const own = { SOURCE: '/nowhere', OUTPUT: place.at('out/a'), LISTEN: 'off', ONCE_TIMEOUT: '1s' };
    const { code, stdout, stderr } = await place.run([command], { ...own, ...variables });
    expect([variables, command, code]).toEqual([variables, command, 2]);
    expectNoSecret(`${command} ${JSON.stringify(variables)}`, stdout + stderr);
    if (variables === together) {
      for (const name of Object.keys(together)) expect(stdout + stderr).toContain(name);
    }
  }
});
