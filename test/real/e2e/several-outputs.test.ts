// Several outputs of the built program: one release, staged and validated whole, swapped in order, reloaded once.
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { severalOutputs } from '../../support/e2e/outputs.ts';
import { createPlace } from '../../support/e2e/place.ts';
import { until } from '../../support/e2e/until.ts';

const FILES = ['out/one.conf', 'dir/two.conf', 'dir/sub/key.pem'];

test('all outputs show one release, and the application is notified once for each', async (context) => {
  const place = createPlace(context);
  const { variables, set, shown } = severalOutputs(place);
  set({ one: '1', two: '1' });
  const app = await place.app({ config: place.at('out/one.conf') });
  const sidecar = await place.start({ ...variables, APP_PROCESS: place.name });
  await sidecar.outcome('applied');
  expect(FILES.map(shown)).toEqual(['one 1\n', 'two 1\n', 'key 1\n']);
  expect(app.told()).toEqual(['one 1\n']);
  set({ one: '2', two: '2' });
  await until('the change is applied', () => app.told().length > 1);
  expect(FILES.map(shown)).toEqual(['one 2\n', 'two 2\n', 'key 2\n']);
  await sleep(700);
  expect(app.told()).toEqual(['one 1\n', 'one 2\n']);
  const [line] = sidecar.logs('published');
  expect(line?.['output']).toBe(`${place.at('out/one.conf')} ${place.at('dir')}`);
});

test('an output that a change leaves as it is keeps its files; the other one is published, and notified of', async (context) => {
  const place = createPlace(context);
  const { variables, set, shown } = severalOutputs(place);
  const counter = place.write('hook.sh', 'echo "$CONFIG_OUTPUT,$(echo $CONFIG_OUTPUTS)" >> told\n');
  set({ one: '1', two: '1' });
  const sidecar = await place.start({ ...variables, RELOAD_COMMAND: `sh ${counter}` });
  await sidecar.outcome('applied');
  const before = { one: statSync(place.at('out/one.conf')).ino, two: statSync(place.at('dir/two.conf')).ino };
  set({ one: '1', two: '2' });
  await until('the change is applied', () => shown('told')?.split('\n').length === 3);
  expect(FILES.map(shown)).toEqual(['one 1\n', 'two 2\n', 'key 2\n']);
  expect(statSync(place.at('out/one.conf')).ino).toBe(before.one);
  expect(statSync(place.at('dir/two.conf')).ino).not.toBe(before.two);
  const paths = [place.at('out/one.conf'), place.at('dir')];
  expect(shown('told')).toBe(`${paths[0]},${paths.join(' ')}\n`.repeat(2));
});

test('the checker of one refuses: no output shows the release, and the application is not notified', async (context) => {
  const place = createPlace(context);
  const checker = place.write('check.sh', '! grep -q bad "$1/two.conf" || { echo "two is bad"; exit 1; }\n');
  const { variables, set, shown } = severalOutputs(place, {
    one: `validate_command: sh -c 'grep -q one {path}'`,
    two: `validate_command: sh ${checker} {path}`,
  });
  set({ one: '1', two: '1' });
  const app = await place.app({ config: place.at('out/one.conf') });
  const sidecar = await place.start({ ...variables, APP_PROCESS: place.name });
  await sidecar.outcome('applied');
  set({ one: '2', two: 'bad' });
  const { message, code } = await sidecar.outcome('rejected');
  expect({ message, code }).toEqual({
    message: `Cannot accept "${place.at('dir')}/" by "sh": it exited with 1`,
    code: 'validate.command',
  });
  expect(FILES.map(shown)).toEqual(['one 1\n', 'two 1\n', 'key 1\n']);
  expect(app.told()).toEqual(['one 1\n']);
  expect(await place.run(['check'], { ...variables, APP_PROCESS: place.name, LISTEN: 'off' })).toMatchObject({
    code: 4,
    stdout: expect.stringContaining(`Cannot accept "${place.at('dir')}/" by "sh": it exited with 1`),
  });
});

test('a checker sees the outputs as they lie to each other on the volume', async (context) => {
  const place = createPlace(context);
  const checker = place.write('check.sh', 'cat "$(dirname "$1")/../dir/two.conf" >> seen\n');
  const { variables, set } = severalOutputs(place, { one: `validate_command: sh ${checker} {path}` });
  set({ one: '1', two: 'new' });
  const { code, stdout } = await place.run(['once'], { ...variables, LISTEN: 'off' });
  expect(code, stdout).toBe(0);
  expect(place.read('seen')).toBe('two new\n');
});

test('when one cannot be written, all stay as they are until it can be', async (context) => {
  const place = createPlace(context);
  const { variables, set, shown } = severalOutputs(place);
  set({ one: '1', two: '1' });
  rmSync(place.at('dir'), { recursive: true });
  const sidecar = await place.start(variables);
  const { code, message } = await sidecar.outcome('failed');
  expect(code).toBe('publish.no-directory');
  expect(message).toContain(`Cannot publish "${place.at('dir')}/": it does not exist.`);
  expect(readdirSync(place.at('out'))).toEqual([]);
  expect((await sidecar.get('/readyz')).status).toBe(503);
  place.directory('dir');
  await sidecar.outcome('applied');
  expect(FILES.map(shown)).toEqual(['one 1\n', 'two 1\n', 'key 1\n']);
});

