// examples/host-systemd: one unit and one settings file keep the real nginx, HAProxy and syslog-ng of a host as Consul has it.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { httpGet } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { startCollector } from '../../support/examples/collector.ts';
import { openHost, UNIT } from '../../support/examples/host.ts';
import { stateOf } from '../../support/examples/state.ts';
import { analyze } from '../../support/examples/unit.ts';
import { type ConsulServer, startConsul } from '../../support/servers/consul.ts';

let consul: ConsulServer;
beforeAll(async () => {
  consul = await startConsul();
});
afterAll(() => consul?.end());

test('systemd accepts the unit, and refuses one with a slip', () => {
  const verify = ['verify', '--recursive-errors=no'];
  expect(analyze(UNIT, verify)).toEqual({ status: 0, output: '' });
  const slip = analyze(UNIT.replace('RestartSec=', 'RestartSek='), verify);
  expect(slip.output).toContain("Unknown key 'RestartSek'");
  const { output } = analyze(UNIT, ['security', '--offline=true']);
  const [, exposure = '10'] = /Overall exposure level for \S+: ([\d.]+)/.exec(output) ?? [];
  expect(Number(exposure)).toBeLessThan(4);
});

const put = (values: Readonly<Record<string, string | number>>): Promise<void> =>
  consul.putAll(
    Object.fromEntries(Object.entries(values).map(([key, value]) => [`hosts/edge/${key}`, String(value)])),
  );

test('a change reaches its application, a bad one stops there, and SIGHUP adds a target', async () => {
  const { web, pages, port, startServices, writeSettings, startSidecar, command, reload } = await openHost(
    consul.port,
  );
  const [nginx, haproxy, shipper] = ['nginx', 'haproxy', 'shipper'].map((name) => stateOf(port, name));
  if (nginx === undefined || haproxy === undefined || shipper === undefined) throw new Error('no targets');
  const [first, second] = [await startCollector(), await startCollector()];
  await put({
    'nginx/cache_seconds': 60,
    'haproxy/servers/here': `127.0.0.1:${pages}`,
    'shipper/collector/host': '127.0.0.1',
    'shipper/collector/port': first.port,
  });
  const serves = (seconds: number, path = '/'): Promise<unknown> =>
    until(`a page may be kept for ${seconds} s`, async () => {
      const response = await fetch(`http://127.0.0.1:${web}${path}`);
      const kept = response.headers.get('cache-control');
      if (kept !== `max-age=${seconds}`) throw new Error(`${response.status}, ${kept}`);
      return (await response.text()) === 'a page\n';
    });
  await startServices();
  writeSettings('shipper');
  const sidecar = startSidecar();
  await Promise.all([nginx.ends('applied'), haproxy.ends('applied')]);
  await serves(60);

  // A change of one: HAProxy is not reloaded for it.
  const published = (target: string): number =>
    sidecar
      .log()
      .split('\n')
      .filter((line) => line.includes('"event":"published"') && line.includes(`"target":"${target}"`)).length;
  await put({ 'nginx/cache_seconds': 5 });
  await serves(5);
  await nginx.ends('applied');
  expect([published('nginx'), published('haproxy')]).toEqual([2, 1]);

  // One that only HAProxy's own check refuses, and with it a good one of nginx.
  await put({ 'haproxy/servers/away': '127.0.0.1:99999', 'nginx/cache_seconds': 7 });
  await haproxy.ends('rejected', 'validate.command');
  expect(sidecar.log()).toContain("invalid port '99999'");
  await serves(7);
  await nginx.ends('applied');
  expect((await httpGet(port, '/readyz?target=haproxy')).status).toBe(200);

  // The third application.
  writeSettings();
  await reload();
  await shipper.ends('applied');
  const arrives = (collector: { readonly lines: () => readonly string[] }, path: string): Promise<unknown> =>
    until(`the line of ${path} arrives`, () =>
      collector.lines().some((line) => line.includes(`GET ${path} `)),
    );
  await fetch(`http://127.0.0.1:${web}/?first`);
  await arrives(first, '/?first');
  expect(published('nginx')).toBe(3);

  // HAProxy's is still the bad one: the other two go on.
  await put({ 'nginx/cache_seconds': 'soon', 'shipper/collector/port': second.port });
  expect((await nginx.ends('rejected', 'guard.schema')).message).toContain('/nginx/cache_seconds');
  await until(
    'the shipper has the new place',
    async () => (await shipper.target()).outcome === 'applied' && published('shipper') === 2,
  );
  await shipper.ends('applied');
  await fetch(`http://127.0.0.1:${web}/?second`);
  await arrives(second, '/?second');

  await put({ 'nginx/cache_seconds': 9, 'haproxy/servers/away': `127.0.0.1:${pages}` });
  await serves(9);
  await Promise.all([nginx.ends('applied'), haproxy.ends('applied')]);

  const check = await command('check');
  expect(check.code, check.output).toBe(0);
  expect(check.output.match(/^target \w+$/gm)).toEqual(['target nginx', 'target haproxy', 'target shipper']);
  expect(check.output).not.toMatch(/^(?:FAIL|warn)/m);

  // A target that is gone: its file stays, and the others run on.
  writeSettings('haproxy');
  await reload();
  await until('it is gone', async () => (await httpGet(port, '/readyz?target=haproxy')).status === 404);
  await put({ 'nginx/cache_seconds': 11 });
  await serves(11);
});
