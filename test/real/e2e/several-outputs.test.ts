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

test('one that cannot be written keeps all of them as they are, until it can be', async (context) => {
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

test('a generation that is gone back to brings back all outputs; so does the last known good on empty volumes', async (context) => {
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
  expect(history.stdout).toMatch(/^default: pinned to generation 1, until/);
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
