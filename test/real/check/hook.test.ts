// Whether the hook and what confirms a reload could be reached, without using the hook.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Finding } from '../../../src/check/check.ts';
import { checkHook } from '../../../src/check/hook.ts';
import { createStage, fixture, until } from '../../support/application/process/apart.ts';
import { createSite, type Examined, examine, withCode } from '../../support/check/examining.ts';
import type { Env } from '../../support/check/run-check.ts';
import { createPlace } from '../../support/e2e/place.ts';
import { createAuthority } from '../../support/servers/certificates.ts';
import { type HttpSource, respond, startHttpSource } from '../../support/servers/http-source.ts';
import { portOf } from '../../support/servers/ports.ts';
import { loadSettings } from '../../support/settings/only-target.ts';

let server: HttpSource;
beforeAll(async () => {
  server = await startHttpSource();
});
afterAll(() => server.stop());

const hooked = (env: Env): Promise<Examined> => examine({ ...createSite().env, ...env });

async function listening(): Promise<Server> {
  const listener = createServer((socket) => socket.on('error', () => {}));
  onTestFinished(() => void listener.close());
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', () => resolve(null)));
  return listener;
}

async function freePort(): Promise<number> {
  const listener = await listening();
  const port = portOf(listener);
  await new Promise((resolve) => listener.close(resolve));
  return port;
}

describe('RELOAD_URL', () => {
  test('whose server listens is reachable, and is sent nothing', async () => {
    const before = server.received.length;
    const examined = await hooked({
      RELOAD_URL: `${server.origin}/-/reload?token=secret`,
      RELOAD_METHOD: 'PUT',
    });
    expect(withCode(examined, 'hook.reachable').message).toBe(
      `RELOAD_URL "${server.origin}/-/reload?token=***" accepts connections; PUT was not sent.`,
    );
    expect(server.received).toHaveLength(before);
    expect(examined.exitCode).toBe(0);
  });

  test('where nothing listens is refused', async () => {
    const url = `http://127.0.0.1:${await freePort()}/-/reload`;
    const examined = await hooked({ RELOAD_URL: url });
    expect(withCode(examined, 'http.refused')).toEqual({
      area: 'hook',
      level: 'fail',
      code: 'http.refused',
      message: `Cannot reach RELOAD_URL "${url}": connection refused.`,
      mend: 'Start the application, or correct host, port and scheme in RELOAD_URL; until it answers, the reload stays owed.',
    });
    expect(examined.exitCode).toBe(6);
  });

  test('whose host has no address is reported', async () => {
    const examined = await hooked({ RELOAD_URL: 'http://missing.invalid/-/reload' });
    const finding = withCode(examined, 'http.dns');
    expect(finding.message).toMatch(
      /^Cannot reach RELOAD_URL "http:\/\/missing\.invalid\/-\/reload": the host name (is not known|could not be looked up)\.$/,
    );
    expect(finding.mend).toBe('Correct the host in RELOAD_URL: within a pod it is 127.0.0.1.');
  });

  test('that takes the connection and speaks no TLS is given up', async () => {
    const port = portOf(await listening());
    const examined = await hooked({ RELOAD_URL: `https://127.0.0.1:${port}/`, RELOAD_TIMEOUT: '300ms' });
    expect(withCode(examined, 'http.timeout').message).toBe(
      `Cannot reach RELOAD_URL "https://127.0.0.1:${port}/": no connection within 0.3 s.`,
    );
  });

  test('whose certificate is not trusted here is reported', async () => {
    const tls = createAuthority('unknown').issue('localhost');
    const secure = await startHttpSource(tls);
    onTestFinished(() => secure.stop());
    const examined = await hooked({ RELOAD_URL: `${secure.origin}/` });
    expect(withCode(examined, 'http.tls')).toMatchObject({
      area: 'hook',
      level: 'fail',
      message: expect.stringMatching(
        /the server's certificate is not accepted: no authority that is trusted here signed it \(\w+\)\.$/,
      ),
    });
  });
});

