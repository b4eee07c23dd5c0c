// The commands as a shell sees them: exit codes, what they print, where settings come from, logs and endpoints.

import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { constants, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { fileJob, publishedValue } from '../../support/e2e/backing.ts';
import { createPlace } from '../../support/e2e/place.ts';
import { httpGet } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { respond, startHttpSource } from '../../support/servers/http-source.ts';
import { freePorts } from '../../support/servers/ports.ts';

describe.concurrent('once', () => {
  test('publishes, notifies and ends with 0; the second time there is nothing to do', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const app = await place.app({ config: job.config });
    const variables = { ...job.variables, APP_PROCESS: place.name };
    expect((await place.run(['once'], variables)).code).toBe(0);
    expect(app.told().map(publishedValue)).toEqual(['one']);
    const { ino } = statSync(job.config);
    expect((await place.run(['once'], variables)).code).toBe(0);
    expect(statSync(job.config).ino).toBe(ino);
    job.set('two');
    expect((await place.run(['once'], variables)).code).toBe(0);
    await until('it is notified of the second', () => app.told().length === 2);
    expect(app.told().map(publishedValue)).toEqual(['one', 'two']);
  });

  test('has an exit code for each kind of failure', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const bad = await startHttpSource();
    bad.answer((_request, response) => respond(response, 404, 'no'));
    const silent = await startHttpSource();
    silent.answer(() => {});
    const template = place.write('bad.liquid', '{{ nothing.there }}');
    const cases: Readonly<Record<string, readonly [number, Readonly<Record<string, string>>]>> = {
      settings: [2, { UPDATE_FREQUENCY: 'often' }],
      source: [3, { SOURCE: place.at('nowhere.json'), ONCE_TIMEOUT: '700ms' }],
      'a source that says nothing': [3, { SOURCE: `${silent.origin}/app.yaml`, ONCE_TIMEOUT: '700ms' }],
      render: [4, { OUTPUT: place.at('out/x'), TEMPLATE: template }],
      guard: [4, { REQUIRED_KEYS: 'missing' }],
      check: [4, { VALIDATE_COMMAND: 'false' }],
      publishing: [5, { OUTPUT: place.at('missing/app.json') }],
      'a hook that is wrong': [6, { RELOAD_URL: bad.origin }],
      'a hook that says no': [6, { RELOAD_COMMAND: 'false' }],
      'a hook that is not there yet': [0, { RELOAD_COMMAND: "sh -c 'exit 75'" }],
      'an application that is not there yet': [0, { APP_PROCESS: place.name }],
    };
    const codes = await Promise.all(
      Object.entries(cases).map(async ([name, [, variables]], i) => {
        const output = { OUTPUT: `${place.directory(`out-${i}`)}/app.json` };
        const { code } = await place.run(['once'], { ...job.variables, ...output, ...variables });
        return [name, code];
      }),
    );
    expect(Object.fromEntries(codes)).toEqual(
      Object.fromEntries(Object.entries(cases).map(([name, [code]]) => [name, code])),
    );
    await Promise.all([bad.stop(), silent.stop()]);
  });

  test('leaves what it could not deliver to the sidecar that comes after it', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const variables = { ...job.variables, RELOAD_COMMAND: `sh ${place.write('hook.sh', 'exit 75\n')}` };
    expect((await place.run(['once'], variables)).code).toBe(0);
    place.write('hook.sh', 'echo told >> told\n');
    const sidecar = await place.start(variables);
    await sidecar.outcome('applied');
    expect(place.read('told')).toBe('told\n');
  });
});

describe.concurrent('diff', () => {
  test('prints what would change, writes nothing, and says by its exit code whether something would', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const first = await place.run(['diff'], job.variables);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toContain('+{"value":"one"}');
    expect(readdirSync(place.at('out'))).toEqual([]);
    expect((await place.run(['diff', '--exit-code'], job.variables)).code).toBe(7);
    await place.run(['once'], job.variables);
    const before = place.read('out/.config-sidecar/app.json/ledger.1.json');
    expect(await place.run(['diff', '--exit-code'], job.variables)).toMatchObject({ code: 0, stdout: '' });
    job.set('two');
    const changed = await place.run(['diff', '--exit-code'], job.variables);
    expect(changed.code).toBe(7);
    expect(changed.stdout).toContain('-{"value":"one"}\n+{"value":"two"}\n');
    expect(place.read('out/app.json')).toBe('{"value":"one"}\n');
    expect(place.read('out/.config-sidecar/app.json/ledger.1.json')).toBe(before);
    expect(
      (await place.run(['diff'], { ...job.variables, SOURCE: place.at('nowhere.json'), FETCH_TIMEOUT: '1s' }))
        .code,
    ).toBe(3);
    expect((await place.run(['diff'], { ...job.variables, REQUIRED_KEYS: 'x' })).code).toBe(4);
  });
});

