// What was refused is shown beside what runs, generations are shown and compared, and none of it without the token.
import { expect, test } from 'vitest';
import { replaceFile } from '../../support/e2e/backing.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import { httpGet, type Sidecar } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';

const TOKEN = 'open-sesame';
const BEARER = { headers: { Authorization: `Bearer ${TOKEN}` } };

interface Scene {
  readonly set: (text: string) => void;
  readonly variables: Readonly<Record<string, string>>;
  readonly sidecar: Sidecar;
}

async function running(place: Place, more: Readonly<Record<string, string>> = {}): Promise<Scene> {
  place.directory('out');
  const set = (text: string): void => replaceFile(place.at('app.conf'), text);
  set('listen: 80\npassword: first\ntimeout: 5s\n');
  const variables = {
    ...{
      SOURCE: place.at('app.conf'),
      OUTPUT: place.at('out/app.conf'),
      FORMAT: 'raw',
      CONTROL_TOKEN: TOKEN,
    },
    ...{ VALIDATE_COMMAND: 'grep -qv bad {path}', RELOAD_MIN_INTERVAL: '100ms', ...more },
  };
  const sidecar = await place.start(variables);
  await sidecar.outcome('applied');
  return { set, variables, sidecar };
}

test('a refused change is shown as a diff, with secrets masked, and only with the token', async (context) => {
  const place = createPlace(context);
  const { set, variables, sidecar } = await running(place, { VALIDATE_COMMAND: 'grep -q listen {path}' });
  set('password: second\ntimeout: 50s\n');
  await sidecar.outcome('rejected');
  const wanted = [
    '@@ -1,3 +1,2 @@',
    '-listen: 80',
    '-password: ***',
    '-timeout: 5s',
    '+password: ***',
    '+timeout: 50s',
  ].join('\n');
  const whole = JSON.parse((await httpGet(sidecar.port, '/status', BEARER)).body);
  expect(whole.targets.default.difference).toContain(wanted);
  const { stdout } = await place.run(['status'], { ...variables, LISTEN: 'off' });
  expect(stdout).toMatch(/ {2}difference {3}the source has, and the volume does not show:\n/);
  expect(stdout).toMatch(/\n +-listen: 80\n +-password: \*\*\*\n/);
  const page = (await httpGet(sidecar.port, '/', BEARER)).body;
  expect(page).toContain('<span class="bad">-listen: 80</span>');
  for (const text of [stdout, page, JSON.stringify(whole), sidecar.output()])
    expect(text).not.toMatch(/password: (first|second)/);
  for (const path of ['/', '/status', '/metrics'])
    expect((await sidecar.get(path)).body).not.toMatch(/listen: 80|50s|\*\*\*/);

  set('listen: 81\npassword: second\ntimeout: 50s\n');
  await sidecar.outcome('applied');
  const after = JSON.parse((await httpGet(sidecar.port, '/status', BEARER)).body);
  expect(after.targets.default.difference).toBeNull();
});

test('kept generations are shown and compared, with each other and with what is published', async (context) => {
  const place = createPlace(context);
  const { set, variables, sidecar } = await running(place);
  for (const number of [81, 82]) {
    set(`listen: ${number}\n`);
    await until(`${number} is confirmed`, async () => {
      const { generations } = await sidecar.target();
      return generations.some(({ generation }) => generation === number - 79);
    });
  }
  const run = (...words: readonly string[]) => place.run(words, { ...variables, LISTEN: 'off' });
  const shown = await run('history', 'show', '2');
  expect(shown.code).toBe(0);
  expect(shown.stdout).toMatch(/^# generation 2, revision \S+, sha256:\w+, confirmed \S+Z\n/);
  expect(shown.stdout).toContain(`# ${place.at('out/app.conf')}, mode 0644\nlisten: 81\n`);
  expect((await run('diff', '2', '3')).stdout).toContain('\n-listen: 81\n+listen: 82\n');
  expect((await run('diff', '3', '2')).stdout).toContain('\n-listen: 82\n+listen: 81\n');
  const published = await run('diff', '1', '--exit-code');
  expect(published.code).toBe(7);
  expect(published.stdout).toContain('\n-timeout: 5s\n+listen: 82\n');
  expect(await run('diff', '3')).toMatchObject({ code: 0, stdout: '', stderr: '' });
  const [unknown, wrong, word] = [
    await run('diff', '9'),
    await run('history', 'show', 'two'),
    await run('history', 'shwo', '2'),
  ];
  expect(unknown).toMatchObject({ code: 2, stdout: '' });
  expect(unknown.stderr).toContain('Cannot read generation 9: kept are 3, 2, 1.');
  expect(wrong.stderr).toContain('Cannot show "two": it is not the number of a generation');
  expect(word.stderr).toContain('Cannot use "shwo": unknown word. Did you mean "show"?');
});
