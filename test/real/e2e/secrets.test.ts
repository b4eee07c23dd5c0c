// A secret that is given to the sidecar stays in it: nothing it prints, answers or writes shows one.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fileJob } from '../../support/e2e/backing.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import type { Sidecar, Variables } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { type ConsulServer, startConsul } from '../../support/servers/consul.ts';
import { type EtcdServer, startEtcd } from '../../support/servers/etcd.ts';
import { respond, startHttpSource } from '../../support/servers/http-source.ts';
import { freePorts } from '../../support/servers/ports.ts';

/** What no text may hold. Written out, and as base64 of a login. */
const SECRET = 'hunter2-Zq9';
const LOGINS = [`user:${SECRET}`, `reader:${SECRET}`, `:${SECRET}`].map((login) =>
  Buffer.from(login).toString('base64'),
);

let etcd: EtcdServer;
let consul: ConsulServer;

beforeAll(async () => {
  [etcd, consul] = await Promise.all([startEtcd(), startConsul({ rootToken: 'a-root-token' })]);
  await etcd.enableAuth();
});

afterAll(async () => {
  await Promise.all([etcd?.end(), consul?.end()]);
});

async function everythingSaid(place: Place, sidecar: Sidecar, variables: Variables): Promise<string> {
  const paths = ['/status', '/metrics', '/readyz', '/healthz'];
  const answers = await Promise.all(paths.map(async (path) => (await sidecar.get(path)).body));
  const commands = await Promise.all(
    [['settings'], ['status'], ['status', '--json'], ['diff'], ['once']].map(async (words) => {
      const own = { LISTEN: `127.0.0.1:${sidecar.port}`, ONCE_TIMEOUT: '1s', FETCH_TIMEOUT: '1s' };
      const { stdout, stderr } = await place.run(words, {
        ...variables,
        ...own,
        OUTPUT: `${place.directory('other')}/app.json`,
      });
      return stdout + stderr;
    }),
  );
  await sidecar.end();
  return [sidecar.output(), ...answers, ...commands, ...filesBelow(place.at('out'))].join('\n');
}

function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true })
    .map((name) => join(directory, String(name)))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path, 'utf8'));
}

function expectNoSecret(text: string): void {
  const lines = text
    .split('\n')
    .filter((line) => [SECRET, ...LOGINS].some((secret) => line.includes(secret)));
  expect(lines).toEqual([]);
}

describe.concurrent('no secret is shown', () => {
  const withAll: Variables = {
    HTTP_TOKEN: SECRET,
    HTTP_HEADERS: `X-Api-Key: ${SECRET}`,
    ETCDCTL_PASSWORD: SECRET,
    CONSUL_HTTP_TOKEN: SECRET,
    LOG_LEVEL: 'debug',
  };

  test('with an HTTP source and an HTTP hook that repeat what they were sent, and refuse', async (context) => {
    const place = createPlace(context);
    const server = await startHttpSource();
    server.answer((request, response) => respond(response, 403, `no: ${JSON.stringify(request.headers)}`));
    const hook = await startHttpSource();
    hook.answer((request, response) => respond(response, 403, `no: ${request.headers.authorization}`));
    const job = fileJob(place);
    const hidden = `user:${SECRET}@127.0.0.1`;
    const variables = {
      ...withAll,
      OUTPUT: job.config,
      SOURCE: `http://${hidden}:${server.port}/app.json`,
      RELOAD_URL: `http://${hidden}:${hook.port}/reload?a=b`,
      RELOAD_HEADERS: `Authorization: Bearer ${SECRET}`,
    };
    const { HTTP_TOKEN: _leftOut, ...byUrl }: Variables = variables;
    const sidecar = await place.start(byUrl);
    await until('the source has refused', () => sidecar.logs('source down').length > 0);
    expect(JSON.stringify(server.received)).toMatch(new RegExp(`${SECRET}|${LOGINS[0]}`));
    expectNoSecret(await everythingSaid(place, sidecar, byUrl));
    const showing = await place.start({ ...variables, SOURCE: place.at('source.json') });
    await showing.outcome('failed');
    expect(JSON.stringify(hook.received)).toMatch(new RegExp(`${SECRET}|${LOGINS[0]}`));
    // The application's own answer is what it chose to say, and is logged as such.
    const own = showing
      .output()
      .split('\n')
      .filter((line) => !line.includes('"printed":'));
    expectNoSecret(own.join('\n'));
    expectNoSecret((await showing.get('/status')).body + (await showing.get('/metrics')).body);
    await Promise.all([server.stop(), hook.stop()]);
  });

  test('with etcd and a wrong password, then after the file that holds it was mended', async (context) => {
    const place = createPlace(context);
    await etcd.ctl('put', `/app/${place.name}/a`, '1');
    const file = place.write('password', `${SECRET}\n`);
    const variables = {
      SOURCE: `etcd://127.0.0.1:${etcd.port}/app/${place.name}/`,
      OUTPUT: `${place.directory('out')}/app.json`,
      ETCDCTL_USER: 'reader',
      ETCDCTL_PASSWORD_FILE: file,
      LOG_LEVEL: 'debug',
    };
    const sidecar = await place.start(variables);
    await until('it is refused', () => sidecar.logs('source down').length > 0);
    place.write('password', 'secret\n');
    await sidecar.outcome('applied');
    place.write('password', `${SECRET}\n`);
    expectNoSecret(await everythingSaid(place, sidecar, variables));
  });

  test('with Consul and a wrong token, then after the file that holds it was mended', async (context) => {
    const place = createPlace(context);
    await consul.put(`${place.name}/a`, '1');
    const file = place.write('token', SECRET);
    const variables = {
      SOURCE: `consul://127.0.0.1:${consul.port}/${place.name}/`,
      OUTPUT: `${place.directory('out')}/app.json`,
      CONSUL_HTTP_TOKEN_FILE: file,
      LOG_LEVEL: 'debug',
    };
    const sidecar = await place.start(variables);
    await until('something was said', async () => {
      const { outcome, sources } = await sidecar.target();
      return outcome !== null || (sources[0]?.error ?? null) !== null;
    });
    place.write('token', await consul.readingToken(`${place.name}/`));
    await sidecar.outcome('applied');
    place.write('token', SECRET);
    expectNoSecret(await everythingSaid(place, sidecar, variables));
  });

  test('in what is said of settings that are wrong', async (context) => {
    const place = createPlace(context);
    const [port = 0] = await freePorts(1);
    const cases: readonly Variables[] = [
      { SOURCE: `etcdx://user:${SECRET}@127.0.0.1/app/` },
      { SOURCE: `http://user:${SECRET}@127.0.0.1:${port}/a`, HTTP_TOKEN: `${SECRET}\nx` },
      { HTTP_HEADERS: `no colon ${SECRET}` },
      { RELOAD_URL: `htp://user:${SECRET}@host/`, RELOAD_COMMAND: 'true' },
      { CONSUL_HTTP_TOKEN: SECRET, CONSUL_HTTP_TOKEN_FILE: place.at('nowhere') },
      { SETTINGS_FILE: place.write('broken.yaml', `http_token: "${SECRET}\nx: [`) },
      { SETTINGS_FILE: place.write('odd.yaml', `http_token: [${SECRET}]\nhttp_pasword: ${SECRET}\n`) },
    ];
    for (const variables of cases) {
      for (const command of ['run', 'settings']) {
        const { code, stdout, stderr } = await place.run([command], {
          OUTPUT: place.at('out/a'),
          LISTEN: 'off',
          ...variables,
        });
        expect(code).toBe(2);
        expectNoSecret(stdout + stderr);
      }
    }
  });
});
