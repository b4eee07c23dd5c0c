// The files of examples/monitoring with the real programs: they are accepted, and each way to break a sidecar leads to its alert.
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, type TestContext, test } from 'vitest';
import { etcdTree, fileJob } from '../../support/e2e/backing.ts';
import { ordersJob, startLiving, startsWell } from '../../support/e2e/living.ts';
import { isOutcome, pickyHook } from '../../support/e2e/picky.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import type { Sidecar } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import {
  dashboardQueries,
  MONITORING,
  type Monitoring,
  startMonitoring,
} from '../../support/examples/monitoring.ts';
import { programsOf } from '../../support/presets/programs.ts';
import { startEtcd } from '../../support/servers/etcd.ts';
import type { SetName } from '../../support/servers/prerequisites.ts';

const run = promisify(execFile);

/** What a program of a package prints; throws with it when it fails. */
async function printed(set: SetName, name: string, ...words: readonly string[]): Promise<string> {
  const { path, env } = programsOf(set);
  const { stdout } = await run(path(name), words, { env, cwd: MONITORING });
  return stdout;
}

test('promtool and amtool accept every file', async () => {
  expect(await printed('prometheus', 'promtool', 'check', 'rules', 'rules.yml')).toContain('7 rules found');
  expect(await printed('prometheus', 'promtool', 'check', 'config', 'prometheus.yml')).toContain('is valid');
  const routes = await printed('alertmanager', 'amtool', 'check-config', 'alertmanager.yml');
  expect(routes).toContain('SUCCESS');
});

test('each rule fires when it should and not before', async () => {
  expect(await printed('prometheus', 'promtool', 'test', 'rules', 'rules-test.yml')).toContain('SUCCESS');
});

test('each query of the dashboard is one', async (context) => {
  const place = createPlace(context);
  const rules = dashboardQueries().map((expr, i) => ({ record: `query:${i}`, expr }));
  const path = place.write('queries.yml', JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
  expect(rules.length).toBeGreaterThan(15);
  const found = await printed('prometheus', 'promtool', 'check', 'rules', path);
  expect(found).toContain(`${rules.length} rules found`);
});

/** A sidecar that works, and what breaks it. */
interface Scene {
  readonly alert: string;
  readonly sidecar: Sidecar;
  readonly breaks: () => unknown;
}

type SetScene = (place: Place, context: TestContext) => Promise<Scene>;

const SCENES: readonly SetScene[] = [
  async (place, { onTestFinished }) => {
    const store = await startEtcd();
    onTestFinished(() => store.stop('SIGKILL'));
    const backing = etcdTree(store, place);
    await backing.set({ value: 'one' });
    place.directory('out');
    const sidecar = await place.start({ ...backing.variables, OUTPUT: place.at('out/app.json') });
    await sidecar.outcome('applied');
    return { alert: 'ConfigSidecarSourceDown', sidecar, breaks: () => store.stop('SIGKILL') };
  },
  async (place) => {
    const job = fileJob(place);
    const sidecar = await place.start({ ...job.variables, VALIDATE_COMMAND: 'grep -v bad {path}' });
    await isOutcome(sidecar, 'applied', 'one', place);
    return { alert: 'ConfigSidecarChangeRejected', sidecar, breaks: () => job.set('bad') };
  },
  async (place) => {
    const job = ordersJob(place, { value: 'one' });
    await startLiving(place, { config: job.config, restartMs: 200 });
    const sidecar = await startsWell(place, job);
    const breaks = (): void => job.set({ value: 'deadly', dies: 300 });
    return { alert: 'ConfigSidecarRolledBack', sidecar, breaks };
  },
  async (place) => {
    const job = fileJob(place);
    const hook = await pickyHook(place);
    const sidecar = await place.start({ ...job.variables, ...hook.variables });
    await isOutcome(sidecar, 'applied', 'one', place);
    const breaks = async (): Promise<void> => {
      await hook.server.stop();
      job.set('two');
    };
    return { alert: 'ConfigSidecarReloadOverdue', sidecar, breaks };
  },
  async (place) => {
    const job = fileJob(place);
    const sidecar = await place.start(job.variables);
    await isOutcome(sidecar, 'applied', 'one', place);
    const breaks = (): void => {
      rmSync(job.config);
      place.directory('out/app.json/taken');
      job.set('two');
    };
    return { alert: 'ConfigSidecarPublishFailing', sidecar, breaks };
  },
  async (place) => {
    const job = fileJob(place);
    const sidecar = await place.start(job.variables);
    await isOutcome(sidecar, 'applied', 'one', place);
    job.set('two');
    await isOutcome(sidecar, 'applied', 'two', place);
    const breaks = () => place.run(['rollback'], { ...job.variables, LISTEN: 'off' });
    return { alert: 'ConfigSidecarPinned', sidecar, breaks };
  },
  async (place) => {
    const job = fileJob(place);
    const sidecar = await place.start(job.variables);
    await isOutcome(sidecar, 'applied', 'one', place);
    return { alert: 'ConfigSidecarGone', sidecar, breaks: () => sidecar.end('SIGKILL') };
  },
];

/** Breaks it and waits for the alert; the seconds in between. */
async function secondsToAlert(scene: Scene, monitoring: Monitoring): Promise<readonly [string, number]> {
  const { alert, sidecar, breaks } = scene;
  const startedAt = Date.now();
  await breaks();
  const instance = `127.0.0.1:${sidecar.port}`;
  const found = await until(`${alert} arrives`, () => {
    return monitoring
      .alerts()
      .find(
        ({ labels, status }) =>
          status === 'firing' && labels['instance'] === instance && labels['alertname'] === alert,
      );
  });
  const texts = Object.values(found.annotations);
  expect(texts).toHaveLength(3);
  for (const text of texts) expect(text).not.toMatch(/<no value>|<error|\{\{/);
  expect(found.annotations['summary']).toContain(instance);
  return [alert, (found.at - startedAt) / 1000];
}

test('each break leads to its alert, and to no other', async (context) => {
  const scenes = await Promise.all(SCENES.map((set) => set(createPlace(context), context)));
  const ports = scenes.map(({ sidecar }) => sidecar.port);
  const { onTestFinished } = context;
  const monitoring = await startMonitoring({ place: createPlace(context), onTestFinished, sidecars: ports });
  await until('all are scraped', async () => (await monitoring.query('up == 1')).length === scenes.length);
  for (const query of dashboardQueries()) await monitoring.query(query);
  const { length } = await monitoring.query('config_sidecar_ready == 1 and config_sidecar_in_sync == 1');
  expect(length).toBe(scenes.length);
  expect(monitoring.alerts()).toEqual([]);
  const measured = await Promise.all(scenes.map((scene) => secondsToAlert(scene, monitoring)));
  await context.annotate(measured.map(([alert, seconds]) => `${alert}: ${seconds.toFixed(1)} s`).join('\n'));
  const arrived = monitoring.alerts().map(({ labels }) => `${labels['instance']} ${labels['alertname']}`);
  const wanted = scenes.map(({ alert, sidecar }) => `127.0.0.1:${sidecar.port} ${alert}`);
  expect([...new Set(arrived)].sort()).toEqual([...wanted].sort());
});