describe('RELOAD_COMMAND', () => {
  test('that could be started is reported, and is not started', async () => {
    const site = createSite();
    const program = site.write('reload.sh', `#!/bin/sh\ntouch ${site.at('started')}\n`, 0o755);
    const before = site.everything();
    const examined = await examine({ ...site.env, RELOAD_COMMAND: `${program} now` });
    expect(withCode(examined, 'hook.executable').message).toBe(
      `RELOAD_COMMAND "${program}" can be started; it was not.`,
    );
    expect(site.everything()).toEqual(before);
  });

  test('that is found by PATH is reported', async () => {
    expect(withCode(await hooked({ RELOAD_COMMAND: 'true' }), 'hook.executable').message).toBe(
      'RELOAD_COMMAND "true" can be started; it was not.',
    );
  });

  test.each([
    ['is not there', '/not/there', 'there is no such program'],
    ['is not on the PATH', 'no-such-program', 'there is no such program'],
    ['may not be executed', 'BIN/plain', `user ${process.geteuid?.()} may not execute it`],
    ['is a directory', 'BIN/folder', 'there is no such program'],
    [
      'names an interpreter that is not there',
      'BIN/script',
      'its first line names "/not/there/python", which is not there',
    ],
  ])('that %s is reported', async (_what, program, reason) => {
    const site = createSite();
    mkdirSync(site.at('folder'));
    writeFileSync(site.at('plain'), 'text', { mode: 0o644 });
    site.write('script', '#!/not/there/python\n', 0o755);
    const command = program.replace('BIN', site.root);
    const examined = await examine({ ...site.env, RELOAD_COMMAND: command });
    expect(withCode(examined, 'reload.not-found')).toEqual({
      area: 'hook',
      level: 'fail',
      code: 'reload.not-found',
      message: `Cannot reload by "${command}": ${reason}.`,
      mend: 'Put the program into the image of the sidecar, or correct RELOAD_COMMAND.',
    });
    expect(examined.exitCode).toBe(6);
  });
});

describe('CONFIRM_URL', () => {
  const answering = async (body: string, env: Env = {}, status = 200): Promise<Examined> => {
    server.answer((_request, response) => respond(response, status, body));
    return await hooked({ CONFIRM_URL: `${server.origin}/status`, ...env });
  };

  test('that answers 2xx is asked once, and well', async () => {
    const before = server.received.length;
    const examined = await answering('fine', {}, 204);
    expect(withCode(examined, 'confirm.answers').message).toBe(
      `CONFIRM_URL "${server.origin}/status" answers 204.`,
    );
    expect(server.received.slice(before).map(({ method }) => method)).toEqual(['GET']);
  });

  test('that answers anything else would fail every change', async () => {
    const examined = await answering('no', {}, 503);
    expect(withCode(examined, 'confirm.status')).toEqual({
      area: 'confirmation',
      level: 'fail',
      code: 'confirm.status',
      message: `CONFIRM_URL "${server.origin}/status" answers 503, and has to answer 2xx.`,
      mend: 'Start the application, or correct CONFIRM_URL: as it is, every change would count as failed.',
    });
    expect(examined.exitCode).toBe(6);
  });

  test('where nothing listens is reported', async () => {
    const url = `http://127.0.0.1:${await freePort()}/status`;
    expect(withCode(await hooked({ CONFIRM_URL: url }), 'http.refused')).toMatchObject({
      area: 'confirmation',
      level: 'fail',
      message: `Cannot ask CONFIRM_URL: Cannot GET "${url}": connection refused.`,
    });
  });

  test.each([
    ['a revision', '{"config":{"revision":"41"}}', '"revision":"{revision}"'],
    ['a digest and a time', 'sha256:abc loaded_at 1.7e+09', '{digest} loaded_at (?<time>\\S+)'],
  ])('whose answer has the place of %s fits CONFIRM_MATCH', async (_what, body, match) => {
    expect(withCode(await answering(body, { CONFIRM_MATCH: match }), 'confirm.matches').level).toBe('ok');
  });

  test('whose answer has nothing that CONFIRM_MATCH wants is a warning, and a failure once something is published', async () => {
    const examined = await answering('all fine', { CONFIRM_MATCH: 'revision={revision}' });
    expect(withCode(examined, 'confirm.no-match')).toEqual({
      area: 'confirmation',
      level: 'warn',
      code: 'confirm.no-match',
      message: `The answer has nothing that CONFIRM_MATCH matches, whatever the revision (CONFIRM_URL "${server.origin}/status").`,
      mend: 'Correct CONFIRM_MATCH, or make the application answer with what it matches. Nothing is published yet, so it may still come.',
    });
    expect(examined.exitCode).toBe(0);
  });

  test('whose time is in milliseconds, or a date, is reported', async () => {
    for (const time of ['1700000000000', '2023-11-14']) {
      const examined = await answering(`at ${time}`, { CONFIRM_MATCH: 'at (?<time>\\S+)' });
      expect(withCode(examined, 'confirm.no-time')).toMatchObject({ area: 'confirmation', level: 'fail' });
    }
  });
});

