// What the application itself shows of a configuration: what it answers, and its workers.
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileJob, replaceFile } from '../../support/e2e/backing.ts';
import { begins, confirmedAs, ordersJob, publications, startLiving } from '../../support/e2e/living.ts';
import { createPlace } from '../../support/e2e/place.ts';
import { quietPort } from '../../support/e2e/quiet-port.ts';
import { httpGet } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { installCommand } from '../../support/examples/packaged.ts';
import { respond, startHttpSource } from '../../support/servers/http-source.ts';

describe.concurrent('CONFIRM_URL', () => {
  test('has to show the revision and the digest of the data; without them the change is rolled back', async (context) => {
    const place = createPlace(context);
    const port = await quietPort();
    const job = ordersJob(place, { value: 'one' }, { reports: true });
    const app = await startLiving(place, { config: job.config, words: [`port=${port}`] });
    const sidecar = await place.start({
      ...job.variables,
      CONFIRM_PERIOD: '200ms',
      CONFIRM_TIMEOUT: '15s',
      CONFIRM_URL: `http://127.0.0.1:${port}/`,
      CONFIRM_SUCCESSES: '3',
      CONFIRM_MATCH: '^revision {revision}\\ndigest {digest}$',
    });
    await begins(sidecar, job);
    expect((await sidecar.target()).running?.evidence).toBe('alive probed');
    job.set({ value: 'late', late: 1_000 });
    await confirmedAs(sidecar, 'applied', 'late', job);
    const applied = sidecar.logs('applied').at(-1);
    const published = sidecar.logs('published').at(-1);
    expect(Date.parse(applied?.time ?? '') - Date.parse(published?.time ?? '')).toBeGreaterThan(1_400);
    job.set({ value: 'kept', keeps: true });
    await confirmedAs(sidecar, 'rolled-back', 'late', job);
    const [unconfirmed] = sidecar.logs('unconfirmed');
    expect(unconfirmed).toMatchObject({
      code: 'confirm.no-match',
      printed: expect.stringContaining('value late'),
    });
    expect(unconfirmed?.['message']).toMatch(
      new RegExp(
        `^Cannot confirm revision "sha256:\\w+" within 15s \\(CONFIRM_TIMEOUT\\): "http://127.0.0.1:${port}/" answered 200, but the answer does not match ` +
          'CONFIRM_MATCH ".*"\\. The last known good configuration \\(generation 2, revision sha256:\\w+\\) takes its place, unless something newer is tried first\\.$',
      ),
    );
    expect(app.values()).toEqual(['one', 'late', 'kept', 'late']);
    expect(publications(sidecar)).toEqual(['desired', 'desired', 'desired', 'rolled-back']);
  });

  test('that reports a reload before the publication is no success, however successful that was', async (context) => {
    const place = createPlace(context);
    const port = await quietPort();
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, words: [`port=${port}`] });
    const sidecar = await place.start({
      ...job.variables,
      CONFIRM_PERIOD: '200ms',
      CONFIRM_TIMEOUT: '15s',
      CONFIRM_URL: `http://127.0.0.1:${port}/metrics`,
      CONFIRM_MATCH: 'reload successful 1\\nreloaded (?<time>[0-9.]+)',
      ROLLBACK: 'false',
    });
    await begins(sidecar, job);
    job.set({ value: 'slow', late: 1_500 });
    await confirmedAs(sidecar, 'applied', 'slow', job);
    const waited = Date.parse(sidecar.logs('applied').at(-1)?.time ?? '');
    expect(waited - Date.parse(sidecar.logs('published').at(-1)?.time ?? '')).toBeGreaterThan(1_500);
    job.set({ value: 'kept', keeps: true });
    const unconfirmed = await sidecar.outcome('unconfirmed');
    expect(unconfirmed.code).toBe('confirm.too-old');
    expect(unconfirmed.message).toMatch(
      /but the reload time it reports is \d+\.\d s before the reload\. It stays, since ROLLBACK is off\.$/,
    );
    expect(app.values()).toEqual(['one', 'slow', 'kept']);
  });

  test('that does not answer at first, or with 503, is asked until it does', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const server = await startHttpSource();
    server.answer((_request, response) => respond(response, server.received.length < 4 ? 503 : 200, 'ready'));
    const sidecar = await place.start({
      ...job.variables,
      RELOAD_COMMAND: 'true',
      CONFIRM_URL: `${server.origin}/ready`,
    });
    expect(await sidecar.outcome('applied')).toMatchObject({ running: { evidence: 'answered probed' } });
    expect(server.received).toHaveLength(5);
    await server.stop();
  });
});

