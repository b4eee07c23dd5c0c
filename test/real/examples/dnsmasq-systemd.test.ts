// examples/dnsmasq-systemd: the unit is one that systemd accepts, and with its settings a real dnsmasq answers again.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isName } from '../../../src/settings/table.ts';
import { DIST } from '../../support/e2e/sidecar.ts';
import { EXAMPLES } from '../../support/examples/manifest.ts';
import { clientOf, startInventory } from '../../support/examples/names.ts';
import { installCommand } from '../../support/examples/packaged.ts';
import { stateOf } from '../../support/examples/state.ts';
import { openTogether, type Program } from '../../support/examples/together.ts';
import { analyze, startOfUnit } from '../../support/examples/unit.ts';
import { freePorts } from '../../support/servers/ports.ts';

const EXAMPLE = join(EXAMPLES, 'dnsmasq-systemd');
const UNIT = readFileSync(join(EXAMPLE, 'config-sidecar-dnsmasq.service'), 'utf8');

test('systemd accepts the unit, finds it well confined, and refuses one with a slip', () => {
  const verify = ['verify', '--recursive-errors=no'];
  expect(analyze(UNIT, verify)).toEqual({ status: 0, output: '' });
  const slip = analyze(UNIT.replace('RestartSec=', 'RestartSek='), verify);
  expect(slip.output).toContain("Unknown key 'RestartSek'");
  const { output } = analyze(UNIT, ['security', '--offline=true']);
  const [, exposure = '10'] = /Overall exposure level for \S+: ([\d.]+)/.exec(output) ?? [];
  expect(Number(exposure)).toBeLessThan(2.5);
});

test('with the settings of the unit, and no privilege, dnsmasq answers with what the inventory says', async () => {
  const inventory = await startInventory();
  const { dnsPort, port, startDnsmasq, startSidecar } = await openMachine(inventory.port);
  const { answers, isUnknown } = clientOf(dnsPort);
  const { ends } = stateOf(port);
  inventory.set([
    ['db.internal', '10.0.0.7'],
    ['db.internal', 'fd00::7'],
  ]);
  // As in the unit, dnsmasq comes first, and finds no names yet.
  await startDnsmasq();
  await isUnknown('db.internal');
  startSidecar();
  await answers('db.internal', '10.0.0.7', 'fd00::7');
  expect((await ends('applied')).running?.evidence).toBe('alive');

  inventory.set([
    ['db.internal', '10.0.0.8'],
    ['cache.internal', '10.0.0.9'],
  ]);
  await answers('db.internal', '10.0.0.8');
  await answers('cache.internal', '10.0.0.9');
  await ends('applied');
  inventory.set([['db.internal', '10.0.0.8 evil.internal']]);
  const { message } = await ends('rejected', 'guard.schema');
  expect(message).toContain('/hosts/0/address');
  await answers('cache.internal', '10.0.0.9');

  inventory.set([['db.internal', '10.0.0.10']]);
  await answers('db.internal', '10.0.0.10');
  await isUnknown('cache.internal');
});

/** The folders of the machine, and what starts the two services. */
async function openMachine(inventoryPort: number) {
  const { at, start, folder } = await openTogether();
  const [dnsPort = 0, port = 0] = await freePorts(2);
  for (const path of ['data/dnsmasq', 'data/dnsmasq-state']) mkdirSync(at(path), { recursive: true });
  cpSync(EXAMPLE, at('etc'), { recursive: true });
  const paths = {
    '/var/lib/config-sidecar': at('data'),
    '/etc/config-sidecar/dnsmasq': at('etc'),
    'inventory.example': `127.0.0.1:${inventoryPort}`,
  };
  const startDnsmasq = async (): Promise<Program> => {
    const file = at('etc/dnsmasq.conf');
    writeFileSync(file, readFileSync(file, 'utf8').replace('/var/lib/config-sidecar', at('data')));
    const how = ['--keep-in-foreground', '--no-resolv', '--bind-interfaces', '--listen-address=127.0.0.1'];
    const where = [
      `--port=${dnsPort}`,
      `--conf-file=${file}`,
      `--pid-file=${at('pid')}`,
      '--user=',
      '--group=',
    ];
    return start('dnsmasq', [installCommand('dnsmasq', folder), ...how, ...where]);
  };
  const startSidecar = (): Program => {
    const { nodeWords, env } = startOfUnit(UNIT, paths);
    expect(Object.keys(env).filter((name) => !isName(name))).toEqual([]);
    const hasty = { LISTEN: `127.0.0.1:${port}`, UPDATE_FREQUENCY: '1s', CONFIRM_PERIOD: '1s' };
    // As NoNewPrivileges= and CapabilityBoundingSet= have it.
    const confined = ['setpriv', '--no-new-privs', '--bounding-set=-all', '--inh-caps=-all', '--'];
    const words = [...confined, process.execPath, ...nodeWords, join(DIST, 'main.js')];
    return start('sidecar', words, { env: { ...env, ...hasty } });
  };
  return { dnsPort, port, startDnsmasq, startSidecar };
}
