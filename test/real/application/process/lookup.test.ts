// Finds real applications and decides when they can be signalled; none of them may die of it.

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { isLiving } from '../../../../src/application/process/liveness.ts';
import {
  createLookup,
  type LookedUp,
  type Lookup,
  type LookupOptions,
} from '../../../../src/application/process/lookup.ts';
import { listProcesses, processFolder, readRow } from '../../../../src/application/process/proc.ts';
import { signalReload } from '../../../../src/application/reload/signal.ts';
import type { ProcessId } from '../../../../src/ledger/types.ts';
import {
  createStage,
  fixture,
  makeZombie,
  processOfAnother,
  type Stage,
  until,
  withoutRights,
} from '../../../support/application/process/apart.ts';

function lookupOf(options: Partial<LookupOptions>): Lookup {
  return createLookup({ signal: 'SIGHUP', gateOff: false, ...options });
}

function look(lookup: Lookup): LookedUp {
  return lookup.look(performance.now());
}

/** Looks until the process has settled; what its readiness is then. */
async function verdict(lookup: Lookup): Promise<LookedUp & { readonly kind: 'found' }> {
  return await until('the process settled', () => {
    const fact = look(lookup);
    return fact.kind === 'found' && fact.readiness.kind !== 'settling' ? fact : null;
  });
}

function startNode(stage: Stage, file: string, ...words: string[]): ProcessId {
  return stage.start([stage.called(stage.name, process.execPath), fixture(file), ...words]);
}

function hangUp(id: ProcessId, gateOff = false): string {
  const context = { process: id, output: '/out', revision: '1', previousRevision: null };
  return signalReload({ kind: 'signal', signal: 'SIGHUP', gateOff }, context).kind;
}