describe.concurrent('status', () => {
  test('ends with 0 when ready, with 8 when not ready or not running', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const sidecar = await place.start(job.variables);
    await sidecar.outcome('applied');
    const listen = { LISTEN: `127.0.0.1:${sidecar.port}` };
    const ready = await place.run(['status'], listen);
    expect(ready).toMatchObject({ code: 0, stderr: '' });
    expect(ready.stdout).toContain(`${place.name}-sidecar: ready, fresh\ndefault: applied`);
    const json = await place.run(['status', '--json'], listen);
    expect(JSON.parse(json.stdout)).toMatchObject({
      ready: true,
      targets: {
        default: {
          outcome: 'applied',
          lastKnownGood: { rendering: expect.stringMatching(/^sha256:/) },
          pinned: false,
          sources: [{ up: true, error: null }],
        },
      },
    });
    await sidecar.end();
    const gone = await place.run(['status'], listen);
    expect(gone.code).toBe(8);
    expect(gone.stderr).toContain(
      `Cannot get the status: no sidecar answers at "http://127.0.0.1:${sidecar.port}/status"`,
    );
    const waiting = await place.start({
      ...job.variables,
      SOURCE: place.at('nowhere.json'),
      OUTPUT: place.at('out/b.json'),
    });
    await until('it listens', () => waiting.get('/healthz'));
    expect((await place.run(['status'], { LISTEN: `127.0.0.1:${waiting.port}` })).code).toBe(8);
  });
});

describe.concurrent('settings', () => {
  test('given as flag, variable and in a file: the flag wins, then the prefix, the variable, the file', async (context) => {
    const place = createPlace(context);
    const file = place.write(
      'settings.yaml',
      'debounce: 1s\nsplay: 1s\nstale_after: 1h\nfetch_timeout: 1s\n',
    );
    const { code, stdout } = await place.run(['settings', '--debounce', '4s'], {
      SETTINGS_FILE: file,
      DEBOUNCE: '3s',
      DEBOUNCE_MAX: '9s',
      SPLAY: '3s',
      STALE_AFTER: '3h',
      CONFIG_SIDECAR_STALE_AFTER: '2h',
    });
    expect(code).toBe(0);
    const row = (name: string): string =>
      stdout.split('\n').find((line) => line.startsWith(`${name} `)) ?? '';
    expect(row('DEBOUNCE')).toMatch(/ 4s +flag$/);
    expect(row('STALE_AFTER')).toMatch(/ 2h +environment/);
    expect(row('SPLAY')).toMatch(/ 3s +environment/);
    expect(row('FETCH_TIMEOUT')).toMatch(/ 1s +.*file/);
    expect(row('RELOAD_WAIT')).toMatch(/ (60s|1m) +default/);
  });

  test('that are wrong are all reported at once, before anything is touched', async (context) => {
    const place = createPlace(context);
    const variables = {
      OUTPUT: place.at('out/app.json'),
      CONFIG_SIDECAR_DEBONCE: '1s',
      UPDATE_FREQUENCY: 'sometimes',
      RELOAD_URL: 'http://127.0.0.1:1/',
      RELOAD_COMMAND: 'true',
    };
    const { code, stderr, stdout } = await place.run(['run', '--no-such-flag=x'], variables);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('CONFIG_SIDECAR_DEBONCE');
    expect(stderr).toContain('DEBOUNCE');
    expect(stderr).toContain('Cannot use UPDATE_FREQUENCY "sometimes": ');
    expect(stderr).toContain('--no-such-flag');
    expect(stderr).toContain('Cannot start without SOURCE');
    expect(stderr).toContain('an application has one hook');
    expect(stderr.split('\n').filter((line) => line.startsWith('    at '))).toEqual([]);
    expect(existsSync(place.at('out'))).toBe(false);
  });

  test('commands that do not exist, --help and --version', async (context) => {
    const place = createPlace(context);
    expect(await place.run(['stauts'])).toMatchObject({
      code: 2,
      stderr: 'Cannot use "stauts": unknown command. Did you mean "status"?\n',
    });
    // A value is not taken for the command.
    expect(await place.run(['--sorce', './x', '--output', './o.json'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^Cannot use --sorce: unknown flag; did you mean --source\?\n/),
    });
    const help = await place.run(['help']);
    expect(help).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('\n  rollback ') });
    for (const same of [['--help'], ['-h']]) expect((await place.run(same)).stdout).toBe(help.stdout);
    const ofDiff = await place.run(['help', 'diff']);
    expect(ofDiff.stdout).toMatch(
      /^Usage: config-sidecar diff \[GENERATION \[GENERATION\]\] \[--exit-code\]/,
    );
    for (const same of [
      ['diff', '--help'],
      ['diff', '-h'],
      ['-h', 'diff', '--output', '/tmp/x'],
    ])
      expect((await place.run(same)).stdout).toBe(ofDiff.stdout);
    expect((await place.run(['help', 'settings'])).stdout).toContain('--reload-min-interval DURATION');
    expect((await place.run(['settings', '--help'])).stdout).toMatch(/^Usage: config-sidecar settings/);
    for (const version of [['--version'], ['-v'], ['version'], ['status', '-v']])
      expect(await place.run(version)).toMatchObject({ code: 0, stdout: '0.1.0\n' });
  });
});

