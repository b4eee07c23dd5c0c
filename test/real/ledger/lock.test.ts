import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { findHolder, tryLock } from '../../../src/ledger/lock.ts';
import type { ForgeryOrder } from '../../support/ledger/forging-program.ts';
import type { LockOrder } from '../../support/ledger/lock-program.ts';
import { compile, ended, type Program, startProgram } from '../../support/publish/programs.ts';
import { scratch as newDirectory } from '../../support/publish/scratch.ts';

let program: Program;
let forger: Program;
beforeAll(() => {
  program = compile('ledger/lock-program.ts');
  forger = compile('ledger/forging-program.ts');
});
afterAll(() => {
  program.remove();
  forger.remove();
});

/** Another process that answers like no sidecar does. */
async function forge(order: ForgeryOrder): Promise<void> {
  await new Promise<void>((resolve) => {
    const child = startProgram(forger, order, () => resolve());
    onTestFinished(() => void child.kill('SIGKILL'));
  });
}

function scratch(...parts: readonly string[]): string {
  const directory = join(newDirectory(), ...parts);
  mkdirSync(directory, { recursive: true });
  return directory;
}

function start(order: Omit<LockOrder, 'witness'>, onLine: (line: string) => void = () => {}): ChildProcess {
  return startProgram(program, { ...order, witness: `config-sidecar-lock-test-${process.pid}` }, onLine);
}

/** Another process that has taken the lock. */
async function holder(directory: string): Promise<ChildProcess> {
  const lines: string[] = [];
  const child = start({ directory, livesForMs: null }, (line) => lines.push(line));
  await vi.waitFor(() => expect(lines).toEqual(['taken']), { timeout: 20_000 });
  return child;
}

async function take(directory: string): Promise<() => void> {
  const result = await tryLock(directory, 'the test');
  if (result.kind !== 'taken') throw new Error(`Cannot take the lock: it is held by ${result.by}`);
  onTestFinished(result.release);
  return result.release;
}

describe('the lock', () => {
  it('is taken once, and a second sidecar learns by which one', async () => {
    const directory = scratch();
    const release = await take(directory);
    expect(await tryLock(directory, 'another')).toEqual({ kind: 'held', by: 'the test' });
    release();
    await take(directory);
  });

  it('leaves nothing behind when it is given up', async () => {
    const directory = scratch();
    const release = await take(directory);
    await tryLock(directory, 'another');
    release();
    expect(readdirSync(directory)).toEqual([]);
  });

  it('is held against another process, and free as soon as that one is killed', async () => {
    const directory = scratch();
    const child = await holder(directory);
    expect(await tryLock(directory, 'the test')).toEqual({ kind: 'held', by: `process ${child.pid}` });
    child.kill('SIGKILL');
    await ended(child);
    await take(directory);
  });

  it('stays with a process that is frozen', async () => {
    const directory = scratch();
    const child = await holder(directory);
    child.kill('SIGSTOP');
    expect(await tryLock(directory, 'the test')).toEqual({
      kind: 'held',
      by: 'a sidecar that does not answer',
    });
    child.kill('SIGKILL');
    await ended(child);
  });

  it('works where the path is longer than a socket address can be', async () => {
    const directory = scratch('a'.repeat(120), 'b'.repeat(120));
    const child = await holder(directory);
    expect(await tryLock(directory, 'the test')).toEqual({ kind: 'held', by: `process ${child.pid}` });
    child.kill('SIGKILL');
    await ended(child);
    await take(directory);
  });

  it('does not follow a link that was planted at one of its names', async () => {
    const directory = scratch();
    const victim = join(scratch(), 'victim');
    writeFileSync(victim, 'precious');
    for (const name of ['lock', 'lock.0123456789ab']) symlinkSync(victim, join(directory, name));
    await take(directory);
    expect(readdirSync(join(victim, '..'))).toEqual(['victim']);
  });

  it.each<[ForgeryOrder['answers'], number, string]>([
    ['without end', 1, '+'.repeat(255)],
    ['without end', 40, '+'.repeat(255)],
    ['drop by drop', 1, 'a sidecar that does not answer'],
    ['drop by drop', 200, 'a sidecar that does not answer'],
    ['not at all', 200, 'a sidecar that does not answer'],
    ['with control characters', 1, '?]0;evil???31m?'],
  ])('that answers %s from %d sockets costs a second and no memory', async (answers, sockets, by) => {
    const directory = scratch();
    await forge({ directory, answers, sockets });
    const [startedAt, before] = [performance.now(), process.memoryUsage().rss];
    expect(await tryLock(directory, 'the test')).toEqual({ kind: 'held', by });
    expect(await findHolder(directory)).toBe(by);
    // Two questions of a second each, on a machine with other things to do.
    expect(performance.now() - startedAt).toBeLessThan(8_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 2 ** 20);
  });

  it('is taken in spite of a directory that has the name of one, and of a link to a socket elsewhere', async () => {
    const directory = scratch();
    const elsewhere = scratch();
    await forge({ directory: elsewhere, answers: 'not at all', sockets: 1 });
    mkdirSync(join(directory, 'lock.0123456789ab/sub'), { recursive: true });
    symlinkSync(join(elsewhere, 'lock.000000000000'), join(directory, 'lock.00000000000f'));
    await take(directory);
    expect(readdirSync(join(directory, 'lock.0123456789ab'))).toEqual(['sub']);
    expect(readdirSync(elsewhere)).toEqual(['lock.000000000000']);
  });

  it('throws the reason of the system when the directory is not there', async () => {
    await expect(tryLock(join(scratch(), 'missing'), 'the test')).rejects.toThrow('ENOENT');
  });

  it('is never with two of 20 processes that race for it and are killed at random', {
    timeout: 120_000,
  }, async () => {
    const directory = scratch();
    const lines = new Map<string, number>();
    const onLine = (line: string): void => void lines.set(line, (lines.get(line) ?? 0) + 1);
    const racers = Array.from({ length: 20 }, async () => {
      for (let life = 0; life < 5; life += 1) await ended(start({ directory, livesForMs: 800 }, onLine));
    });
    await Promise.all(racers);
    expect(lines.get('both')).toBeUndefined();
    expect(lines.get('held')).toBeGreaterThan(0);
    await take(directory);
  });
});
