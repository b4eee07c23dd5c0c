// @module-tag root
// examples/prometheus-http as a pod: Prometheus is notified and probed over HTTP, by a user of another number, and says no itself.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Images, openImages } from '../support/pods/images.ts';
import { readExample, readManifest, withEnv, withServices } from '../support/pods/manifest.ts';
import { layOutPod, type Pod, printLogs } from '../support/pods/pod.ts';
import { COMMAND, type PodSidecar, sidecarIn } from '../support/pods/sidecar.ts';
import { consulContainer, putInConsul } from '../support/pods/stores.ts';

const PROMETHEUS = 'http://127.0.0.1:9090';
const TEMPLATES = ['prometheus.yml.liquid', 'rules.yml.liquid'];

describe('examples/prometheus-http', () => runPod());

function runPod(): void {
  let images: Images;
  let pod: Pod;
  let sidecar: PodSidecar;

  const get = async (path: string): Promise<unknown> => JSON.parse((await pod.ask(PROMETHEUS + path)).body);
  const put = (values: Readonly<Record<string, string>>): Promise<string> =>
    putInConsul(
      pod,
      Object.fromEntries(Object.entries(values).map(([key, value]) => [`prometheus/${key}`, value])),
    );

  beforeAll(async () => {
    images = await openImages();
    const server = await images.server('prometheus', 'consul');
    const settings = { CONFIRM_PERIOD: '1s' };
    const manifest = withEnv(readManifest('prometheus-http'), 'config-sidecar', settings);
    pod = await layOutPod(withServices(manifest, consulContainer(server)), {
      images,
      as: { 'prom/prometheus': server, 'config-sidecar': images.sidecar },
      configMaps: {
        'prometheus-templates': Object.fromEntries(
          TEMPLATES.map((name) => [name, readExample('prometheus-http', name)]),
        ),
      },
    });
    sidecar = sidecarIn(pod);
    await pod.startNext('consul');
    await put({ 'jobs/self': 'localhost:9090' });
    for (const container of ['config-once', 'prometheus', 'config-sidecar']) await pod.startNext(container);
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') await printLogs(pod);
  });

  afterAll(async () => {
    await pod?.remove();
    await images?.remove();
  });

  test('Prometheus starts with what the init container rendered', async () => {
    await sidecar.settled('applied');
    const config = await get('/api/v1/status/config');
    expect(config).toMatchObject({ data: { yaml: expect.stringContaining('job_name: self') } });
  });

  test('a job that is put in Consul is scraped, and an alert is known, both by one reload', async () => {
    const index = await put({ 'jobs/more': 'localhost:9090 localhost:9533', 'alerts/Down': 'up == 0' });
    const { running } = await sidecar.outcome('applied', index);
    expect(running?.evidence).toContain('probed');
    const config = await get('/api/v1/status/config');
    expect(config).toMatchObject({
      data: { yaml: expect.stringMatching(/job_name: more[\s\S]*localhost:9533/) },
    });
    const rules = await get('/api/v1/rules');
    expect(rules).toMatchObject({ data: { groups: [{ rules: [{ name: 'Down', query: 'up == 0' }] }] } });
  });

  test('what Prometheus refuses is rolled back, and its answer is kept', async () => {
    const { history } = await sidecar.outcome('rolled-back', await put({ 'alerts/Down': 'up ==' }));
    expect(history.map(({ outcome }) => outcome)).toContain('refused');
    const { history: later } = await sidecar.outcome('rolled-back', await put({ interval: 'soon' }));
    expect(later.map(({ outcome }) => outcome).filter((one) => one === 'refused')).toHaveLength(2);
    const [, second] = await sidecar.logs('refused');
    expect(second).toMatchObject({
      code: 'reload.status',
      printed: expect.stringContaining('not a valid duration string: "soon"'),
    });
    const { stdout } = await pod.exec('config-sidecar', ...COMMAND, 'status');
    expect(stdout).toContain('not a valid duration string');
    const rules = await get('/api/v1/rules');
    expect(rules).toMatchObject({ data: { groups: [{ rules: [{ name: 'Down', query: 'up == 0' }] }] } });
    const metrics = (await pod.ask(`${PROMETHEUS}/metrics`)).body;
    expect(metrics).toMatch(/^prometheus_config_last_reload_successful 1$/m);
  });
}
