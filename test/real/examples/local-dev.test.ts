// examples/local-dev: the commands for an application of one's own are run as its README has them. The demo has a test of its own.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DIST } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { EXAMPLES } from '../../support/examples/manifest.ts';
import { stateOf } from '../../support/examples/state.ts';
import { openTogether } from '../../support/examples/together.ts';
import { freePorts } from '../../support/servers/ports.ts';

test('an application of one’s own reads every change', async () => {
  const readme = readFileSync(join(EXAMPLES, 'local-dev/README.md'), 'utf8');
  const [, commands = ''] = /\n\n((?: {4}.*\n)*.*APP_PROCESS=my-app config-sidecar\n)/.exec(readme) ?? [];
  expect(commands).toMatch(/^ {4}mkdir -p live\n {4}CONFIG_FILE=config\.yaml /);
  const { at, start } = await openTogether();
  const [port = 0] = await freePorts(1);
  mkdirSync(at('bin'));
  copyFileSync(join(EXAMPLES, 'local-dev/config.yaml'), at('config.yaml'));
  const program = (name: string, text: string): void => {
    writeFileSync(at(`bin/${name}`), `#!/bin/sh\n${text}\n`);
    chmodSync(at(`bin/${name}`), 0o755);
  };
  program('my-app', `trap 'cp live/app.json told' HUP\nwhile :; do sleep 0.1; done`);
  program('config-sidecar', `exec '${process.execPath}' '${join(DIST, 'main.js')}'`);
  const env = {
    PATH: `${at('bin')}:${process.env['PATH']}`,
    LISTEN: `127.0.0.1:${port}`,
    CONFIRM_PERIOD: '1s',
  };

  start('my-app', [at('bin/my-app')]);
  start('sidecar', ['sh', '-c', commands], { env });
  const { ends } = stateOf(port);
  await until('it was notified', () => existsSync(at('told')));
  await ends('applied');
  writeFileSync(at('config.yaml'), readFileSync(at('config.yaml'), 'utf8').replace('Hello', 'Good evening'));
  await until('it was notified again', () => readFileSync(at('told'), 'utf8').includes('Good evening'));
  expect(JSON.parse(readFileSync(at('told'), 'utf8'))).toEqual({ greeting: 'Good evening', workers: 2 });
  await ends('applied');
});
