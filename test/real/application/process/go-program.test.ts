// A real program written in Go: its runtime catches SIGHUP from the first moment, in order to die of it.
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isLiving } from '../../../../src/application/process/liveness.ts';
import { createLookup } from '../../../../src/application/process/lookup.ts';
import { signalReload } from '../../../../src/application/reload/signal.ts';
import { createStage, until } from '../../../support/application/process/apart.ts';
import { freePorts } from '../../../support/servers/ports.ts';
import { serverBinary } from '../../../support/servers/prerequisites.ts';

test('a Go program that is looked at from its first milliseconds is signalled once it listens, and survives', async (context) => {
  const stage = createStage(context);
  const [http, dns, serfLan, serfWan, server] = await freePorts(5);
  const ports = { http, dns, serf_lan: serfLan, serf_wan: serfWan, server, grpc: -1 };
  writeFileSync(stage.at('agent.json'), JSON.stringify({ ports }));
  const words = ['agent', '-dev', '-node=test', '-bind=127.0.0.1', `-config-file=${stage.at('agent.json')}`];
  const program = stage.called(stage.name, serverBinary('consul'));
  const id = stage.start(['sh', '-c', 'exec "$@" >"$RECORD" 2>&1', 'sh', program, ...words], {
    RECORD: stage.at('record'),
  });
  const lookup = createLookup({ name: stage.name, signal: 'SIGHUP', gateOff: false });
  await until('it is ready', () => {
    const fact = lookup.look(performance.now());
    return fact.kind === 'found' && fact.readiness.kind === 'ready';
  });
  const hook = { kind: 'signal', signal: 'SIGHUP', gateOff: false } as const;
  const result = signalReload(hook, { process: id, output: '/out', revision: '1', previousRevision: null });
  expect(result).toEqual({ kind: 'told', evidence: null, process: id });
  await until('it says that it was signalled', () => stage.read('record').includes('hangup'));
  expect(isLiving(id)).toBe(true);
});
