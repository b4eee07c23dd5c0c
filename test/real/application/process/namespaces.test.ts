// Numbers of another PID namespace, and the first process of one: with real namespaces, and the built program in its own.
import { expect, test } from 'vitest';
import { isHalted, isLiving } from '../../../../src/application/process/liveness.ts';
import {
  createLookup,
  type LookedUp,
  type LookupOptions,
} from '../../../../src/application/process/lookup.ts';
import { signalReload } from '../../../../src/application/reload/signal.ts';
import { createStage, until } from '../../../support/application/process/apart.ts';
import { wrapperPrograms } from '../../../support/application/process/wrappers.ts';
import { createPlace } from '../../../support/e2e/place.ts';

/** A program as the first process of a namespace that lies below ours. */
const FIRST: readonly [string, ...string[]] =
  process.getuid?.() === 0 ? ['unshare', '-pf'] : ['unshare', '-rpf'];

async function readinessOf(options: Partial<LookupOptions>): Promise<LookedUp & { readonly kind: 'found' }> {
  const lookup = createLookup({ signal: 'SIGTERM', gateOff: false, ...options });
  return await until('it has settled', () => {
    const fact = lookup.look(performance.now());
    return fact.kind === 'found' && fact.readiness.kind !== 'settling' && fact;
  });
}

test('the first process of a namespace that has no handler for SIGTERM is not asked to end', async (context) => {
  const stage = createStage(context);
  const program = stage.called(stage.name, '/bin/sleep');
  stage.start([...FIRST, '--kill-child', program, '600']);
  const { id, readiness } = await readinessOf({ name: stage.name });
  expect(readiness).toEqual({
    kind: 'no-handler',
    reason: 'has no handler for SIGTERM, which would pass unnoticed',
  });
  const context2 = { process: id, output: '/out', revision: '1', previousRevision: null };
  const sent = signalReload({ kind: 'signal', signal: 'SIGTERM', gateOff: false }, context2);
  expect(sent).toMatchObject({ kind: 'owed', code: 'reload.no-handler' });
  // Anywhere else SIGTERM needs no handler.
  const plain = stage.start([stage.called(`${stage.name}b`, '/bin/sleep'), '600']);
  expect((await readinessOf({ name: `${stage.name}b` })).readiness).toEqual({ kind: 'ready' });
  expect(
    signalReload({ kind: 'signal', signal: 'SIGTERM', gateOff: false }, { ...context2, process: plain }).kind,
  ).toBe('told');
  await until('that one has ended', () => !isLiving(plain));
});

test('a process that was stopped is held back until it runs again', async (context) => {
  const stage = createStage(context);
  const id = stage.start([stage.called(stage.name, '/bin/sleep'), '600']);
  await readinessOf({ name: stage.name });
  process.kill(id.pid, 'SIGSTOP');
  await until('it is stopped', () => isHalted(id));
  for (const signal of ['SIGTERM', null] as const)
    expect((await readinessOf({ name: stage.name, signal })).readiness.kind).toBe('stopped');
  process.kill(id.pid, 'SIGCONT');
  await until(
    'it is ready',
    async () => (await readinessOf({ name: stage.name })).readiness.kind === 'ready',
  );
});

test.for([
  ['dumb-init', 'SIGHUP'],
  ['dumb-init', 'SIGTERM'],
  ['catatonit', 'SIGHUP'],
  ['catatonit', 'SIGTERM'],
] as const)(
  'below %s of its own, PID file 1: %s is not sent, and why is said',
  async ([init, signal], context) => {
    const { path } = wrapperPrograms();
    const place = createPlace(context);
    const sidecar = await place.start(
      {
        SOURCE: place.write('source.json', '{"a":1}'),
        OUTPUT: `${place.directory('volume')}/app.json`,
        APP_PID_FILE: place.write('app.pid', '1'),
        RELOAD_SIGNAL: signal,
        LOG_FORMAT: 'json',
      },
      {
        node: FIRST[0],
        nodeWords: [...FIRST.slice(1), '--mount-proc', '--kill-child', path(init), '--', process.execPath],
      },
    );
    const { message } = await sidecar.outcome('no-target');
    expect(message).toContain(
      `the PID file "${place.at('app.pid')}" holds 1, but no process that may be notified has the number 1: 1 (${init}) is the first process of this sidecar's own container, so the process namespace is not shared with the application`,
    );
    expect(sidecar.isRunning()).toBe(true);
  },
);
