import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { tryLock } from '../../../src/ledger/lock.ts';
import type { LockOrder } from '../../support/ledger/lock-program.ts';
import { compile, ended, type Program, startProgram } from '../../support/publish/programs.ts';
import { scratch as newDirectory } from '../../support/publish/scratch.ts';

let program: Program;
beforeAll(() => {
  program = compile('ledger/lock-program.ts');
});
afterAll(() => program.remove());

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
  it('is taken once, and a second sidecar is told by whom', async () => {
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
