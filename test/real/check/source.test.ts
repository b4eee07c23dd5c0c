// What the source answers once, and what becomes valid or wrong with its data.
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { checkSource } from '../../../src/check/source.ts';
import { sourceOf } from '../../../src/settings/secrets.ts';
import { createSite, type Examined, examine, type Site, withCode } from '../../support/check/examining.ts';
import type { Env } from '../../support/check/run-check.ts';
import { compile, runProgram } from '../../support/publish/programs.ts';
import { type HttpSource, respond, type Script, startHttpSource } from '../../support/servers/http-source.ts';
import { portOf } from '../../support/servers/ports.ts';
import { loadSettings } from '../../support/settings/only-target.ts';

let server: HttpSource;
beforeAll(async () => {
  server = await startHttpSource();
});
afterAll(() => server.stop());

const asking = async (script: Script, more: Env = {}): Promise<Examined> => {
  server.answer(script);
  return await examine({ ...createSite().env, SOURCE: `${server.origin}/app.json`, ...more });
};

const source = ({ findings }: Examined): unknown => findings.find(({ area }) => area === 'source');

describe('a source', () => {
  test('that is read is reported with its size and revision', async () => {
    const examined = await asking((_request, response) => respond(response, 200, '{}', { etag: '"7"' }));
    expect(source(examined)).toEqual({
      area: 'source',
      level: 'ok',
      code: 'source.readable',
      message: `"${server.origin}/app.json" was read: a document of 2 bytes, revision "7".`,
      mend: null,
    });
  });

  test('that is a tree is reported with its keys', async () => {
    const site = createSite();
    mkdirSync(site.at('tree'));
    site.write('tree/host', 'a');
    site.write('tree/port', '80');
    const examined = await examine({ ...site.env, SOURCE: site.at('tree/') });
    expect(withCode(examined, 'source.readable').message).toMatch(
      new RegExp(`^"${site.at('tree')}/?" was read: 2 keys with 3 bytes, revision .*\\.$`),
    );
  });

  test.each([
    [401, 'source.denied', /HTTP_TOKEN/],
    [404, 'source.not-found', /^Check the path in SOURCE/],
    [500, 'source.failed', /^See what the store itself logs/],
  ])('that answers %i fails with how to mend it', async (status, code, mend) => {
    const examined = await asking((_request, response) => respond(response, status, 'no'));
    const finding = withCode(examined, code);
    expect(finding).toMatchObject({ area: 'source', level: 'fail' });
    expect(finding.message).toMatch(new RegExp(`^Cannot GET "${server.origin}/app.json": .*${status}.*\\.$`));
    expect(finding.mend).toMatch(mend);
    expect(examined.exitCode).toBe(3);
  });

  test.each([
    [
      'a page for people',
      200,
      { 'content-type': 'text/html' },
      'source.wrong-type',
      /^Check the path in SOURCE: the URL returned an HTML page/,
    ],
    [
      'another origin',
      302,
      { location: 'http://127.0.0.2:1/' },
      'source.redirected',
      /^Name the final URL in SOURCE/,
    ],
  ])('that leads to %s is reported', async (_what, status, headers, code, mend) => {
    const examined = await asking((_request, response) => respond(response, status, '<html>', headers));
    expect(withCode(examined, code).mend).toMatch(mend);
  });

  test('that speaks no TLS, or lies behind a proxy that is gone, is reported', async () => {
    const { env } = createSite();
    const plain = await examine({ ...env, SOURCE: `https://127.0.0.1:${server.port}/app.json` });
    expect(source(plain)).toMatchObject({
      level: 'fail',
      mend: expect.stringMatching(/^Check the scheme of SOURCE/),
    });
    const proxied = await examine({
      ...env,
      SOURCE: 'http://store.invalid/a.json',
      http_proxy: 'http://127.0.0.1:1',
    });
    expect(source(proxied)).toMatchObject({
      level: 'fail',
      mend: 'Check the variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY.',
    });
    const unknown = await examine({ ...env, SOURCE: 'http://store.invalid/a.json' });
    expect(source(unknown)).toMatchObject({
      level: 'fail',
      mend: expect.stringMatching(/^Check that it runs, that host and port/),
    });
  });

  test('that is larger than MAX_SIZE says so', async () => {
    const examined = await asking((_request, response) => respond(response, 200, 'x'.repeat(3000)), {
      MAX_SIZE: '2KiB',
    });
    expect(withCode(examined, 'source.too-large').mend).toBe(
      'Make it smaller, or name a smaller part of it in SOURCE. Raise MAX_SIZE only together with the memory limit.',
    );
  });

  test('that does not answer is given up after FETCH_TIMEOUT', async () => {
    const begin = performance.now();
    const examined = await asking(() => {}, { FETCH_TIMEOUT: '300ms' });
    expect(source(examined)).toMatchObject({
      level: 'fail',
      mend: expect.stringMatching(/raise FETCH_TIMEOUT/),
    });
    expect(performance.now() - begin).toBeLessThan(20_000);
  });

  test('on whose port nothing listens is not reachable', async () => {
    const gone = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => gone.once('listening', resolve));
    const port = portOf(gone);
    await new Promise((resolve) => gone.close(resolve));
    const examined = await examine({ ...createSite().env, SOURCE: `http://127.0.0.1:${port}/a.json` });
    expect(source(examined)).toMatchObject({
      level: 'fail',
      message: `Cannot GET "http://127.0.0.1:${port}/a.json": connection refused.`,
      mend: 'Check that it runs, that host and port in SOURCE are right, and that DNS, network policies and firewalls let the sidecar reach it.',
    });
  });

  test('whose token lies in a file that is gone fails, too', async () => {
    const site = createSite();
    const file = site.write('token', 'hidden-word');
    const env = { ...site.env, SOURCE: `${server.origin}/app.json`, HTTP_TOKEN_FILE: file };
    const loaded = await loadSettings({ flags: [], env, cwd: '/' });
    rmSync(file);
    const { findings } = await checkSource(
      { loaded, env, signal: new AbortController().signal },
      await sourceOf(loaded).load(),
    );
    expect(findings).toEqual([
      {
        area: 'source',
        level: 'fail',
        code: 'settings.secret',
        message: expect.stringMatching(/^Cannot use HTTP_TOKEN_FILE .*the file does not exist\.$/),
        mend: 'Correct what it names.',
      },
    ]);
  });

  test('never shows its credentials', async () => {
    server.answer((_request, response) => respond(response, 401, 'no'));
    const url = `${server.origin.replace('//', '//user:hidden-word@')}/app.json`;
    const examined = await examine({ ...createSite().env, SOURCE: url });
    expect(examined.exitCode).toBe(3);
    expect(JSON.stringify(examined)).not.toContain('hidden-word');
  });
});