describe('an application', () => {
  test('that starts slowly is held back until it has its handler, and then told without dying', async (context) => {
    const stage = createStage(context);
    const id = startNode(stage, 'takes-hup.mjs', stage.at('record'), '2000');
    const lookup = lookupOf({ name: stage.name });
    const kinds = new Set<string>();
    const found = await until('it is ready', () => {
      const fact = look(lookup);
      if (fact.kind !== 'found') return null;
      kinds.add(fact.readiness.kind);
      return fact.readiness.kind === 'ready' ? fact : null;
    });
    expect([...kinds]).toEqual(['settling', 'no-handler', 'ready']);
    expect(found).toMatchObject({ id, name: `${id.pid} (${stage.name})` });
    expect(hangUp(found.id)).toBe('told');
    await until('it was notified', () => stage.read('record') === 'listening\ntold\n');
    expect(isLiving(id)).toBe(true);
  });

  test('without a handler is never ready, though a thread of it blocks every signal', async (context) => {
    const stage = createStage(context);
    const id = startNode(stage, 'dies-on-hup.mjs');
    const { readiness } = await verdict(lookupOf({ name: stage.name }));
    expect(readiness).toEqual({
      kind: 'no-handler',
      reason: 'has no handler for SIGHUP, which would kill it',
    });
    expect(hangUp(id)).toBe('owed');
    expect(isLiving(id)).toBe(true);
  });

  test('that ignores the signal is reported', async (context) => {
    const stage = createStage(context);
    stage.start(['sh', fixture('ignores-hup.sh'), stage.called(stage.name, '/bin/sleep'), '600']);
    const { readiness } = await verdict(lookupOf({ name: stage.name }));
    expect(readiness).toEqual({ kind: 'ignored', reason: 'ignores SIGHUP' });
  });

  test('that waits with sigwait is signalled with RELOAD_GATE=off', async (context) => {
    const stage = createStage(context);
    const id = stage.start(['python3', fixture('waits-for-hup.py'), 'sigwait', stage.at('record')]);
    await until('it waits', () => stage.read('record') === 'listening\n');
    const pattern = new RegExp(`waits-for-hup.py sigwait ${stage.at('record')}`);
    expect((await verdict(lookupOf({ pattern }))).readiness.kind).toBe('no-handler');
    const { readiness, id: found } = await verdict(lookupOf({ pattern, gateOff: true }));
    expect(readiness).toEqual({ kind: 'ready' });
    expect(hangUp(found, true)).toBe('told');
    await until('it was notified', () => stage.read('record') === 'listening\ntold\n');
    expect(isLiving(id)).toBe(true);
  });

  test('that blocks the signal in its only thread is ready', async (context) => {
    const stage = createStage(context);
    stage.start(['python3', fixture('waits-for-hup.py'), 'blocked', stage.at('record')]);
    const pattern = new RegExp(`waits-for-hup.py blocked ${stage.at('record')}`);
    const { readiness, id } = await verdict(lookupOf({ pattern }));
    expect(readiness).toEqual({ kind: 'ready' });
    expect(hangUp(id)).toBe('told');
    await until('it was notified', () => stage.read('record') === 'listening\ntold\n');
  });

  test('of another user is reported as not permitted', async (context) => {
    const stage = createStage(context);
    const { pid } = await processOfAnother(stage);
    writeFileSync(stage.at('pid'), `${pid}`);
    const lookup = withoutRights(() => lookupOf({ pidFile: stage.at('pid'), gateOff: true }));
    const readiness = await until('the process settled', () => {
      const fact = withoutRights(() => look(lookup));
      return fact.kind === 'found' && fact.readiness.kind !== 'settling' && fact.readiness;
    });
    expect(readiness).toMatchObject({ kind: 'not-permitted' });
    expect('reason' in readiness && readiness.reason).toMatch(
      /^belongs to user \d+, and this sidecar runs as user \d+ without CAP_KILL$/,
    );
  });

  test('that needs no signal is ready at once', async (context) => {
    const stage = createStage(context);
    startNode(stage, 'dies-on-hup.mjs');
    const lookup = lookupOf({ name: stage.name, signal: null });
    const fact = await until('it is found', () => {
      const seen = look(lookup);
      return seen.kind === 'found' && seen;
    });
    expect(fact.readiness).toEqual({ kind: 'ready' });
  });

  test('is not one of two that have nothing to do with each other', async (context) => {
    const stage = createStage(context);
    const program = stage.called(stage.name, '/bin/sleep');
    const pids = [stage.start([program, '600']).pid, stage.start([program, '600']).pid];
    const lookup = lookupOf({ name: stage.name });
    const fact = await until('both are seen', () => {
      const seen = look(lookup);
      return seen.kind === 'ambiguous' && seen;
    });
    expect(new Set(fact.pids)).toEqual(new Set(pids));
    expect(fact.reason).toContain('several unrelated processes match: ');
  });

  test('that starts is seen at the very next look, however soon', async (context) => {
    const stage = createStage(context);
    const program = stage.called(stage.name, '/bin/sleep');
    const isCalled = ({ comm }: { readonly comm: string }): boolean => stage.name.startsWith(comm);
    stage.start([program, '600']);
    const lookup = lookupOf({ name: stage.name });
    await until('the first is seen', () => look(lookup).kind === 'found');
    stage.start([program, '600']);
    await until('the second has its name', () => listProcesses()?.rows.filter(isCalled).length === 2);
    expect(look(lookup).kind).toBe('ambiguous');
  });

  test('is not a shell that has its name as an argument', async (context) => {
    const stage = createStage(context);
    const script = `: ${stage.name}; while :; do sleep 600; done`;
    const { pid } = stage.start(['sh', '-c', script]);
    // Until its child is another program, there is a second shell with the same words.
    await until('the shell runs', () =>
      listProcesses()?.rows.some(({ ppid, comm }) => ppid === pid && comm === 'sleep'),
    );
    const { reason } = noneOf(look(lookupOf({ pattern: new RegExp(stage.name) })));
    expect(reason).toBe(
      `no process that may be notified matches /${stage.name}/: ${pid} (sh) is a shell, launcher or supervisor that only mentions it`,
    );
  });

  test('is not a command that we started', async (context) => {
    const stage = createStage(context);
    const child = spawn(stage.called(stage.name, '/bin/sleep'), ['600']);
    context.onTestFinished(() => void child.kill('SIGKILL'));
    await until('it runs', () => readRow(processFolder(child.pid ?? 0))?.comm === stage.name);
    expect(noneOf(look(lookupOf({ name: stage.name }))).reason).toBe(
      `no process that may be notified is named "${stage.name}": ${child.pid} (${stage.name}) is a command started by this sidecar`,
    );
  });

  test('is not a zombie', async (context) => {
    const stage = createStage(context);
    await makeZombie(stage, stage.called(stage.name, '/bin/sleep'));
    const lookup = lookupOf({ name: stage.name });
    expect(noneOf(look(lookup)).reason).toMatch(/is a zombie$/);
  });
});

