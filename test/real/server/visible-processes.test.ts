// Status, page and log name the output, the process that is meant and how it is notified.
import { expect, test } from 'vitest';
import { fileJob } from '../../support/e2e/backing.ts';
import { createPlace } from '../../support/e2e/place.ts';
import { httpGet } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';

const TOKEN = 'sees-everything';
const BEARER = { headers: { Authorization: `Bearer ${TOKEN}` } };

test('the application is shown with pid, program and user, and marked among the processes in sight', async (context) => {
  const place = createPlace(context);
  const job = fileJob(place);
  const variables = { ...job.variables, APP_PROCESS: place.name, CONTROL_TOKEN: TOKEN };
  const sidecar = await place.start(variables);
  await sidecar.outcome('no-target');
  const seen = async (path: string, options = {}) =>
    JSON.parse((await httpGet(sidecar.port, path, options)).body).targets.default;
  expect(await seen('/status')).toMatchObject({ output: job.config, application: null, hook: 'SIGHUP' });

  const app = await place.app({ config: job.config });
  await sidecar.outcome('picked-up');
  const user = process.getuid?.();
  const application = { pid: app.pid, program: 'node', user };
  await until('it is shown', async () => (await seen('/status')).application !== null);
  expect((await seen('/status')).application).toEqual(application);
  expect(await seen('/status')).not.toHaveProperty('processes');
  const { processes } = await seen('/status', BEARER);
  expect(processes[0]).toMatchObject({ ...application, isApplication: true });
  expect(processes[0].memoryBytes).toBeGreaterThan(1_000_000);
  expect(processes[0].ageSeconds).toBeLessThan(200);
  const marked = processes.filter((one: { readonly isApplication: boolean }) => one.isApplication);
  expect(marked).toHaveLength(1);
  expect(processes.length).toBeGreaterThan(1);

  const { stdout } = await place.run(['status'], { ...variables, LISTEN: 'off' });
  expect(stdout).toContain(`  application  node (pid ${app.pid}, user ${user})\n`);
  expect(stdout).toContain(`* ${app.pid} node (user ${user}, `);
  const page = (await httpGet(sidecar.port, '/', BEARER)).body;
  expect(page).toContain('node ← the application');
  expect((await sidecar.get('/')).body).not.toContain('← the application');

  job.set('two');
  await until('it is notified', () => app.told().length > 0);
  await sidecar.outcome('applied');
  expect(sidecar.logs('told')).toMatchObject([
    { level: 'info', pid: app.pid, program: 'node', signal: 'SIGHUP', target: 'default', output: job.config },
  ]);
});

test('a hook is shown without what could be a secret', async (context) => {
  const place = createPlace(context);
  const job = fileJob(place);
  const url = 'http://me:open-sesame@127.0.0.1:1/-/reload?token=correct-horse';
  const sidecar = await place.start({ ...job.variables, RELOAD_URL: url });
  await sidecar.outcome('failed');
  const { body } = await sidecar.get('/status');
  expect(JSON.parse(body).targets.default.hook).toBe('POST http://127.0.0.1:1/-/reload?token=***');
  expect(body).not.toMatch(/open-sesame|correct-horse/);
  const other = createPlace(context);
  const words = 'sh -c true --password=hunter2';
  const second = await other.start({ ...fileJob(other).variables, RELOAD_COMMAND: words });
  await second.outcome('applied');
  const shown = (await second.get('/status')).body;
  expect(JSON.parse(shown).targets.default.hook).toBe('command sh');
  expect(shown + second.output()).not.toContain('hunter2');
});