describe('the content', () => {
  const having = async (data: string, more: (site: Site) => Env): Promise<Examined> => {
    const site = createSite();
    site.write('config.json', data);
    return await examine({ ...site.env, ...more(site) });
  };

  test('is not tried without data', async () => {
    const examined = await having('{}', (site) => ({ SOURCE: site.at('gone.json') }));
    expect(withCode(examined, 'content.not-tried')).toMatchObject({ area: 'content', level: 'warn' });
  });

  test('that is empty is refused, unless that is accepted', async () => {
    const nothing: Script = (_request, response) => respond(response, 200, '');
    const refused = await asking(nothing);
    expect(source(refused)).toMatchObject({
      level: 'ok',
      message: `"${server.origin}/app.json" was read, and says that there is nothing.`,
    });
    expect(withCode(refused, 'source.empty')).toMatchObject({ area: 'content', level: 'fail' });
    expect(refused.exitCode).toBe(4);
    expect((await asking(nothing, { ALLOW_EMPTY: 'true' })).exitCode).toBe(0);
  });

  test('that passes its guards is reported with them', async () => {
    const examined = await having('{"port":80}', (site) => ({
      TEMPLATE: site.write('t.liquid', 'port {{ port }}\n'),
      OUTPUT: site.at('volume/app.conf'),
      REQUIRED_KEYS: 'port',
      SCHEMA: site.write('schema.json', '{"required":["port"]}'),
    }));
    expect(withCode(examined, 'content.accepted').message).toMatch(
      /^The template ".*t\.liquid" makes of it 1 file with 8 bytes; REQUIRED_KEYS are there; SCHEMA is fulfilled\.$/,
    );
  });

  test.each([
    [
      'a missing key',
      'guard.required',
      '{}',
      (): Env => ({ REQUIRED_KEYS: 'db/host' }),
      /^Correct it at the source/,
    ],
    [
      'a schema it violates',
      'guard.schema',
      '{}',
      (site: Site): Env => ({ SCHEMA: site.write('s.json', '{"required":["port"]}') }),
      /^Correct it at the source/,
    ],
    [
      'a file that is not a schema',
      'guard.schema-file',
      '{}',
      (site: Site): Env => ({ SCHEMA: site.write('s.json', '{"type":7}') }),
      /^Correct the schema/,
    ],
    ['data that does not parse', 'guard.parse', '{"a":', (): Env => ({}), /^Correct it at the source/],
    [
      'a template that asks for what is not there',
      'render.template',
      '{}',
      (site: Site): Env => ({ TEMPLATE: site.write('t.liquid', '{{ port }}') }),
      /^Correct the data at the source, or the template/,
    ],
    [
      'a format that cannot hold it',
      'render.',
      '[1,2]',
      (site: Site): Env => ({ OUTPUT: site.at('volume/app.ini') }),
      /^Correct the data at the source, or the template, or FORMAT/,
    ],
  ])('with %s is refused', async (_what, code, data, more, mend) => {
    const examined = await having(data, more);
    const finding = examined.findings.find(({ level, area }) => level === 'fail' && area === 'content');
    expect(finding?.code).toMatch(new RegExp(`^${code}`));
    expect(finding?.mend).toMatch(mend);
    expect(examined.exitCode).toBe(4);
  });

  test('with a template that cannot be read says where that has to be', async () => {
    const site = createSite();
    site.write('t.liquid', 'x'.repeat(5000));
    const larger = await examine({ ...site.env, TEMPLATE: site.at('t.liquid'), MAX_SIZE: '1KiB' });
    expect(larger.findings.find(({ area }) => area === 'content')).toMatchObject({
      level: 'fail',
      code: 'source.too-large',
      mend: 'Put the template where TEMPLATE says, readable for this user.',
    });
  });
});

