// Several targets in one settings file: which settings each gets, and what cannot stand beside what.
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadTargets, SettingsError, type Targets } from '../../../src/settings/settings.ts';
import { type Env, scratch } from '../../support/settings/settings-loading.ts';
import { threadTimeMs } from '../../support/thread-time.ts';

interface Given {
  readonly env?: Env;
  readonly flags?: readonly string[];
  /** Where the file lies, and relative paths begin. */
  readonly cwd?: string;
}

async function load(text: string, { env = {}, flags = [], cwd }: Given = {}): Promise<Targets> {
  const file = join(scratch({ 'settings.yaml': text }), 'settings.yaml');
  return loadTargets({ flags, env: { ...env, SETTINGS_FILE: file }, cwd: cwd ?? '/work-dir' });
}

/** The sentences, the path of the settings file shortened. */
async function problemsOf(text: string, raw: Given = {}): Promise<readonly string[]> {
  try {
    await load(text, raw);
    return [];
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return error.problems.map((one) => one.replace(/"[^"]*settings\.yaml"/g, 'FILE'));
  }
}

test('every target gets the defaults, and its own settings before all others', async () => {
  const targets = await load(
    `
defaults:
  source: etcd://store:2379/app/
  debounce: 2s
  debounce_max: 10s
  splay: 3s
targets:
  web:
    output: /srv/web.json
    debounce: 1s
  api:
    output: /srv/api.json
    source: ./api.yaml
`,
    { env: { UPDATE_FREQUENCY: '5s', DEBOUNCE: '7s' }, flags: ['--splay', '4s'] },
  );
  expect([...targets.keys()]).toEqual(['web', 'api']);
  const [web, api] = [targets.get('web')?.settings, targets.get('api')?.settings];
  expect([web?.DEBOUNCE, api?.DEBOUNCE]).toEqual([1_000, 7_000]);
  expect([web?.SPLAY, api?.SPLAY]).toEqual([4_000, 4_000]);
  expect([web?.UPDATE_FREQUENCY, api?.UPDATE_FREQUENCY]).toEqual([5_000, 5_000]);
  expect([web, api].map((one) => one?.SOURCE?.map(({ url }) => url.text))).toEqual([
    ['etcd://store:2379/app/'],
    ['/work-dir/api.yaml'],
  ]);
  expect(web?.STATE_DIR).toBe('/srv/.config-sidecar');
});

test("a target's own hook, source or process replaces what was given for all", async () => {
  const targets = await load(`
defaults:
  source: ./a.yaml
  reload_signal: SIGHUP
  app_process: nginx
targets:
  web: { output: /srv/a }
  api: { output: /srv/b, reload_url: "http://localhost:1/", config_file: ./b.yaml, app_pid_file: /run/b.pid }
`);
  const { settings, raw } = targets.get('api') ?? {};
  expect(settings).toMatchObject({ RELOAD_SIGNAL: undefined, RELOAD_URL: 'http://localhost:1/' });
  expect([raw?.has('SOURCE'), raw?.has('APP_PROCESS')]).toEqual([false, false]);
  expect(targets.get('web')?.settings.RELOAD_SIGNAL).toBe('SIGHUP');
});

test('one target is called as the file says', async () => {
  const targets = await load('targets:\n  web: {source: ./a.yaml, output: /srv/a}\n');
  expect([...targets.keys()]).toEqual(['web']);
});

test('all mistakes are found at once, each with its target; what is wrong with all is said once', async () => {
  const problems = await problemsOf(
    `
defaults:
  source: ./a.yaml
  splya: 1s
outptu: /x
targets:
  web: {outptu: /srv/a, debounce: soon}
  "2nd": {output: /srv/b}
  api: [output]
  log: {output: /srv/c, listen: "off", log_level: debug}
`,
    { env: { KEEP_GENERATIONS: 'many' } },
  );
  expect(problems).toEqual([
    'Cannot use splya in FILE: unknown setting; did you mean splay?',
    'Cannot use outptu in FILE: beside targets:, settings go under defaults: or into a target',
    expect.stringMatching(/^Cannot use KEEP_GENERATIONS "many": /),
    'Target "web": Cannot use outptu of targets.web in FILE: unknown setting; did you mean output?',
    expect.stringMatching(/^Target "web": Cannot use debounce of targets.web in FILE "soon": /),
    expect.stringMatching(/^Target "web": Cannot start without OUTPUT: /),
    'Target "2nd": Cannot use the name "2nd" of targets.2nd in FILE: use at most 63 letters, digits, _ and -, and begin with a letter or _',
    'Target "api": Cannot use targets.api in FILE: it must be a map of settings',
    expect.stringMatching(/^Target "api": Cannot start without OUTPUT: /),
    'Target "log": Cannot use listen of targets.log in FILE: it is one for all targets; put it under defaults:',
    'Target "log": Cannot use log_level of targets.log in FILE: it is one for all targets; put it under defaults:',
  ]);
});

const ADVICE =
  'One target is one application: put what it reads into one target, with several entries under outputs:';

test.each([
  ['app_process: nginx', 'APP_PROCESS "nginx"'],
  ['app_container: web', 'APP_CONTAINER "web"'],
  ['app_pid_file: /run/a.pid', 'APP_PID_FILE "/run/a.pid"'],
  ['reload_url: "http://u:hunter2@h/reload"', 'RELOAD_URL "http://h/reload"'],
  ['reload_command: [systemctl, reload, a]', 'RELOAD_COMMAND "systemctl reload a"'],
])('two targets that reload one application are refused: %s', async (setting, shown) => {
  const problems = await problemsOf(`
defaults: {source: ./a.yaml}
targets:
  a: {output: /srv/a, ${setting}}
  b: {output: /srv/b, ${setting}}
`);
  expect(problems).toEqual([
    `Cannot run targets "a" and "b": both reload the same application (${shown}). ${ADVICE}`,
  ]);
});

test('processes of one name in two containers are two applications', async () => {
  const problems = await problemsOf(`
defaults: {source: ./a.yaml, app_process: nginx}
targets:
  a: {output: /srv/a, app_container: one}
  b: {output: /srv/b, app_container: two}
`);
  expect(problems).toEqual([]);
});

test('two targets have no output in common, nor one inside the other, whatever links lead there', async () => {
  const cwd = scratch();
  mkdirSync(join(cwd, 'real'));
  symlinkSync('real', join(cwd, 'link'));
  const pair = (a: string, b: string): Promise<readonly string[]> =>
    problemsOf(`defaults: {source: ./a.yaml}\ntargets: {a: {output: ${a}}, b: {output: ${b}}}\n`, { cwd });
  expect(await pair('real/x', './link/../real/x')).toEqual([
    'Cannot run targets "a" and "b": both write OUTPUT "real/x"; give each an output of its own',
  ]);
  expect(await pair('real/x', 'link/x')).toHaveLength(1);
  expect(await pair('real/dir/', 'link/dir/file')).toEqual([
    `Cannot run targets "a" and "b": the output of one is inside that of the other ("${cwd}/real/dir", "${cwd}/real/dir/file"); give each a place of its own`,
  ]);
  expect(await pair('real/dir/', 'real/directory')).toEqual([]);
});

test('two targets with outputs of one name do not share a state directory', async () => {
  const file = (state: string): string =>
    `defaults: {source: ./a.yaml${state}}\ntargets: {a: {output: /a/app.json}, b: {output: /b/app.json}}\n`;
  expect(await problemsOf(file(''))).toEqual([]);
  expect(await problemsOf(file(', state_dir: /state'))).toEqual([
    'Cannot run targets "a" and "b": both keep their state in "/state/app.json"; give each a STATE_DIR of its own',
  ]);
});

test('an output in the environment is that of every target, and so refused', async () => {
  const file = 'defaults: {source: ./a.yaml}\ntargets: {a: {}, b: {}}\n';
  expect(await problemsOf(file, { env: { OUTPUT: '/srv/x' } })).toEqual([
    'Cannot run targets "a" and "b": both write OUTPUT "/srv/x"; give each an output of its own',
  ]);
});

test('many targets are compared with each other in no time', async () => {
  const folder = scratch({});
  const targets = Array.from({ length: 400 }, (_, n) => [`t${n}`, { output: join(folder, `${n}.json`) }]);
  const text = JSON.stringify({ defaults: { source: '/a.json' }, targets: Object.fromEntries(targets) });
  const before = threadTimeMs();
  expect((await load(text)).size).toBe(400);
  // Each pair asked of the disk would take five seconds.
  expect(threadTimeMs() - before).toBeLessThan(2_500);
});
