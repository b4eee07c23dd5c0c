// Several targets in one process: each has its own loop, outcome and application; SIGHUP adds, removes and changes them.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { replaceFile } from '../../support/e2e/backing.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import type { LogLine, Sidecar, TargetSeen } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { type ConsulServer, startConsul } from '../../support/servers/consul.ts';
import { startProxy } from '../../support/servers/proxy.ts';

let consul: ConsulServer;
beforeAll(async () => {
  consul = await startConsul();
});
afterAll(() => consul?.end());

type Settings = Readonly<Record<string, string>>;

/** Writes the settings file of these targets; without confirmation, and with no pause between two changes. */
function settingsFile(
  place: Place,
  targets: Readonly<Record<string, Settings>>,
  defaults: Settings = {},
): string {
  const quick = { debounce: '0s', reload_min_interval: '0s', confirm_period: '0s' };
  return place.write('settings.yaml', JSON.stringify({ defaults: { ...quick, ...defaults }, targets }));
}

function fileTarget(place: Place, name: string): Settings {
  return {
    config_file: place.write(`${name}.json`, '{"value":"one"}'),
    output: place.at(`out/${name}.json`),
  };
}

async function outcomeOf(sidecar: Sidecar, target: string, outcome: string): Promise<TargetSeen> {
  return await until(`${target} is ${outcome}`, async () => {
    const seen = (await sidecar.status()).targets[target];
    if (seen?.outcome !== outcome) throw new Error(`it is ${seen?.outcome}: ${seen?.message}`);
    return seen;
  });
}

async function startTwo(context: TestContext) {
  const place = createPlace(context);
  place.directory('out');
  const names = { web: `${place.name}w`, api: `${place.name}a` };
  const targets = {
    web: { ...fileTarget(place, 'web'), app_process: names.web },
    api: { ...fileTarget(place, 'api'), app_process: names.api },
  };
  const [web, api] = await Promise.all([
    place.app({ config: place.at('out/web.json'), name: names.web }),
    place.app({ config: place.at('out/api.json'), name: names.api }),
  ]);
  const file = settingsFile(place, targets);
  const sidecar = await place.start({ SETTINGS_FILE: file });
  await Promise.all([outcomeOf(sidecar, 'web', 'applied'), outcomeOf(sidecar, 'api', 'applied')]);
  return { place, sidecar, targets, file, web, api };
}

describe.concurrent('two targets', () => {
  test('a change of one reaches its application and does not notify the other', async (context) => {
    const { place, sidecar, web, api } = await startTwo(context);
    replaceFile(place.at('web.json'), '{"value":"two"}');
    await until('the application is reloaded', () => web.told().length === 2);
    expect(place.read('out/web.json')).toContain('two');
    expect([web.told().length, api.told().length]).toEqual([2, 1]);
    await until('the log says so', () => sidecar.logs('applied').length === 3);
    expect(sidecar.logs('applied').map(({ target, output }) => [target, output])).toEqual([
      expect.anything(),
      expect.anything(),
      ['web', place.at('out/web.json')],
    ]);
  });

  test('health, metrics and status speak of each', async (context) => {
    const { place, sidecar } = await startTwo(context);
    replaceFile(place.at('web.json'), '{"value":');
    await outcomeOf(sidecar, 'web', 'rejected');
    expect(await sidecar.metric('config_sidecar_ready')).toEqual({
      '{target="web"}': 1,
      '{target="api"}': 1,
    });
    const outcomes = await sidecar.metric('config_sidecar_outcome');
    expect(outcomes['{target="web",outcome="rejected"}']).toBe(1);
    expect(outcomes['{target="api",outcome="applied"}']).toBe(1);
    const answers = await Promise.all(
      ['/readyz', '/readyz?target=web', '/readyz?target=db', '/status?target=api'].map(sidecar.get),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 404, 200]);
    expect(answers[2]?.body).toBe('there is no target "db"; there is web, api\n');
    expect(Object.keys(JSON.parse(answers[3]?.body ?? '').targets)).toEqual(['api']);
  });

  test('commands cover all targets, or the one that --target names', async (context) => {
    const { place, file, web, api } = await startTwo(context);
    const run = (...words: string[]) => place.run([...words, '--settings-file', file]);
    const both = await run('status');
    expect([both.code, both.stdout]).toEqual([
      0,
      expect.stringMatching(/^web: applied[\s\S]*^api: applied/m),
    ]);
    const one = await run('status', '--target', 'api');
    expect([one.code, one.stdout]).toEqual([0, expect.not.stringContaining('web:')]);
    const unknown = await run('status', '--target', 'db');
    expect([unknown.code, unknown.stderr]).toEqual([
      2,
      'Cannot get the status: there is no target "db"; there is web, api.\n',
    ]);

    const synced = await run('sync');
    expect([synced.code, synced.stdout]).toEqual([0, expect.stringMatching(/^web: .*\napi: .*\n$/)]);
    expect((await run('sync', '--target', 'web')).stdout).not.toContain('api');

    replaceFile(place.at('api.json'), '{"value":"two"}');
    await until('the change arrives', () => api.told().length === 2);
    const which = await run('rollback');
    expect([which.code, which.stderr]).toEqual([2, expect.stringContaining('there are web, api')]);
    const back = await run('rollback', '--target', 'api');
    expect([back.stderr, back.code]).toEqual(['', 0]);
    expect(place.read('out/api.json')).toContain('one');
    expect((await run('resume', '--target', 'api')).code).toBe(0);
    expect(place.read('out/api.json')).toContain('two');
    expect(web.told().length).toBe(1);

    const checked = await run('check', '--json');
    expect(Object.keys(JSON.parse(checked.stdout))).toEqual(['web', 'api']);
    const findings: readonly { code: string; message: string }[] = JSON.parse(checked.stdout).api;
    const kept = findings.find(({ code }) => code === 'state.kept');
    // What the target itself says, and nothing of the other.
    expect(kept?.message.match(/applied|unchanged/g)).toHaveLength(1);
    replaceFile(place.at('web.json'), '{"value":"three"}');
    await until('the change arrives', () => web.told().length === 2);
    expect((await run('diff', '--exit-code')).code).toBe(0);
    expect((await run('settings', '--target', 'web')).stdout).toContain(place.at('out/web.json'));
  });
});