describe('VALIDATE_COMMAND', () => {
  const validated = async (command: string): Promise<{ examined: Examined; site: Site }> => {
    const site = createSite();
    site.write('good.sh', '#!/bin/sh\ngrep -q 80 "$1"\n', 0o755);
    site.write('bad.sh', '#!/bin/sh\necho "line 1: no"; exit 3\n', 0o755);
    const VALIDATE_COMMAND = command.replace('BIN', site.root);
    return { examined: await examine({ ...site.env, VALIDATE_COMMAND, VALIDATE_TIMEOUT: '5s' }), site };
  };

  test('that accepts the staged copy is reported', async () => {
    const { examined, site } = await validated('BIN/good.sh {path}');
    expect(withCode(examined, 'validation.passed').message).toBe(
      `VALIDATE_COMMAND "${site.at('good.sh')}" accepts it.`,
    );
  });

  test('that refuses is reported with what it printed', async () => {
    const { examined, site } = await validated('BIN/bad.sh {path}');
    expect(withCode(examined, 'validate.command')).toMatchObject({
      area: 'validation',
      level: 'fail',
      message: `Cannot accept the configuration by "${site.at('bad.sh')}": it exited with 3. It printed:\nline 1: no`,
    });
    expect(examined.exitCode).toBe(4);
  });

  test('that is not there is reported as a program that is missing', async () => {
    const { examined } = await validated('BIN/none {path}');
    expect(withCode(examined, 'validate.not-found').mend).toBe(
      'Put the program into the image of the sidecar.',
    );
  });

  test('has no room for its copy in a state directory that is full', async () => {
    const program = compile('check/checking-program.ts');
    onTestFinished(() => program.remove());
    const site = createSite();
    mkdirSync(site.at('state'));
    site.write('config.json', JSON.stringify({ port: 'x'.repeat(100_000) }));
    const env = { ...site.env, STATE_DIR: site.at('state'), VALIDATE_COMMAND: 'true' };
    const mounts = `mount -t tmpfs -o size=64k,mode=777 none '${site.at('state')}'`;
    const examined = await runProgram<Examined>(program, env, { mounts });
    expect(examined.findings.find(({ area }) => area === 'validation')).toMatchObject({
      level: 'fail',
      code: 'publish.no-space',
    });
  });

  test('has no place for its copy where the state directory cannot be made', async () => {
    const site = createSite();
    const STATE_DIR = site.write('a-file', '');
    const examined = await examine({ ...site.env, STATE_DIR, VALIDATE_COMMAND: 'true' });
    expect(withCode(examined, 'validation.not-tried').level).toBe('warn');
  });
});

// It needs files of several users.
test('a file that this user may not read is denied', { tags: ['root'] }, async () => {
  const program = compile('check/checking-program.ts');
  onTestFinished(() => program.remove());
  const site = createSite();
  chmodSync(site.at('volume'), 0o777);
  site.write('config.json', '{}', 0o600);
  const examined = await runProgram<Examined>(program, site.env, { uid: 65_534 });
  expect(withCode(examined, 'source.denied')).toMatchObject({
    area: 'source',
    level: 'fail',
    mend: 'Let user 65534 read it: change its mode or owner, or runAsUser of the sidecar.',
  });
  expect(examined.exitCode).toBe(3);
});
