// Moments in which a process looks ready for a signal, but the signal would kill it.

import { readdirSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isLiving } from '../../../../src/application/process/liveness.ts';
import { createLookup, type Lookup, type LookupOptions } from '../../../../src/application/process/lookup.ts';
import {
  listProcesses,
  processFolder,
  readBlockedInAllThreads,
  readRow,
  readStatus,
} from '../../../../src/application/process/proc.ts';
import { isReceived, type SignalReadiness } from '../../../../src/application/process/readiness.ts';
import type { ReloadResult } from '../../../../src/application/reload/hook.ts';
import { signalReload } from '../../../../src/application/reload/signal.ts';
import type { ProcessId } from '../../../../src/ledger/types.ts';
import { createStage, fixture, until } from '../../../support/application/process/apart.ts';

function lookupOf(options: Partial<LookupOptions>): Lookup {
  return createLookup({ signal: 'SIGHUP', gateOff: false, ...options });
}

function hangUp(id: ProcessId): ReloadResult {
  const hook = { kind: 'signal', signal: 'SIGHUP', gateOff: false } as const;
  return signalReload(hook, { process: id, output: '/out', revision: '7', previousRevision: null });
}

function readinessOf(lookup: Lookup): SignalReadiness | null {
  const fact = lookup.look(performance.now());
  return fact.kind === 'found' ? fact.readiness : null;
}

test('a thread that blocks the signal proves nothing while another would die of it', async (context) => {
  const stage = createStage(context);
  const id = stage.start(['python3', fixture('thread-blocks-hup.py'), stage.at('record')]);
  await until('its thread blocks the signal', () => stage.read('record') === 'blocking\n');
  const lookup = lookupOf({ pattern: new RegExp(`thread-blocks-hup.py ${stage.at('record')}$`) });
  const readiness = await until('it settled', () => {
    const answer = readinessOf(lookup);
    return answer?.kind !== 'settling' && answer;
  });
  expect(readiness.kind).toBe('no-handler');
  expect(readBlockedInAllThreads(processFolder(id.pid)) & 1n).toBe(0n);
  expect(hangUp(id)).toMatchObject({ kind: 'owed', code: 'reload.no-handler' });
  expect(isLiving(id)).toBe(true);
});

describe('a mask of blocked signals', () => {
  const every = 0xffff_ffff_fffb_feffn;

  test('proves nothing when it holds every signal', () => {
    expect(isReceived({ caught: 0n, blocked: every }, 'SIGHUP')).toBe(false);
    expect(isReceived({ caught: 0n, blocked: every & 0x7fff_ffffn }, 'SIGHUP')).toBe(false);
    expect(isReceived({ caught: 1n, blocked: every }, 'SIGHUP')).toBe(true);
  });

  test('holds what is waited for when it leaves others out', () => {
    expect(isReceived({ caught: 0n, blocked: every & ~(1n << 10n) }, 'SIGHUP')).toBe(true);
    expect(isReceived({ caught: 0n, blocked: 1n }, 'SIGUSR1')).toBe(false);
  });

  test('of a real process that blocks all of them holds the signal back', async (context) => {
    const stage = createStage(context);
    const id = stage.start(['python3', fixture('blocks-everything.py'), stage.at('name')]);
    await until('it blocks', () => ((readStatus(processFolder(id.pid))?.blocked ?? 0n) & 1n) === 1n);
    const lookup = lookupOf({ pattern: new RegExp(`blocks-everything.py ${stage.at('name')}$`) });
    const readiness = await until('it settled', () => {
      const answer = readinessOf(lookup);
      return answer?.kind !== 'settling' && answer;
    });
    expect(readiness).toEqual({
      kind: 'no-handler',
      reason: 'has no handler for SIGHUP, which would kill it',
    });
    expect(hangUp(id)).toEqual({
      kind: 'owed',
      class: 'unavailable',
      code: 'reload.no-handler',
      message: `Cannot send SIGHUP to process "${id.pid}": it has no handler for it any more`,
    });
    expect(isLiving(id)).toBe(true);
  });
});