describe.concurrent('SIGHUP', () => {
  test('starts new targets, stops those that are gone, starts changed ones again, and leaves the others alone', async (context) => {
    const { place, sidecar, targets, web, api } = await startTwo(context);
    const changed = {
      web: targets.web,
      api: { ...targets.api, output: place.at('out/moved.json') },
      log: fileTarget(place, 'log'),
    };
    settingsFile(place, changed);
    sidecar.signal('SIGHUP');
    await outcomeOf(sidecar, 'log', 'applied');
    await until('the new place is written', () => existsSync(place.at('out/moved.json')));
    expect(Object.keys((await sidecar.status()).targets)).toEqual(['web', 'api', 'log']);
    expect(existsSync(place.at('out/api.json'))).toBe(true);

    settingsFile(place, { web: targets.web });
    sidecar.signal('SIGHUP');
    await until(
      'the others are gone',
      async () => Object.keys((await sidecar.status()).targets).length === 1,
    );
    expect(existsSync(place.at('out/moved.json'))).toBe(true);
    const before = api.told().length;
    replaceFile(place.at('api.json'), '{"value":"late"}');
    replaceFile(place.at('web.json'), '{"value":"two"}');
    await until('the target that stayed goes on', () => web.told().length === 2);
    expect(api.told().length).toBe(before);
    const ofWeb = ({ target }: LogLine): boolean => target === 'web';
    expect(sidecar.logs('source up').filter(ofWeb)).toHaveLength(1);
    await until('the log says so', () => sidecar.logs('published').filter(ofWeb).length === 2);
  });

  test('a target that is renamed is found by its output: no reload', async (context) => {
    const { place, sidecar, targets, web } = await startTwo(context);
    settingsFile(place, { site: targets.web, api: targets.api });
    sidecar.signal('SIGHUP');
    await until('it has its new name', async () => (await sidecar.status()).targets['site']?.desired ?? null);
    expect(sidecar.logs('published')).toHaveLength(2);
    replaceFile(place.at('web.json'), '{"value":"two"}');
    await until('the change arrives', () => web.told().length === 2);
    expect(place.read('out/web.json')).toContain('two');
  });

  test('a file that cannot be used changes nothing', async (context) => {
    const { place, sidecar, targets, web } = await startTwo(context);
    settingsFile(place, { web: targets.web, api: { ...targets.api, output: place.at('out/web.json') } });
    sidecar.signal('SIGHUP');
    await until('it is refused', () => sidecar.logs('settings refused').length === 1);
    replaceFile(place.at('web.json'), '{"value":"two"}');
    await until('the targets run on', () => web.told().length === 2);
  });
});

