// A neighbour that may write on the volume, as a process that races with ours: it changes directories into links and files into
// pipes between two steps of ours. Nothing outside the volume is read, written or removed, and nothing is waited for.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openPublisher } from '../../../src/publish/publisher.ts';
import { compile, type Program, startProgram } from '../../support/publish/programs.ts';
import { generation, scratch } from '../../support/publish/scratch.ts';
import type { SwapOrder } from '../../support/publish/swapping-program.ts';

const RACE_MS = Number(process.env['RACE_MS'] ?? 5_000);
vi.setConfig({ testTimeout: RACE_MS + 60_000 });

let program: Program;
beforeAll(() => {
  program = compile('publish/swapping-program.ts');
});
afterAll(() => program.remove());

async function attack(order: SwapOrder): Promise<void> {
  await new Promise<void>((resolve) => {
    const child = startProgram(program, order, () => resolve());
    onTestFinished(() => void child.kill('SIGKILL'));
  });
}

/** Runs the work again and again for as long as the race lasts; how often. */
async function racing(work: () => unknown): Promise<number> {
  const until = Date.now() + RACE_MS;
  let rounds = 0;
  for (; Date.now() < until; rounds += 1) {
    await work();
    await nextTurn();
  }
  return rounds;
}

const NAMES = Array.from({ length: 300 }, (_, at) => `${at}.json`);

function precious(): string {
  const directory = mkdtempSync(join(tmpdir(), 'precious-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  for (const name of NAMES) writeFileSync(join(directory, name), 'precious');
  return directory;
}

function fill(directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (const name of NAMES) writeFileSync(join(directory, name), 'ours');
}

/** What a step says of a volume that changes under it is not the matter here. */
function quietly(work: () => unknown): void {
  try {
    work();
  } catch {}
}

describe('a race for a directory output', () => {
  it('makes the clean-up of a start remove nothing outside', async () => {
    const root = scratch();
    const victim = precious();
    const publisher = openPublisher({ kind: 'directory', path: root }, null);
    const stage = join(root, '..stage-0123456789ab');
    await attack({
      place: join(stage, 'sub'),
      aside: join(root, 'aside'),
      trap: join(root, 'trap'),
      leadsTo: victim,
    });
    const rounds = await racing(() => {
      quietly(() => fill(join(stage, 'sub')));
      quietly(() => publisher.recover());
    });
    expect(readdirSync(victim).sort()).toEqual([...NAMES].sort());
    expect(rounds).toBeGreaterThan(5);
  });

  it('makes the removal of a replaced generation remove nothing outside', async () => {
    const root = scratch();
    const victim = precious();
    const publisher = openPublisher({ kind: 'directory', path: root }, null);
    await publisher.publish(generation({ a: '1' }));
    const old = join(root, '..gen-0123456789ab');
    await attack({
      place: join(old, 'sub'),
      aside: join(root, 'aside'),
      trap: join(root, 'trap'),
      leadsTo: victim,
    });
    let now = 0;
    const rounds = await racing(() => {
      quietly(() => fill(join(old, 'sub')));
      publisher.prune(now);
      now += 60_000;
      publisher.prune(now);
    });
    expect(readdirSync(victim).sort()).toEqual([...NAMES].sort());
    expect(rounds).toBeGreaterThan(5);
  });
});