/** The local ports a process listens on, by family. */
function listeningPorts(pid: number): readonly { readonly family: string; readonly port: number }[] {
  const sockets = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined) sockets.add(inode);
    } catch {
      // Closed between the two looks.
    }
  }
  return ['tcp', 'tcp6'].flatMap((family) => {
    const table = existsSync(`/proc/${pid}/net/${family}`)
      ? readFileSync(`/proc/${pid}/net/${family}`, 'utf8')
      : '';
    return table.split('\n').flatMap((line) => {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      return state === '0A' && sockets.has(inode)
        ? [{ family, port: Number.parseInt(local.split(':')[1] ?? '', 16) }]
        : [];
    });
  });
}

describe.concurrent('a sidecar that runs', () => {
  test('lives through HUP, USR1 and USR2, and opens no other port', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const sidecar = await place.start(job.variables);
    await sidecar.outcome('applied');
    for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGHUP'] as const) sidecar.signal(signal);
    job.set('two');
    await until('it still works', () => publishedValue(place.read('out/app.json')) === 'two');
    expect(listeningPorts(sidecar.pid).map(({ port }) => port)).toEqual([sidecar.port]);
    expect(await sidecar.end()).toMatchObject({ code: 0 });
  });

  test.for(['127.0.0.1', '[::1]', ''])('listens on "%s" and a port', async (host, context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const [port = 0] = await freePorts(1);
    const sidecar = await place.start({ ...job.variables, LISTEN: `${host}:${port}` });
    const asked = host === '[::1]' ? '::1' : '127.0.0.1';
    const answer = await until('it answers', () => httpGet(port, '/healthz', { host: asked }));
    expect(answer).toEqual({ status: 200, body: 'ok\n' });
    expect((await place.run(['status'], { LISTEN: `${host}:${port}` })).stdout).toContain(
      'config-sidecar 0.1.0',
    );
    expect(sidecar.isRunning()).toBe(true);
  });

  test('says so and ends when its address is taken; and listens nowhere when told so', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const first = await place.start(job.variables);
    await until('it listens', () => first.get('/healthz'));
    const { code, stderr } = await place.run(['run'], {
      ...job.variables,
      LISTEN: `127.0.0.1:${first.port}`,
    });
    expect([1, 2]).toContain(code);
    expect(stderr).toContain(`127.0.0.1:${first.port}`);
    const silent = await place.start({ ...job.variables, LISTEN: 'off', OUTPUT: place.at('out/b.json') });
    await until('it has published', () => existsSync(place.at('out/b.json')));
    expect(listeningPorts(silent.pid)).toEqual([]);
  });

  test('logs the same events as JSON and as text for people', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const json = await place.start(job.variables);
    await json.outcome('applied');
    await json.end();
    const lines = json.output().trim().split('\n');
    const events = lines.map((line) => JSON.parse(line).event);
    expect(events).toEqual(['started', 'source up', 'published', 'applied', 'stopping']);
    for (const { event, message, target, output } of lines.map((line) => JSON.parse(line))) {
      expect([event, message]).toEqual([event, expect.stringMatching(/^[A-Zc].*\.$/)]);
      const isOfTarget = event !== 'started' && event !== 'stopping';
      expect([event, target, output]).toEqual([
        event,
        ...(isOfTarget ? ['default', job.config] : [undefined, undefined]),
      ]);
    }
    const pretty = await place.start({
      ...job.variables,
      LOG_FORMAT: 'pretty',
      OUTPUT: place.at('out/b.json'),
    });
    await pretty.outcome('applied');
    await pretty.end();
    const texts = pretty.output().trim().split('\n');
    const shown = /^\d\d:\d\d:\d\d info {2}(?:default )?(source up|\w+)/;
    expect(texts.map((line) => shown.exec(line)?.[1])).toEqual(events);
  });

  test('logs nothing but events, also where a library would speak for itself', async (context) => {
    const place = createPlace(context);
    let closed = 0;
    // What etcd says to a client that pings too often.
    const server = createServer().on('session', (session) => {
      session.on('error', () => {});
      session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('too_many_pings'));
      closed += 1;
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const sidecar = await place.start({
      SOURCE: `etcd://127.0.0.1:${port}/app/`,
      OUTPUT: place.at('app.json'),
    });
    await until('it was sent away', () => closed > 1 && sidecar.logs('source down').length > 0);
    await sidecar.end();
    for (const line of sidecar.output().trim().split('\n')) expect(line).toMatch(/^\{.*\}$/);
  });

  test('shows the same in metrics and in status', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const sidecar = await place.start({ ...job.variables, RELOAD_COMMAND: 'true' });
    await sidecar.outcome('applied');
    job.set('two');
    await until(
      'both are notified',
      async () => (await sidecar.metric('config_sidecar_generation'))['{target="default"}'] === 2,
    );
    await until('nothing is owed', async () => !(await sidecar.target()).reloadOwed);
    const one = { '{target="default"}': 1 };
    const zero = { '{target="default"}': 0 };
    const [source = ''] = [`{target="default",source="${place.at('source.json')}"}`];
    expect(await sidecar.metric('config_sidecar_build_info')).toEqual({ '{version="0.1.0"}': 1 });
    expect(await sidecar.metric('config_sidecar_reload_owed')).toEqual(zero);
    expect(await sidecar.metric('config_sidecar_fresh')).toEqual(one);
    expect(await sidecar.metric('config_sidecar_source_up')).toEqual({ [source]: 1 });
    expect(await sidecar.metric('config_sidecar_attempts_total')).toEqual({
      '{target="default",outcome="applied"}': 2,
    });
    expect(await sidecar.metric('config_sidecar_reloads_total')).toEqual({
      '{target="default",result="told"}': 2,
    });
    const at =
      (await sidecar.metric('config_sidecar_last_applied_timestamp_seconds'))['{target="default"}'] ?? 0;
    expect(Math.abs(Date.now() / 1000 - at)).toBeLessThan(20);
    const contact =
      (await sidecar.metric('config_sidecar_source_last_contact_timestamp_seconds'))[source] ?? 0;
    expect(Math.abs(Date.now() / 1000 - contact)).toBeLessThan(20);
    const counts = await sidecar.metric('config_sidecar_stage_duration_seconds_count');
    expect(counts).toEqual({
      '{target="default",stage="render"}': 2,
      '{target="default",stage="validate"}': 0,
      '{target="default",stage="publish"}': 2,
      '{target="default",stage="reload"}': 2,
      '{target="default",stage="confirm"}': 2,
    });
    expect((await sidecar.target()).history.map(({ outcome }) => outcome)).toEqual(['applied', 'applied']);
    expect((await sidecar.get('/nowhere')).status).toBe(404);
  });
});