test('a change by others in one of them is found and undone, and only there', async (context) => {
  const place = createPlace(context);
  const { variables, set, shown } = severalOutputs(place);
  set({ one: '1', two: '1' });
  const app = await place.app({ config: place.at('out/one.conf') });
  const sidecar = await place.start({ ...variables, APP_PROCESS: place.name });
  await sidecar.outcome('applied');
  const ino = statSync(place.at('dir/two.conf')).ino;
  writeFileSync(place.at('out/one.conf'), 'by hand\n');
  await until('it is restored', () => shown('out/one.conf') === 'one 1\n' && app.told().length === 2);
  expect(sidecar.logs('drift')).toMatchObject([{ outputs: place.at('out/one.conf') }]);
  expect(statSync(place.at('dir/two.conf')).ino).toBe(ino);
});

test('a generation that is rolled back to restores all outputs; so does the last known good on empty volumes', async (context) => {
  const place = createPlace(context);
  const { variables, set, shown } = severalOutputs(place);
  set({ one: '1', two: '1' });
  const first = await place.start(variables);
  await first.outcome('applied');
  set({ one: '2', two: '2' });
  await until('the change is applied', async () => (await first.target()).generations.length === 2);
  const { code, stdout, stderr } = await place.run(['rollback'], variables);
  expect(code, stdout + stderr).toBe(0);
  expect(FILES.map(shown)).toEqual(['one 1\n', 'two 1\n', 'key 1\n']);
  const history = await place.run(['history'], variables);
  expect(history.stdout).toMatch(/^default: pinned to generation 1\b/);
  expect((await place.run(['resume'], variables)).code).toBe(0);
  expect(FILES.map(shown)).toEqual(['one 2\n', 'two 2\n', 'key 2\n']);
  await first.end();
  rmSync(place.at('out/one.conf'));
  rmSync(place.at('dir'), { recursive: true });
  place.directory('dir');
  rmSync(place.at('source.json'));
  const second = await place.start(variables);
  await second.outcome('applied');
  expect(FILES.map(shown)).toEqual(['one 2\n', 'two 2\n', 'key 2\n']);
});

test('what one output published is taken over by outputs without a reload; a second one is one reload', async (context) => {
  const place = createPlace(context);
  const { variables, set, shown } = severalOutputs(place);
  set({ one: '1', two: '1' });
  const app = await place.app({ config: place.at('out/one.conf') });
  const { SETTINGS_FILE: _none, ...others } = variables;
  const alone = { ...others, APP_PROCESS: place.name };
  const old = await place.start({
    ...alone,
    OUTPUT: place.at('out/one.conf'),
    TEMPLATE: place.at('templates/one.conf.liquid'),
  });
  await old.outcome('applied');
  await old.end();
  place.write(
    'one.yaml',
    `outputs: { output: ${place.at('out/one.conf')}, template: ${place.at('templates/one.conf.liquid')} }\n`,
  );
  const one = await place.start({ ...alone, SETTINGS_FILE: place.at('one.yaml') });
  await one.outcome('unchanged');
  await one.end();
  expect(app.told()).toHaveLength(1);
  const two = await place.start({ ...variables, APP_PROCESS: place.name });
  await two.outcome('applied');
  expect(FILES.map(shown)).toEqual(['one 1\n', 'two 1\n', 'key 1\n']);
  expect(app.told()).toHaveLength(2);
});

test('diff names each file by its whole path', async (context) => {
  const place = createPlace(context);
  const { variables, set } = severalOutputs(place);
  set({ one: '1', two: '1' });
  expect((await place.run(['once'], { ...variables, LISTEN: 'off' })).code).toBe(0);
  expect(await place.run(['diff', '--exit-code'], variables)).toMatchObject({ code: 0, stdout: '' });
  set({ one: '1', two: '2' });
  const { code, stdout } = await place.run(['diff', '--exit-code'], variables);
  expect(code).toBe(7);
  const key = place.at('dir/sub/key.pem').slice(1);
  const two = place.at('dir/two.conf').slice(1);
  const names = stdout.split('\n').filter((line) => /^(?:---|\+\+\+)/.test(line));
  expect(names.map((line) => line.trimEnd())).toEqual([
    `--- a/${key}`,
    `+++ b/${key}`,
    `--- a/${two}`,
    `+++ b/${two}`,
  ]);
});

test('a release that the application refuses takes all outputs back', async (context) => {
  const place = createPlace(context);
  const { variables, set, shown } = severalOutputs(place);
  const hook = place.write('hook.sh', 'cat out/one.conf dir/two.conf >> told; ! grep -q bad dir/two.conf\n');
  set({ one: '1', two: '1' });
  const sidecar = await place.start({ ...variables, RELOAD_COMMAND: `sh ${hook}` });
  await sidecar.outcome('applied');
  set({ one: '2', two: 'bad' });
  await sidecar.outcome('rolled-back');
  expect(FILES.map(shown)).toEqual(['one 1\n', 'two 1\n', 'key 1\n']);
  const told = shown('told')?.match(/.+\n.+\n/g) ?? [];
  expect(told.at(0)).toBe('one 1\ntwo 1\n');
  expect(told.at(-1)).toBe('one 1\ntwo 1\n');
  // Never of a half.
  expect(new Set(told)).toEqual(new Set(['one 1\ntwo 1\n', 'one 2\ntwo bad\n']));
});

