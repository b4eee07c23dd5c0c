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

/** A secret of this target's own: what hides the secret of one by its value does not hide that of another. */
const secretOf = (target: string): string => `${SECRET}-${target}`;

type Targets = Readonly<Record<string, Variables>>;

/** One settings file with these targets, each with variables of its own. */
function inOneFile(place: Place, targets: Targets): Variables {
  const lower = (variables: Variables): object =>
    Object.fromEntries(Object.entries(variables).map(([name, value]) => [name.toLowerCase(), value]));
  const entries = Object.entries(targets).map(([name, variables]) => [
    name,
    { output: place.at(`out/${name}.json`), ...lower(variables) },
  ]);
  return {
    SETTINGS_FILE: place.write('settings.yaml', JSON.stringify({ targets: Object.fromEntries(entries) })),
  };
}

/**
 * Everything a sidecar with these settings shows, to every caller and to its own user, while it fails and in its commands.
 * `failures` are the events with which each target says that it has failed.
 */
async function expectNothingShown(
  place: Place,
  variables: Variables,
  failures: Readonly<Record<string, string>>,
): Promise<void> {
  const sidecar = await place.start({ LOG_LEVEL: 'debug', CONTROL_TOKEN: secretOf('control'), ...variables });
  for (const [target, event] of Object.entries(failures))
    await until(`${target} has failed`, () => sidecar.logs(event).some((line) => line['target'] === target));
  for (const path of ['/', '/status', '/metrics', '/readyz'])
    expectNoSecret(path, (await sidecar.get(path)).body);
  expectNoSecret('the whole status', JSON.stringify(await sidecar.status()));
  const own = { ...variables, LISTEN: 'off', ONCE_TIMEOUT: '1s', FETCH_TIMEOUT: '1s' };
  const words = [['status'], ['history'], ['settings'], ['check'], ['sync', '--no-wait']];
  await expectNothingPrinted(place, own, words);
  await sidecar.end();
  await expectNothingPrinted(place, own, [['diff'], ['once']]);
  expectNoSecret('the log', sidecar.output());
}

async function expectNothingPrinted(
  place: Place,
  variables: Variables,
  commands: readonly (readonly string[])[],
): Promise<void> {
  for (const words of commands) {
    const { stdout, stderr } = await place.run(words, variables);
    expectNoSecret(words.join(' '), stdout + stderr);
  }
}

/** The same event for each of these. */
const each = (targets: Targets, event: string): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.keys(targets).map((name) => [name, event]));

test('a source that refuses, redirects or repeats its URL: query, login, headers', async (context) => {
  const place = createPlace(context);
  const server = await startHttpSource();
  context.onTestFinished(() => server.stop());
  const followed = (name: string): Variables => {
    const secret = secretOf(name);
    const query = `sig=${secret}&x-own=${secret}&${secret}`;
    const SOURCE = `http://user:${secret}@127.0.0.1:${server.port}/${name}.json?${query}`;
    return { SOURCE, HTTP_HEADERS: `X-Api-Key: ${secret}` };
  };
  server.answer((request, response) => {
    const url = request.url ?? '';
    if (url.startsWith('/repeats')) respond(response, 200, `{ "${url}`);
    else if (url.startsWith('/redirects'))
      response.writeHead(302, { Location: `http://127.0.0.1/?${url}` }).end();
    else respond(response, 403, `no: ${url} ${JSON.stringify(request.headers)}`);
  });
  const variables = { ...fileJob(place).variables, ...followed('refuses') };
  await expectNothingShown(place, variables, { default: 'source down' });
  const targets = { redirects: followed('redirects'), repeats: followed('repeats') };
  const failures = { redirects: 'source down', repeats: 'rejected' };
  await expectNothingShown(place, inOneFile(place, targets), failures);
});

test('a hook and a CONFIRM_URL that repeat what they were asked', async (context) => {
  const place = createPlace(context);
  const server = await startHttpSource();
  context.onTestFinished(() => server.stop());
  server.answer((request, response) =>
    respond(response, 404, `no: ${request.url} ${JSON.stringify(request.headers)}`),
  );
  const { SOURCE = '' } = fileJob(place).variables;
  const asked = (path: string, name: string): string =>
    `${server.origin}/${path}?sig=${secretOf(name)}&own=${secretOf(name)}`;
  const targets: Targets = {
    headed: {
      SOURCE,
      RELOAD_URL: asked('reload', 'headed'),
      RELOAD_HEADERS: `Authorization: Bearer ${secretOf('headed')}`,
    },
    plain: { SOURCE, RELOAD_URL: asked('reload', 'plain') },
    asked: { SOURCE, CONFIRM_URL: asked('check', 'asked'), CONFIRM_TIMEOUT: '1s' },
  };
  const failures = { headed: 'failed', plain: 'failed', asked: 'unconfirmed' };
  await expectNothingShown(place, inOneFile(place, targets), failures);
});