describe.concurrent('CONFIRM_WORKERS', () => {
  test('is satisfied by new workers, and a master that keeps its old ones leads to a rollback', async (context) => {
    const place = createPlace(context);
    const job = ordersJob(place, { value: 'one' });
    const app = await startLiving(place, { config: job.config, words: ['workers'] });
    const sidecar = await place.start({
      ...job.variables,
      CONFIRM_PERIOD: '500ms',
      CONFIRM_TIMEOUT: '3s',
      CONFIRM_WORKERS: 'true',
    });
    await begins(sidecar, job);
    expect((await sidecar.target()).running?.evidence).toBe('alive workers');
    job.set({ value: 'kept', keeps: true });
    const back = await confirmedAs(sidecar, 'rolled-back', 'one', job);
    expect(back.blocked).toMatchObject([{ outcome: 'unconfirmed', code: 'confirm.no-workers' }]);
    const [pid] = app.pids();
    expect(back.blocked[0]?.message).toMatch(
      new RegExp(
        `within 3s \\(CONFIRM_TIMEOUT\\): process ${pid} has no new children, so its workers still run the configuration of before`,
      ),
    );
    expect(app.pids()).toHaveLength(1);
    expect(app.values()).toEqual(['one', 'kept', 'one']);
  });
});

const NGINX = `worker_processes 1;
error_log stderr notice;
pid nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
{%- for port in ports %}
    listen 127.0.0.1:{{ port }};
{%- endfor %}
    return 200 "{{ banner }}";
  }
}
`;

describe.concurrent('a real nginx', () => {
  test('whose new configuration passes its check and cannot be loaded keeps its workers, and is rolled back', async (context) => {
    const place = createPlace(context);
    const nginx = installCommand('nginx', place.root);
    const [run, port] = [place.directory('run'), await quietPort()];
    place.directory('out');
    const set = (banner: string, ports: readonly number[]): void =>
      replaceFile(place.at('source.json'), JSON.stringify({ banner, ports }));
    set('first', [port]);
    const sidecar = await place.start({
      SOURCE: place.at('source.json'),
      TEMPLATE: place.write('nginx.conf.liquid', NGINX),
      OUTPUT: place.at('out/nginx.conf'),
      APP_PID_FILE: join(run, 'nginx.pid'),
      VALIDATE_COMMAND: `${nginx} -t -q -p ${run} -e stderr -c {path}`,
      CONFIRM_PERIOD: '500ms',
      CONFIRM_TIMEOUT: '8s',
      CONFIRM_WORKERS: 'true',
      RELOAD_WAIT: '5s',
    });
    await sidecar.outcome('no-target');
    const words = ['-p', run, '-e', 'stderr', '-c', place.at('out/nginx.conf'), '-g', 'daemon off;'];
    const master = place.spawn(nginx, words);
    // It writes its title over the environment by which the others are found and ended; and its workers outlive a kill.
    context.onTestFinished(async () => {
      master.kill('SIGTERM');
      await until('nginx has ended', () => master.exitCode !== null || master.signalCode !== null);
    });
    await sidecar.outcome('picked-up');
    set('second', [port]);
    await sidecar.outcome('applied');
    await until('the new workers answer', async () => (await httpGet(port, '/')).body === 'second');
    expect((await sidecar.target()).running?.evidence).toBe('alive workers');
    const taken = await startHttpSource();
    set('third', [port, taken.port]);
    const back = await sidecar.outcome('rolled-back');
    expect(back).toMatchObject({
      code: 'confirm.no-workers',
      running: { evidence: 'alive workers' },
      blocked: [{ outcome: 'unconfirmed' }],
    });
    expect(sidecar.logs('rejected')).toEqual([]);
    expect((await httpGet(port, '/')).body).toBe('second');
    expect(place.read('out/nginx.conf')).toContain('"second"');
    await taken.stop();
  });
});

describe.concurrent('an HTTP hook without an answer', () => {
  test('counts as notified, when the application proves that', async (context) => {
    const place = createPlace(context);
    const port = await quietPort();
    const job = ordersJob(place, { value: 'one', hangs: true }, { reports: true });
    const app = await startLiving(place, { config: job.config, words: [`port=${port}`] });
    const sidecar = await place.start({
      ...job.variables,
      RELOAD_URL: `http://127.0.0.1:${port}/reload`,
      RELOAD_TIMEOUT: '2s',
      CONFIRM_PERIOD: '200ms',
      CONFIRM_URL: `http://127.0.0.1:${port}/`,
      CONFIRM_MATCH: 'revision {revision}',
    });
    await begins(sidecar, job);
    expect((await sidecar.target()).running?.evidence).toBe('alive probed');
    expect(app.values('POST')).toEqual(['one']);
    expect(await sidecar.metric('config_sidecar_reloads_total')).toEqual({
      '{target="default",result="unknown"}': 1,
    });
  });

  test('is asked again, when nothing can prove that', async (context) => {
    const place = createPlace(context);
    const port = await quietPort();
    const job = ordersJob(place, { value: 'one', hangs: true });
    const app = await startLiving(place, { config: job.config, words: [`port=${port}`] });
    const sidecar = await place.start({
      ...job.variables,
      RELOAD_URL: `http://127.0.0.1:${port}/reload`,
      RELOAD_TIMEOUT: '2s',
    });
    expect(await sidecar.outcome('failed')).toMatchObject({ reloadOwed: true, lastKnownGood: null });
    await until('it is asked again', () => app.values('POST').length > 1);
  });
});