test('an output that a SIGHUP adds is published with the others, and notified of once', async (context) => {
  const place = createPlace(context);
  const { variables, set, shown } = severalOutputs(place);
  place.directory('third');
  set({ one: '1', two: '1' });
  const app = await place.app({ config: place.at('out/one.conf') });
  const sidecar = await place.start({ ...variables, APP_PROCESS: place.name });
  await sidecar.outcome('applied');
  const entry = `  - { output: ${place.at('third/all.yaml')}, output_mode: 0600 }\n`;
  place.write('settings.yaml', place.read('settings.yaml') + entry);
  sidecar.signal('SIGHUP');
  await until('the third is there', () => shown('third/all.yaml') !== null);
  expect(shown('third/all.yaml')).toBe("one: '1'\ntwo: '1'\n");
  await until('it is notified', () => app.told().length === 2);
  expect(statSync(place.at('third/all.yaml')).mode & 0o777).toBe(0o600);
  await sidecar.outcome('applied');
  await sleep(500);
  expect(app.told()).toHaveLength(2);
});

test('a map becomes files, one for each entry by a template; an entry that goes takes its file along at once', async (context) => {
  const place = createPlace(context);
  for (const path of ['sites', 'certs', 'state']) place.directory(path);
  place.write('templates/{vhosts}.conf.liquid', '{{ entry.key }} {{ entry.value.port }}\n');
  place.write('templates/all.conf.liquid', '{% for one in vhosts %}{{ one[0] }} {% endfor %}\n');
  const set = (vhosts: Record<string, unknown>): string =>
    place.write('source.yaml', JSON.stringify({ vhosts, certs: { 'a.key': 'A', n: 1 } }));
  set({ a: { port: 1 }, b: { port: 2 } });
  place.write(
    'settings.yaml',
    `targets:
  web:
    source: ${place.at('source.yaml')}
    outputs: { output: ${place.at('sites')}/, template: ${place.at('templates')} }
  certs:
    source: ${place.at('source.yaml')}#/certs
    outputs: [{ output: ${place.at('certs')}/, modes: { "*.key": "0600" } }]
`,
  );
  const sidecar = await place.start({ SETTINGS_FILE: place.at('settings.yaml'), UPDATE_FREQUENCY: '300ms' });
  const filesIn = (folder: string): readonly string[] =>
    readdirSync(place.at(folder)).filter((name) => !name.startsWith('..'));
  await until('both are there', () => filesIn('sites').length === 3 && filesIn('certs').length === 2);
  expect(filesIn('sites').map((name) => place.read(`sites/${name}`))).toEqual(['a 1\n', 'a b \n', 'b 2\n']);
  expect(place.read('certs/n')).toBe('1');
  const modes = ['a.key', 'n'].map((name) => statSync(place.at(`certs/${name}`)).mode & 0o777);
  expect(modes).toEqual([0o600, 0o644]);
  set({ b: { port: 3 }, c: { port: 4 } });
  await until('the entry has gone', () => filesIn('sites').join() === 'all.conf,b.conf,c.conf');
  expect(place.read('sites/all.conf')).toBe('b c \n');
  expect(place.read('sites/b.conf')).toBe('b 3\n');
  set({ '../x': {} });
  await until('it is refused', () => sidecar.logs('rejected').length > 0);
  expect(sidecar.logs('rejected')[0]?.['message']).toBe(
    'Cannot make a file of each entry by "{vhosts}.conf": the key "../x" is no file name; rename the key',
  );
  expect(filesIn('sites').join()).toBe('all.conf,b.conf,c.conf');
});

test('check looks at each output, and says what both come to', async (context) => {
  const place = createPlace(context);
  const { variables, set } = severalOutputs(place, { two: 'modes: { "*.pem": "0600" }' });
  set({ one: '1', two: '1' });
  const { stdout, code } = await place.run(['check'], { ...variables, LISTEN: 'off' });
  expect(code, stdout).toBe(0);
  const lines = stdout.split('\n').filter((line) => /^ok {3}(?:output|content)/.test(line));
  const templates = [place.at('templates/one.conf.liquid'), place.at('templates/two')];
  expect(lines).toEqual([
    `ok   content: The templates "${templates[0]}", "${templates[1]}" make of it 3 files with 18 bytes for 2 outputs.`,
    expect.stringContaining(`ok   output: "${place.at('out/one.conf')}" can be written: staged beside it`),
    expect.stringContaining(`ok   output: "${place.at('dir')}/" can be written: staged in it`),
  ]);
  expect(lines[2]).toContain('mode 0644, 0600 for *.pem,');
  expect(readdirSync(place.at('out'))).toEqual([]);
});
