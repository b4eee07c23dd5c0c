// The built program while nothing reads its log and the pipe is full: it publishes, answers and ends as always.
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createPlace, isAlive } from '../../support/e2e/place.ts';
import { quietPort } from '../../support/e2e/quiet-port.ts';
import { DIST, httpGet } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';

/** Fills standard output until nothing more fits, and becomes the sidecar. */
const BECOME = 'echo $BASHPID >pid; timeout 1 head -c 10000000 /dev/zero; exec "$0" "$1"';

it.for([
  // Node's own pipes are sockets; a shell makes a real one.
  ['a pipe', `{ ${BECOME}; } | sleep 1000`],
  ['a socket', BECOME],
] as const)('%s that is full and not read holds nothing up', async ([, script], context) => {
  const place = createPlace(context);
  const port = await quietPort();
  const source = place.write('app.json', '{"a": 1}');
  const own = {
    LISTEN: `127.0.0.1:${port}`,
    SOURCE: source,
    OUTPUT: place.at('out.json'),
    LOG_LEVEL: 'debug',
  };
  const env = { PATH: process.env['PATH'], TEST_PLACE: place.root, ...own };
  const words = ['-c', script, process.execPath, join(DIST, 'main.js')];
  spawn('bash', words, { cwd: place.root, env, stdio: ['ignore', 'pipe', 'ignore'] });
  await until('it is ready', async () => (await httpGet(port, '/readyz')).status === 200);
  const pid = Number(place.read('pid'));
  writeFileSync(source, '{"a": 2}');
  await until('the change is published', () => readFileSync(place.at('out.json'), 'utf8') === '{"a": 2}');
  expect((await httpGet(port, '/healthz')).status).toBe(200);
  const endedAt = Date.now();
  process.kill(pid, 'SIGTERM');
  await until('it has ended', () => !isAlive(pid));
  expect(Date.now() - endedAt).toBeLessThan(5_000);
});
