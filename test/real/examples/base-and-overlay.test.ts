// examples/base-and-overlay: its commands print what its README says, and a change of each of the three sources arrives.
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DIST } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { EXAMPLES } from '../../support/examples/manifest.ts';
import { openMount } from '../../support/examples/mounted.ts';
import { stateOf } from '../../support/examples/state.ts';
import { must, openTogether } from '../../support/examples/together.ts';
import { freePorts } from '../../support/servers/ports.ts';

const EXAMPLE = join(EXAMPLES, 'base-and-overlay');

/** A copy of the example, with the program on PATH. */
async function openCopy() {
  const { at, start, folder } = await openTogether();
  for (const name of ['base.yaml', 'overlay.yaml', 'schema.json', 'settings.yaml', 'secret'])
    cpSync(join(EXAMPLE, name), at(name), { recursive: true });
  mkdirSync(at('bin'));
  writeFileSync(
    at('bin/config-sidecar'),
    `#!/bin/sh\nexec '${process.execPath}' '${join(DIST, 'main.js')}' "$@"\n`,
  );
  chmodSync(at('bin/config-sidecar'), 0o755);
  const [port = 0] = await freePorts(1);
  const env = {
    PATH: `${at('bin')}:${process.env['PATH']}`,
    SETTINGS_FILE: 'settings.yaml',
    LISTEN: `127.0.0.1:${port}`,
  };
  const run = (commands: string): string => must('sh', ['-e', '-c', `cd '${folder}'\n${commands}`], env);
  const write = (name: string, text: string): void => {
    writeFileSync(at(`${name}.new`), text);
    renameSync(at(`${name}.new`), at(name));
  };
  const shown = (): unknown => JSON.parse(readFileSync(at('live/app.json'), 'utf8'));
  return { at, start, run, write, shown, env, state: stateOf(port) };
}

test('the commands of the README print what it says', async () => {
  const readme = readFileSync(join(EXAMPLE, 'README.md'), 'utf8');
  const [, commands = '', result = ''] = /\n\n((?: {4}.*\n)+)\n((?: {4}.*\n)+)/.exec(readme) ?? [];
  expect(commands).toContain('config-sidecar once');
  const { run, at } = await openCopy();
  const printed = run(commands).replace(/^\{"level":.*\n/gm, '');
  expect(printed).toBe(result.replaceAll(/^ {4}/gm, ''));
  expect(statSync(at('live/app.json')).mode & 0o777).toBe(0o600);
  const difference = run('printf "log:\\n  level: warn\\n" > overlay.yaml\nconfig-sidecar diff');
  expect(difference).toContain(`# from "${at('overlay.yaml')}": log/level\n`);
  expect(difference).toContain('+    "level": "warn"');
});

test('a change of each source arrives, and a slip in one changes nothing and is named', async () => {
  const { at, start, write, shown, env, state } = await openCopy();
  rmSync(at('secret'), { recursive: true });
  const mount = openMount(at('secret'));
  mount({ password: 'first-one' });
  mkdirSync(at('live'));
  start('sidecar', ['config-sidecar'], { env });
  const arrives = (part: object): Promise<unknown> =>
    until(`${JSON.stringify(part)} arrives`, () => {
      expect(shown()).toMatchObject(part);
      return true;
    });
  await arrives({ database: { host: 'localhost', pool: 10 }, secret: { password: 'first-one' } });
  mount({ password: 'second-one' });
  await arrives({ secret: { password: 'second-one' } });
  write('base.yaml', readFileSync(at('base.yaml'), 'utf8').replace('pool: 10', 'pool: 20'));
  await arrives({ database: { host: 'localhost', pool: 20 } });

  // What the schema forbids, and a value where the base has a map.
  write('overlay.yaml', 'database:\n  poool: 30\n');
  expect((await state.ends('rejected', 'guard.schema')).message).toContain(at('overlay.yaml'));
  write('overlay.yaml', 'database: localhost\n');
  const { message } = await state.ends('rejected', 'render.conflict');
  expect(message).toContain(`it is a map in "${at('base.yaml')}" and a value in "${at('overlay.yaml')}"`);
  expect(shown()).toMatchObject({ database: { host: 'localhost', pool: 20 } });

  write('overlay.yaml', 'log:\n  level: warn\n');
  await arrives({ log: { level: 'warn', format: 'json' }, database: { host: 'db.internal' } });
  write('overlay.yaml', '# log:\n#   level: warn\n');
  await arrives({ log: { level: 'info', format: 'json' }, database: { host: 'db.internal' } });
  rmSync(at('overlay.yaml'));
  mount({ password: 'third-one' });
  await arrives({ log: { level: 'info' }, secret: { password: 'third-one' } });
});
