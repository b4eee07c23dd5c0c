// Searching command lines that others wrote: what is found, and how long it can take.
import { spawn } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createSearches } from '../../../../src/application/process/search.ts';
import { until } from '../../../support/application/process/apart.ts';
import { compile } from '../../../support/publish/programs.ts';

const CATASTROPHE = /^(a+)+$/;

test('what matches is found, one by one or all at once, the same every time', () => {
  const start = createSearches(/worker --queue=\w+$/g);
  for (const search of [start(), start()]) {
    search.prepare(['node worker --queue=mail', 'node']);
    expect(['node worker --queue=mail', 'node', 'worker --queue=a'].map(search.test)).toEqual([
      true,
      false,
      true,
    ]);
    expect(search.countSlow()).toBe(0);
  }
});

test('a text that cannot be searched in time matches nothing, costs a moment once, and holds up no other', () => {
  const start = createSearches(CATASTROPHE);
  const trap = `${'a'.repeat(60)}!`;
  const startedAt = performance.now();
  const search = start();
  search.prepare(['b', trap, 'aaa']);
  expect(['b', trap, 'aaa'].map(search.test)).toEqual([false, false, true]);
  expect(search.countSlow()).toBe(1);
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  const again = start();
  const before = process.cpuUsage();
  expect([trap, 'aaa'].map(again.test)).toEqual([false, true]);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(45);
});

test('many such texts together are given up after a while, and hide no short one', () => {
  const start = createSearches(CATASTROPHE);
  const traps = Array.from({ length: 200 }, (_, index) => `${'a'.repeat(60 + index)}!`);
  const search = start();
  const startedAt = performance.now();
  search.prepare([...traps, 'aaa']);
  expect(performance.now() - startedAt).toBeLessThan(20_000);
  expect(search.test('aaa')).toBe(true);
  expect(search.countSlow()).toBe(200);
  const next = start();
  expect(next.test('aaa')).toBe(true);
});

test('texts that are replaced again and again cost a share of the time, and are not all remembered', async () => {
  const start = createSearches(CATASTROPHE);
  const before = process.cpuUsage();
  const startedAt = performance.now();
  for (let round = 0; performance.now() - startedAt < 6_000; round += 1) {
    const search = start();
    search.prepare(
      Array.from({ length: 20 }, (_, index) => `${'a'.repeat(60 + index)}${round}!`).concat('aa'),
    );
    expect(search.test('aa')).toBe(true);
    await wait(250);
  }
  const { user, system } = process.cpuUsage(before);
  // What may be spent at first, and then a share; without a bound it would be all of it.
  expect((user + system) / 1000).toBeLessThan(2_000);
});

test('a machine that is short of processor time is not taken for a slow expression', async (context) => {
  const program = compile('application/process/search-program.ts');
  context.onTestFinished(program.remove);
  const child = spawn(process.execPath, [program.path], { stdio: ['ignore', 'pipe', 'inherit'] });
  context.onTestFinished(() => void child.kill('SIGKILL'));
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  await until('it searches', () => printed !== '');
  // As a container that has used up its share: it stands still for most of the time.
  for (let rounds = 0; !printed.endsWith('\n'); rounds += 1) {
    child.kill('SIGSTOP');
    await wait(80);
    child.kill('SIGCONT');
    await wait(10);
    if (rounds > 1000) throw new Error('it does not end');
  }
  expect(printed).toBe('searching, slow: 0, found: 15\n');
});
