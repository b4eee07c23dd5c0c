// @module-tag root
// examples/syslog-ng-logs with a real nginx, a real syslog-ng and a real Consul: no line is lost when the collector changes.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { DIST, httpGet } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { type Collector, itemsIn, startCollector, startTraffic } from '../../support/examples/collector.ts';
import { EXAMPLES, readPod, startOf } from '../../support/examples/manifest.ts';
import { installCommand } from '../../support/examples/packaged.ts';
import { stateOf } from '../../support/examples/state.ts';
import { type Environment, openTogether, type Program } from '../../support/examples/together.ts';
import { type ConsulServer, startConsul } from '../../support/servers/consul.ts';
import { freePorts } from '../../support/servers/ports.ts';

const POD = readPod('syslog-ng-logs/pod.yaml');

test('lines go where Consul says, none is lost on the way, and a broken configuration stops nothing', async () => {
  const consul = await startConsul();
  onTestFinished(() => consul.end());
  const [red, blue] = [await startCollector(), await startCollector()];
  await shipTo(consul, red);
  const pod = await openPod(consul.port);
  expect(await pod.run('config-once').ended).toBe(0);
  pod.run('nginx');
  const syslogNg = pod.run('syslog-ng');
  pod.run('config-sidecar', { LISTEN: `127.0.0.1:${pod.sidecarPort}`, CONFIRM_PERIOD: '1s' });
  const { target, ends } = stateOf(pod.sidecarPort);
  await until('nginx answers', () => httpGet(pod.port, '/healthz'));
  const traffic = startTraffic(pod.port);
  const moreAt = async (collector: Collector): Promise<void> => {
    const before = collector.lines().length;
    await until('further lines arrive', () => collector.lines().length > before + 50);
  };
  await moreAt(red);
  await until('the first configuration is confirmed', async () => (await target()).lastKnownGood);

  for (const collector of [blue, red, blue]) {
    await shipTo(consul, collector);
    await moreAt(collector);
  }
  await until('the last one is confirmed', async () => (await ends('applied')).lastKnownGood);

  await consul.put('app/shipping/format', '$(nosuch $MSG)');
  await ends('rejected', 'validate.command');
  await moreAt(blue);
  await consul.put('app/shipping/format', '`HOME`');
  await ends('rejected', 'guard.schema');
  await consul.txn([
    { key: 'app/shipping/format', value: 'web "$MSG"' },
    { key: 'app/shipping/exclude', value: 'GET /healthz' },
  ]);
  await ends('applied');
  await until('lines look as they should', () => blue.lines().at(-1)?.startsWith('web "127.0.0.1 - - ['));
  const before = blue.lines().length;
  await moreAt(blue);
  expect(blue.lines().slice(before).join('\n')).not.toContain('/healthz');

  const count = await traffic.stop();
  const items = () => [...itemsIn(red.lines()), ...itemsIn(blue.lines())];
  const missing = () =>
    Array.from({ length: count }, (_, item) => item).filter((item) => !items().includes(item));
  await until('every line has arrived', () => missing().length === 0).catch(() => {});
  const twice = items().length - new Set(items()).size;
  console.info(`syslog-ng-logs: ${count} lines, ${missing().length} lost, ${twice} came twice`);
  expect(missing()).toEqual([]);
  expect(itemsIn(red.lines()).length).toBeGreaterThan(50);
  expect(syslogNg.log()).toBe('');
});

async function shipTo(consul: ConsulServer, { port }: Collector): Promise<void> {
  await consul.txn([
    { key: 'app/shipping/destination/host', value: '127.0.0.1' },
    { key: 'app/shipping/destination/port', value: String(port) },
  ]);
}

/** The folders and addresses of the pod, and what starts its containers. */
async function openPod(consulPort: number) {
  const { at, start, folder } = await openTogether();
  for (const path of ['live', 'run', 'logs', 'state', 'example']) mkdirSync(at(path));
  const nginx = installCommand('nginx', folder);
  const syslogNg = installCommand('syslog-ng', folder);
  const [port = 0, sidecarPort = 0] = await freePorts(2);
  const paths = ['live', 'run/nginx', 'logs', 'state', 'example'].map((path) => [
    `/${path}/`,
    `${at(path)}/`,
  ]);
  mkdirSync(at('run/nginx'));
  const replaced = { ...Object.fromEntries(paths), 'consul:8500': `127.0.0.1:${consulPort}` };
  for (const name of ['syslog-ng.conf.liquid', 'schema.json', 'nginx.conf']) {
    const text = readFileSync(join(EXAMPLES, 'syslog-ng-logs', name), 'utf8')
      .replaceAll('/logs/', `${at('logs')}/`)
      .replace('listen 8080', `listen 127.0.0.1:${port}`);
    writeFileSync(at(`example/${name}`), text);
  }
  const mains: Readonly<Record<string, readonly string[]>> = { nginx: [nginx], 'syslog-ng': [syslogNg] };
  const PATH = `${at('bin')}:${process.env['PATH']}`;
  const run = (name: string, variables: Environment = {}): Program => {
    const { words, env } = startOf(POD, name, replaced);
    const main = mains[name] ?? [process.execPath, join(DIST, 'main.js')];
    return start(name, [...main, ...words], { env: { PATH, ...env, ...variables } });
  };
  return { run, port, sidecarPort };
}