describe('CONFIRM_WORKERS', () => {
  test('needs a process that has children', async (context) => {
    const site = createSite();
    const stage = createStage(context);
    const shell = stage.called(stage.name, execFileSync('which', ['bash'], { encoding: 'utf8' }).trim());
    const script = 'trap : HUP; sleep 600 & echo $! > "$0"; while :; do wait; done';
    stage.start([shell, '-c', script, stage.at('record')]);
    const child = await until('it has a child', () => Number(stage.read('record')));
    onTestFinished(() => void process.kill(child, 'SIGKILL'));
    const env = { ...site.env, APP_PROCESS: stage.name, CONFIRM_WORKERS: 'true' };
    const examined = await examine(env);
    expect(withCode(examined, 'confirm.workers').message).toMatch(
      /^Process \d+ \(.*\) has 1 child, which a reload has to replace \(CONFIRM_WORKERS\)\.$/,
    );
    const alone = createStage(context);
    const node = alone.called(alone.name, process.execPath);
    alone.start([node, fixture('takes-hup.mjs'), alone.at('record')]);
    await until('it listens', () => alone.read('record').includes('listening'));
    expect(withCode(await examine({ ...env, APP_PROCESS: alone.name }), 'confirm.no-workers')).toMatchObject({
      area: 'confirmation',
      level: 'fail',
      mend: 'Leave CONFIRM_WORKERS out, unless it starts workers when it reloads.',
    });
  });
});

test('a header file that is gone is reported', async () => {
  const site = createSite();
  const file = site.write('headers', 'Authorization: Bearer abc');
  const env = { ...site.env, RELOAD_URL: server.origin, RELOAD_HEADERS_FILE: file };
  const loaded = await loadSettings({ flags: [], env, cwd: '/' });
  rmSync(file);
  expect(await checkHook({ loaded, env, signal: new AbortController().signal })).toEqual([
    {
      area: 'hook',
      level: 'fail',
      code: 'settings.secret',
      message: expect.stringMatching(/^Cannot use RELOAD_HEADERS_FILE .*the file does not exist\.$/),
      mend: 'Correct what it names.',
    },
  ]);
});

test('a hook that the running sidecar has used in vain is a failure, though its server listens', async (context) => {
  const place = createPlace(context);
  server.answer((_request, response) => respond(response, 404, 'no such page'));
  const env = {
    SOURCE: place.write('source.json', '{"a":1}'),
    OUTPUT: `${place.directory('volume')}/app.json`,
    RELOAD_URL: `${server.origin}/-/reload`,
  };
  const sidecar = await place.start(env);
  await sidecar.outcome('failed');
  const { code, stdout } = await place.run(['check', '--json'], env);
  const findings: readonly Finding[] = JSON.parse(stdout);
  expect(findings.filter(({ area }) => area === 'hook')).toEqual([
    {
      area: 'hook',
      level: 'fail',
      code: 'reload.status',
      message: `The sidecar that runs here has used the hook and failed: Cannot POST "${server.origin}/-/reload": it answered 404; check RELOAD_URL, RELOAD_METHOD and RELOAD_HEADERS`,
      mend: 'Correct what it names. "config-sidecar sync" then tries it at once.',
    },
  ]);
  expect(code).toBe(6);
});
