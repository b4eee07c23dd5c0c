// The look-up of systems without /proc, on this one: the same rules of choice over what `ps` shows.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isLiving } from '../../../../src/application/process/liveness.ts';
import {
  createLookup,
  type LookedUp,
  type Lookup,
  type LookupOptions,
} from '../../../../src/application/process/lookup.ts';
import { isStillThere } from '../../../../src/application/process/ps.ts';
import { signalWithoutProc } from '../../../../src/application/reload/signal.ts';
import type { ProcessId } from '../../../../src/ledger/types.ts';
import {
  createStage,
  fixture,
  makeZombie,
  processOfAnother,
  until,
  withoutRights,
} from '../../../support/application/process/apart.ts';

function lookupOf(options: Partial<LookupOptions>): Lookup {
  return createLookup({ signal: 'SIGHUP', gateOff: false, listing: 'ps', ...options });
}

type Found = LookedUp & { readonly kind: 'found' };

async function found(lookup: Lookup, pid: number): Promise<Found> {
  return await until(`process ${pid} is found`, () => {
    const fact = lookup.look(performance.now());
    return fact.kind === 'found' && fact.id.pid === pid && fact.readiness.kind !== 'settling' && fact;
  });
}

/** The reason, once the processes have been listed. */
async function reasonOf(lookup: Lookup): Promise<string> {
  return await until('no process is found', () => {
    const fact = lookup.look(performance.now());
    return fact.kind !== 'found' && !fact.reason.includes('not listed yet') && fact.reason;
  });
}

test('no process is found before the processes were listed', () => {
  expect(lookupOf({ name: 'sleep' }).look(0)).toEqual({
    kind: 'none',
    reason: 'its processes are not listed yet',
  });
});

describe('a process is found', () => {
  test('by its name, by its command line and by its number', async (context) => {
    const stage = createStage(context);
    const { pid } = stage.start([stage.called(stage.name, '/bin/sleep'), '600']);
    writeFileSync(stage.at('pid'), `${pid}`);
    const pattern = new RegExp(`${stage.name} 600$`);
    for (const who of [{ name: stage.name }, { pattern }, { pidFile: stage.at('pid') }]) {
      const fact = await found(lookupOf({ ...who, signal: null }), pid);
      expect(fact.readiness).toEqual({ kind: 'ready' });
      expect(isStillThere(fact.id)).toBe(true);
      expect(isStillThere({ ...fact.id, startTicks: fact.id.startTicks - 300 })).toBe(false);
    }
  });

  test('never as our own command, as a zombie, as a shell that mentions it, or as one of two', async (context) => {
    const stage = createStage(context);
    const program = stage.called(stage.name, '/bin/sleep');
    const child = spawn(program, ['600']);
    context.onTestFinished(() => void child.kill('SIGKILL'));
    expect(await reasonOf(lookupOf({ name: stage.name }))).toMatch(/ is a command started by this sidecar$/);
    const zombie = await makeZombie(stage, stage.called('zombie-one', '/bin/sleep'));
    writeFileSync(stage.at('pid'), `${zombie.pid}`);
    expect(await reasonOf(lookupOf({ pidFile: stage.at('pid') }))).toMatch(/ is a zombie$/);
    stage.start(['sh', '-c', `: ${stage.at('shell')}; while :; do sleep 600; done`]);
    const shell = lookupOf({ pattern: new RegExp(stage.at('shell')) });
    expect(await until('it is seen', () => matchOf(shell, 'only mentions it'))).toBeTruthy();
    const two = stage.called('one-of-two', '/bin/sleep');
    for (const seconds of ['600', '601']) stage.start([two, seconds]);
    const both = lookupOf({ pattern: new RegExp(two) });
    expect(await until('both are seen', () => matchOf(both, 'several unrelated'))).toBeTruthy();
  });

  test('not by its container, which says what to use instead', async () => {
    expect(await reasonOf(lookupOf({ container: 'web' }))).toBe(
      'this system does not show container names; use APP_PROCESS or APP_PID_FILE instead of APP_CONTAINER',
    );
  });
});

function matchOf(lookup: Lookup, text: string): boolean {
  const fact = lookup.look(performance.now());
  return fact.kind !== 'found' && fact.reason.includes(text);
}

describe('a signal', () => {
  const hook = { kind: 'signal', signal: 'SIGHUP', gateOff: false } as const;

  test('is held back unless RELOAD_GATE=off says that there is a handler', async (context) => {
    const stage = createStage(context);
    const name = stage.called(stage.name, process.execPath);
    const id = stage.start([name, fixture('takes-hup.mjs'), stage.at('record')]);
    const held = await found(lookupOf({ name: stage.name }), id.pid);
    expect(held.readiness).toEqual({
      kind: 'unknown-handler',
      reason: 'may have no handler for SIGHUP, which would kill it: this system does not show handlers',
    });
    expect(signalWithoutProc(hook, held.id)).toEqual({
      kind: 'owed',
      class: 'unavailable',
      code: 'reload.no-handler',
      message: `Cannot send SIGHUP to process "${id.pid}": this system does not show whether it has a handler`,
    });
    const ready = await found(lookupOf({ name: stage.name, gateOff: true }), id.pid);
    expect(ready.readiness).toEqual({ kind: 'ready' });
    expect(signalWithoutProc({ ...hook, gateOff: true }, ready.id)).toEqual({
      kind: 'told',
      evidence: null,
      process: ready.id,
    });
    await until('it was notified', () => stage.read('record') === 'listening\ntold\n');
    expect(isLiving(id)).toBe(true);
  });

  test('is not sent to another process with the number', async (context) => {
    const { pid, startTicks } = createStage(context).start(['sleep', '600']);
    const other: ProcessId = { pid, startTicks: 100 };
    expect(signalWithoutProc({ ...hook, signal: 'SIGTERM' }, other)).toEqual({
      kind: 'gone',
      code: 'reload.gone',
      message: `Cannot send SIGTERM to the application: process ${pid} ended`,
    });
    expect(isLiving({ pid, startTicks })).toBe(true);
  });

  test('that asks to end needs no handler', async (context) => {
    const stage = createStage(context);
    const id = stage.start([stage.called(stage.name, '/bin/sleep'), '600']);
    const { readiness, id: seen } = await found(lookupOf({ name: stage.name, signal: 'SIGTERM' }), id.pid);
    expect(readiness).toEqual({ kind: 'ready' });
    expect(signalWithoutProc({ ...hook, signal: 'SIGTERM' }, seen).kind).toBe('told');
    await until('it ended', () => !isLiving(id));
  });

  test('to a process of another user is not ours to send', async (context) => {
    const stage = createStage(context);
    const { pid } = await processOfAnother(stage);
    writeFileSync(stage.at('pid'), `${pid}`);
    const lookup = withoutRights(() => lookupOf({ pidFile: stage.at('pid'), gateOff: true }));
    const readiness = await until('it settled', () => {
      const fact = withoutRights(() => lookup.look(performance.now()));
      return fact.kind === 'found' && fact.readiness.kind !== 'settling' && fact.readiness;
    });
    expect(readiness).toMatchObject({ kind: 'not-permitted' });
  });
});