test('a program that takes the place of a long start script is as young as that', async (context) => {
  const stage = createStage(context);
  const program = stage.called(stage.name, '/bin/sleep');
  stage.start(['sh', '-c', 'sleep 6; exec "$0" 600', program]);
  const watching = lookupOf({ name: stage.name });
  let seenAtMs = 0;
  const first = await until('it takes the place', () => {
    seenAtMs = performance.now();
    return readinessOf(watching);
  });
  expect(first.kind).toBe('settling');
  expect(readinessOf(lookupOf({ name: stage.name }))?.kind).toBe('no-handler');
  await until('it settled', () => readinessOf(watching)?.kind === 'no-handler');
  expect(performance.now() - seenAtMs).toBeGreaterThan(990);
});

test('a runtime that catches the signal for itself is not signalled while it computes: it is still starting', async (context) => {
  const stage = createStage(context);
  const { pid } = stage.start([
    'python3',
    fixture('computes-first.py'),
    stage.at('enough'),
    stage.at('record'),
  ]);
  await until('it computes', () => stage.read('record') === 'computing\n');
  const lookup = lookupOf({ pattern: new RegExp(`computes-first.py ${stage.at('enough')}`) });
  const startedAtMs = performance.now();
  await until('it is seven seconds old', () => {
    expect(['settling', undefined]).toContain(readinessOf(lookup)?.kind);
    return performance.now() - startedAtMs > 7000;
  });
  writeFileSync(stage.at('enough'), '');
  await until('it is ready', () => readinessOf(lookup)?.kind === 'ready');
  expect(stage.read('record')).toBe('computing\nlistening\n');
  expect(isLiving({ pid, startTicks: readRow(processFolder(pid))?.startTicks ?? 0 })).toBe(true);
});

test('a process that was there before we began to look has not appeared', async (context) => {
  const stage = createStage(context);
  const { pid, startTicks } = stage.start([stage.called(stage.name, '/bin/sleep'), '600']);
  await until('the program was loaded', () => readRow(processFolder(pid))?.comm === stage.name);
  const lookup = lookupOf({ pidFile: stage.at('pid') });
  const startedAtMs = performance.now();
  expect(lookup.look(startedAtMs - 60_000).kind).toBe('none');
  writeFileSync(stage.at('pid'), `${pid}`);
  await until(
    'it is five seconds old',
    () => readinessOf(lookupOf({ name: stage.name }))?.kind === 'no-handler',
  );
  await until('five seconds', () => performance.now() > startedAtMs + 5500);
  const fact = lookup.look(performance.now());
  expect(fact).toMatchObject({ kind: 'found', id: { pid, startTicks }, readiness: { kind: 'no-handler' } });
});

test('the number of a thread is that of no process', async (context) => {
  const stage = createStage(context);
  const { pid } = stage.start([process.execPath, fixture('dies-on-hup.mjs')]);
  const threads = await until('it has threads', () => {
    const all = readdirSync(`/proc/${pid}/task`).map(Number);
    return all.length > 1 && all.filter((thread) => thread !== pid);
  });
  const thread = threads[0] ?? 0;
  writeFileSync(stage.at('pid'), `${thread}`);
  expect(lookupOf({ pidFile: stage.at('pid') }).look(0)).toEqual({
    kind: 'none',
    reason: `the PID file "${stage.at('pid')}" holds ${thread}, but no process has the number ${thread}`,
  });
});

test('only wanted processes are read, with all their ancestors', (context) => {
  const { pid } = createStage(context).start(['/bin/sleep', '600']);
  const rows = listProcesses((each) => each === process.pid)?.rows ?? [];
  const family = new Set([process.pid, process.ppid, 2]);
  for (const row of rows) if (family.has(row.pid)) family.add(row.ppid);
  expect(rows.map((row) => row.pid).filter((each) => !family.has(each))).toEqual([]);
  expect(rows.find((row) => row.pid === process.ppid)).toMatchObject({ pid: process.ppid });
  expect(rows.some((row) => row.pid === pid)).toBe(false);
});