test('a KUBECONFIG with every kind of credentials, broken, refused and repeated by the server', async (context) => {
  const place = createPlace(context);
  const authority = createAuthority('authority');
  const server = await startHttpSource(authority.issue('server'));
  context.onTestFinished(() => server.stop());
  server.answer((request, response) => {
    const message = `who is ${request.headers.authorization}?`;
    respond(response, 500, JSON.stringify({ kind: 'Status', message }));
  });
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
  const pem = (secret: string): string =>
    Buffer.from(`-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----\n`).toString('base64');
  const ways: Readonly<Record<string, (secret: string) => string>> = {
    token: (token) => kubeconfig({ token }),
    blank: (secret) => kubeconfig({ token: `${secret} with a blank` }),
    exec: (secret) =>
      kubeconfig({
        exec: { command: 'login', args: ['--password', secret], env: [{ name: 'P', value: secret }] },
      }),
    password: (password) => kubeconfig({ username: 'me', password }),
    provider: (secret) => kubeconfig({ 'auth-provider': { config: { 'access-token': secret } } }),
    certificate: (secret) =>
      kubeconfig({ 'client-certificate-data': pem(secret), 'client-key-data': pem(secret) }),
    key: (secret) => kubeconfig({ 'client-key-data': pem(secret) }),
    alias: (token) => kubeconfig({ token }, ` *${token}`),
    open: (secret) => `users: [{ token: "${secret}" }`,
    list: (secret) => `- ${secret}`,
  };
  const entries = Object.entries(ways).map(([name, text]): [string, Variables] => {
    const path = place.write(`kubeconfig-${name}`, text(secretOf(name)));
    return [name, { SOURCE: 'k8s://configmap/app', KUBECONFIG: path }];
  });
  const targets = Object.fromEntries(entries);
  await expectNothingShown(place, inOneFile(place, targets), each(targets, 'source down'));
  expect(server.received.map(({ headers }) => headers.authorization)).toContain(
    `Bearer ${secretOf('token')}`,
  );
});

test('credentials of git: in the URL, as settings, as a key, and in what the server answers', async (context) => {
  const place = createPlace(context);
  const server = await startHttpSource();
  context.onTestFinished(() => server.stop());
  const login = (name: string): string => Buffer.from(`user:${secretOf(name)}`).toString('base64');
  server.answer((request, response) => {
    const sent = request.headers.authorization ?? '';
    const name = request.url?.startsWith('/settings') === true ? 'settings' : 'url';
    respond(response, 500, `${secretOf(name)} ${login(name)} ${request.url} ${sent}`);
  });
  // What git is started with, as the process list shows it.
  const argv = place.at('argv');
  const bin = place.write('bin/git', `#!/bin/sh\necho "$@" >> ${argv}\nexec ${findOnPath('git')} "$@"\n`);
  chmodSync(bin, 0o755);
  const key = `-----BEGIN OPENSSH PRIVATE KEY-----\n${secretOf('key')}\n-----END OPENSSH PRIVATE KEY-----`;
  const targets: Targets = {
    url: { SOURCE: `git+http://user:${secretOf('url')}@127.0.0.1:${server.port}/url.git?ref=main` },
    settings: {
      SOURCE: `git+http://127.0.0.1:${server.port}/settings.git?ref=main`,
      GIT_USERNAME: 'user',
      GIT_PASSWORD_FILE: place.write('password', `${secretOf('settings')}\n`),
    },
    key: {
      SOURCE: 'git+ssh://git@127.0.0.1:1/app.git?ref=main',
      GIT_SSH_KEY: key,
      GIT_KNOWN_HOSTS: place.write('hosts', ''),
    },
  };
  const variables = { ...inOneFile(place, targets), PATH: `${dirname(bin)}:${process.env['PATH']}` };
  await expectNothingShown(place, variables, each(targets, 'source down'));
  const words = readFileSync(argv, 'utf8');
  expect(words).toContain('ls-remote');
  const sent = server.received.map(({ headers }) => headers.authorization);
  for (const name of ['url', 'settings']) {
    expect(sent).toContain(`Basic ${login(name)}`);
    for (const secret of [SECRET, login(name)]) expect(words).not.toContain(secret);
  }
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
    defaults: { reload_headers: `Authorization: Bearer ${secretOf('shared')}`, confirm_timeout: '1s' },
    targets: {
      one: {
        source: [
          source('a', { http_token: secretOf('a') }),
          source('b', { http_username: 'me', http_password: secretOf('b') }),
          source('c', { http_headers: `X-Key: ${secretOf('c')}` }),
          { name: 'd', url: `consul://127.0.0.1:${server.port}/d/`, consul_http_token: secretOf('d') },
        ],
        output: place.at('out/one.json'),
      },
      two: {
        source: SOURCE,
        output: place.at('out/two.json'),
        reload_url: `${server.origin}/reload?sig=${secretOf('two')}`,
      },
      three: {
        source: SOURCE,
        output: place.at('out/three.json'),
        confirm_url: `${server.origin}/check?sig=${secretOf('three')}`,
        confirm_headers: `X-Key: ${secretOf('three')}`,
      },
      four: {
        source: SOURCE,
        output: place.at('out/four.json'),
        reload_url: 'https://127.0.0.1:1/reload',
        reload_cert: place.write('cert.pem', secretOf('four')),
        reload_key: place.write('key.pem', secretOf('four')),
      },
    },
  };
  const variables = { SETTINGS_FILE: place.write('settings.yaml', JSON.stringify(settings)) };
  const failures = { one: 'source down', two: 'failed', three: 'unconfirmed', four: 'failed' };
  await expectNothingShown(place, variables, failures);
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
