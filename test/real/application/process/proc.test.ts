// Reading the process table, on text as the kernel writes it and on real processes.
import { describe, expect, test } from 'vitest';
import { isLiving } from '../../../../src/application/process/liveness.ts';
import {
  listProcesses,
  parseStat,
  parseStatus,
  processFolder,
  readArguments,
  readRootMount,
  readRow,
  readStatus,
  withProcessFolder,
} from '../../../../src/application/process/proc.ts';
import { programName } from '../../../../src/application/process/program.ts';
import { createStage, until } from '../../../support/application/process/apart.ts';

function statLine(comm: string): string {
  const zeros = Array.from({ length: 17 }, () => '0').join(' ');
  return `4711 (${comm}) S 7 ${zeros} 86970 1 2 3\n`;
}

describe('a line of the process table', () => {
  test('is cut after the last parenthesis, whatever the name holds', () => {
    for (const comm of ['nginx', ') S 1 (', 'a (b) c', 'two\nlines', '']) {
      expect(parseStat(statLine(comm))).toEqual({ pid: 4711, ppid: 7, comm, state: 'S', startTicks: 86_970 });
    }
  });

  test('that is not a process gives nothing', () => {
    for (const text of ['', '12', '12 (x', '12 (x) S 1 2', 'x (y) S']) expect(parseStat(text)).toBeNull();
  });

  test('keeps a name that is not ASCII', () => {
    const bytes = Buffer.from(statLine('größe')).toString('latin1');
    expect(parseStat(bytes)?.comm).toBe('größe');
  });
});

test('masks are read with all their 64 bits', () => {
  const text =
    'Name:\tapp\nUid:\t1000\t1001\t1002\t1003\nSigBlk:\t8000000000000001\nSigIgn:\t0000000000001000\nSigCgt:\tfffffffe7ffbfeff\nCapEff:\t0000000000000020\n';
  expect(parseStatus(text)).toEqual({
    ...{ realUid: 1000, effectiveUid: 1001, savedUid: 1002, effectiveCapabilities: 0x20n },
    ...{ caught: 0xfffffffe7ffbfeffn, ignored: 0x1000n, blocked: 0x8000000000000001n },
    isInit: false,
  });
  expect((parseStatus(text)?.caught ?? 0n) & 1n).toBe(1n);
});

test('the first process of a namespace is known by the last of its numbers', () => {
  const isInit = (numbers: string): boolean | undefined =>
    parseStatus(`Name:\tapp\nPid:\t4711\nUid:\t0\t0\t0\t0\nNSpid:\t${numbers}\n`)?.isInit;
  expect(['1', '4711\t1', '4711\t12\t1'].map(isInit)).toEqual([true, true, true]);
  expect(['4711', '1\t11', '4711\t21', '4711\t1\t7'].map(isInit)).toEqual([false, false, false, false]);
  expect(parseStatus('Name:\tapp\nPid:\t1\nUid:\t0\t0\t0\t0\n')?.isInit).toBe(true);
});

test('the name of a program is its last part, or what a title begins with', () => {
  expect(programName('/usr/sbin/nginx')).toBe('nginx');
  expect(programName('nginx: worker process')).toBe('nginx');
  expect(programName('/opt/x/php-fpm: master process (/etc/php.conf)')).toBe('php-fpm');
  expect(programName('C:odd')).toBe('C:odd');
});

describe('real processes', () => {
  test('are listed, with name, parent and words', async (context) => {
    const stage = createStage(context);
    const { pid, startTicks } = stage.start([stage.called(stage.name, '/bin/sleep'), '600']);
    expect(listProcesses()?.rows.find((row) => row.pid === process.pid)?.ppid).toBe(process.ppid);
    await until('the program was loaded', () => readRow(processFolder(pid))?.comm === stage.name);
    expect(listProcesses()?.rows.find((row) => row.pid === pid)).toMatchObject({
      comm: stage.name,
      startTicks,
    });
    expect(readArguments(processFolder(pid))).toEqual([stage.at(stage.name), '600']);
  });

  test('with a very long command line are read whole', async (context) => {
    const stage = createStage(context);
    const words = [process.execPath, '-e', 'setInterval(() => {}, 1e6)', 'x'.repeat(20_000), 'größe', 'end'];
    const { pid } = stage.start(words);
    await until('the program was loaded', () => readArguments(processFolder(pid)).at(-1) === 'end');
    expect(readArguments(processFolder(pid))).toEqual(words);
  });

  test('with an endless command line are read as far as is good for us', async (context) => {
    const stage = createStage(context);
    const long = Array.from({ length: 10 }, () => 'x'.repeat(120_000));
    const { pid } = stage.start([process.execPath, '-e', 'setInterval(() => {}, 1e6)', ...long, 'end']);
    await until('the program was loaded', () => readArguments(processFolder(pid)).includes('-e'));
    expect(readArguments(processFolder(pid)).join(' ').length).toBeLessThanOrEqual(1 << 20);
    expect(readArguments(processFolder(pid)).slice(0, 4)).toEqual([
      ...[process.execPath, '-e', 'setInterval(() => {}, 1e6)'],
      long[0],
    ]);
  });

  test('of this container share their root', () => {
    expect(readRootMount('/proc/self')).toMatch(/^\d+$/);
    expect(readRootMount(processFolder(process.ppid))).toBe(readRootMount('/proc/self'));
  });

  test('that ended are gone for every question', async (context) => {
    const stage = createStage(context);
    const id = stage.start(['/bin/sleep', '600']);
    expect(isLiving(id)).toBe(true);
    expect(isLiving({ ...id, startTicks: id.startTicks - 1 })).toBe(false);
    process.kill(id.pid, 'SIGKILL');
    await until('it ended', () => !isLiving(id));
    await until('it was reaped, or is a zombie', () => readRow(processFolder(id.pid))?.state !== 'S');
    expect(readArguments(processFolder(id.pid))).toEqual([]);
    expect(readStatus(processFolder(2 ** 31 - 1))).toBeNull();
    expect(withProcessFolder(2 ** 31 - 1, readRow)).toBeNull();
  });

  test('are followed by a folder that is bound to them, not to their number', (context) => {
    const stage = createStage(context);
    const id = stage.start(['/bin/sleep', '600']);
    const rows = withProcessFolder(id.pid, (folder) => {
      const before = readRow(folder);
      process.kill(id.pid, 'SIGKILL');
      const end = performance.now() + 20_000;
      while (isLiving(id) && performance.now() < end)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
      return { before, after: readRow(folder) };
    });
    expect(rows?.before).toMatchObject(id);
    expect([undefined, 'Z']).toContain(rows?.after?.state);
  });
});