function noneOf(fact: LookedUp): LookedUp & { readonly kind: 'none' } {
  if (fact.kind !== 'none') throw new Error(`found ${JSON.stringify(fact)}`);
  return fact;
}

describe('a PID file', () => {
  test('says which of two is meant', async (context) => {
    const stage = createStage(context);
    const program = stage.called(stage.name, '/bin/sleep');
    const [, second] = [stage.start([program, '600']), stage.start([program, '600'])];
    writeFileSync(stage.at('pid'), `${second.pid}\n`);
    const { id } = await verdict(lookupOf({ pidFile: stage.at('pid'), name: stage.name }));
    expect(id).toEqual(second);
  });

  test.each([
    ['-1', 'holds -1, which stands for many processes'],
    ['0\n', 'holds 0, which stands for many processes'],
    ['', 'is empty'],
    ['\n', 'is empty'],
    ['nginx', 'does not hold one number'],
    ['1 2', 'does not hold one number'],
    ['0x10', 'does not hold one number'],
    ['1.5', 'does not hold one number'],
    ['99999999999999999999', 'does not hold one number'],
    ['2147483646', 'holds 2147483646, but no process has the number 2147483646'],
    [
      `${process.pid}`,
      `holds ${process.pid}, but no process that may be notified has the number ${process.pid}: ${process.pid} (${ownName()}) is this sidecar itself`,
    ],
  ])('that holds %j names no process', (content, reason) => {
    const path = createStage({ onTestFinished }).at('pid');
    writeFileSync(path, content);
    expect(look(lookupOf({ pidFile: path }))).toEqual({
      kind: 'none',
      reason: `the PID file "${path}" ${reason}`,
    });
  });

  test('that is missing, a directory or a pipe names no process and blocks nothing', (context) => {
    const stage = createStage(context);
    mkdirSync(stage.at('folder'));
    execFileSync('mkfifo', [stage.at('pipe')]);
    const reasonOf = (name: string): string => noneOf(look(lookupOf({ pidFile: stage.at(name) }))).reason;
    expect(reasonOf('missing')).toBe(`the PID file "${stage.at('missing')}" is not there`);
    expect(reasonOf('folder')).toBe(`the PID file "${stage.at('folder')}" is not a file`);
    expect(reasonOf('pipe')).toBe(`the PID file "${stage.at('pipe')}" is not a file`);
  });

  test('older than the process that has its number names no process', async (context) => {
    const stage = createStage(context);
    const { pid } = stage.start([stage.called(stage.name, '/bin/sleep'), '600']);
    await until('it runs', () => readRow(processFolder(pid))?.comm === stage.name);
    writeFileSync(stage.at('pid'), `${pid}`);
    const old = Date.now() / 1000 - 60;
    utimesSync(stage.at('pid'), old, old);
    const lookup = lookupOf({ pidFile: stage.at('pid') });
    expect(noneOf(look(lookup)).reason).toBe(
      `the PID file "${stage.at('pid')}" is older than process ${pid} (${stage.name}): its number was reused`,
    );
    writeFileSync(stage.at('pid'), `${pid}`);
    expect(look(lookup).kind).toBe('found');
  });

  test('and a name must agree', async (context) => {
    const stage = createStage(context);
    const { pid } = stage.start([stage.called(stage.name, '/bin/sleep'), '600']);
    await until('it runs', () => readRow(processFolder(pid))?.comm === stage.name);
    writeFileSync(stage.at('pid'), `${pid}`);
    expect(noneOf(look(lookupOf({ pidFile: stage.at('pid'), name: 'nginx' }))).reason).toBe(
      `the PID file "${stage.at('pid')}" holds ${pid}, but no process has the number ${pid} and is named "nginx"`,
    );
  });
});

function ownName(): string {
  return readRow('/proc/self')?.comm ?? '';
}