test('once makes one pass for each, and its exit code is the gravest', async (context) => {
  const place = createPlace(context);
  place.directory('out');
  const [good, bad] = [fileTarget(place, 'good'), fileTarget(place, 'bad')];
  const file = settingsFile(place, { good, bad });
  expect((await place.run(['once', '--settings-file', file])).code).toBe(0);
  place.write('bad.json', '{');
  place.write('good.json', '{"value":"two"}');
  expect((await place.run(['once', '--settings-file', file])).code).toBe(4);
  expect(place.read('out/good.json')).toContain('two');
  expect((await place.run(['once', '--settings-file', file, '--target', 'good'])).code).toBe(0);
});

test('twenty targets on one Consul prefix make one blocking query', async (context) => {
  const place = createPlace(context);
  place.directory('out');
  const proxy = await startProxy(consul.port);
  context.onTestFinished(() => proxy.close());
  await consul.put(`${place.name}/value`, 'one');
  const names = Array.from({ length: 20 }, (_, at) => `t${at}`);
  const targets = Object.fromEntries(names.map((name) => [name, { output: place.at(`out/${name}.json`) }]));
  const defaults = { source: `consul://127.0.0.1:${proxy.port}/${place.name}/` };
  const sidecar = await place.start({ SETTINGS_FILE: settingsFile(place, targets, defaults) });
  const hold = (value: string): boolean =>
    names.every((name) => {
      const path = place.at(`out/${name}.json`);
      return existsSync(path) && place.read(`out/${name}.json`).includes(value);
    });
  await until('all have the first value', () => hold('one'));
  const before = proxy.requests().length;
  await consul.put(`${place.name}/value`, 'two');
  await until('all have the second value', () => hold('two'));
  const { status } = await sidecar.get('/readyz');
  expect(status).toBe(200);
  // What was waiting answers, and the next begins to wait.
  expect(proxy.requests().length - before).toBeLessThanOrEqual(2);
  expect(proxy.open()).toBeLessThanOrEqual(2);
});

describe('a target in trouble', () => {
  /** The longest that a change of the good target took while the other was in trouble, in milliseconds. */
  /** How long each change took, in milliseconds, shortest first. */
  async function timesOf(place: Place, changes: number): Promise<readonly number[]> {
    const times: number[] = [];
    for (let at = 0; at < changes; at++) {
      const value = `${place.name}-${at}`;
      const startedAt = performance.now();
      replaceFile(place.at('good.json'), JSON.stringify({ value }));
      await until('the change is written', () => place.read('out/good.json').includes(value));
      times.push(performance.now() - startedAt);
    }
    return times.sort((a, b) => a - b);
  }

  async function othersDoNotNotice(
    context: TestContext,
    trouble: (place: Place) => Settings | Promise<Settings>,
  ): Promise<void> {
    const place = createPlace(context);
    place.directory('out');
    const good = fileTarget(place, 'good');
    const bad = { ...fileTarget(place, 'bad'), ...(await trouble(place)) };
    const sidecar = await place.start({ SETTINGS_FILE: settingsFile(place, { bad, good }) });
    await outcomeOf(sidecar, 'good', 'applied');
    const times = await timesOf(place, 10);
    // The slowest has room, since other tests share the machine.
    expect(times[5]).toBeLessThan(2_000);
    expect(times[9]).toBeLessThan(8_000);
    expect((await sidecar.status()).targets['bad']?.outcome).not.toBe('applied');
  }

  const TROUBLES: Readonly<Record<string, (place: Place) => Settings>> = {
    'whose hook hangs': () => ({ reload_command: 'sleep 60', reload_timeout: '60s' }),
    'whose checker hangs': () => ({ validate_command: 'sleep 60', validate_timeout: '60s' }),
    'whose source is away': () => ({ config_file: '/dev/null/away' }),
    'whose template never ends': (place) => {
      const loops = '{% for i in (1..9999) %}'.repeat(3) + '{% endfor %}'.repeat(3);
      return { template: place.write('loop.liquid', loops) };
    },
  };

  test.for(Object.entries(TROUBLES))('%s: the others do not notice', async ([, trouble], context) => {
    await othersDoNotNotice(context, trouble);
  });

  test('whose disk is full: the others do not notice', { tags: ['root'] }, async (context) => {
    await othersDoNotNotice(context, (place) => {
      const full = place.directory('full');
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', full]);
      context.onTestFinished(() => void execFileSync('umount', ['-l', full]));
      return {
        output: place.at('full/bad.json'),
        template: place.write('big.liquid', 'y'.repeat(128 * 1024)),
      };
    });
  });
});
