// What other processes in the pod can try: to be signalled instead of the application, to keep it from being signalled, or to stop us.
import { execFile, execFileSync } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { childrenOf, isLiving } from '../../../../src/application/process/liveness.ts';
import { createLookup, type Lookup, type LookupOptions } from '../../../../src/application/process/lookup.ts';
import { processFolder, readRow } from '../../../../src/application/process/proc.ts';
import { loadPattern } from '../../../../src/lib/linear-regexp.ts';
import { createStage, fixture, processOfAnother, until } from '../../../support/application/process/apart.ts';
import { compile } from '../../../support/publish/programs.ts';

function lookupOf(options: Partial<LookupOptions>): Lookup {
  return createLookup({ signal: 'SIGHUP', gateOff: false, ...options });
}

test.each([
  [
    '1 and ten megabytes',
    (path: string) => writeFileSync(path, `1\n${' '.repeat(10_000_000)}`),
    'does not hold one number',
  ],
  ['a pipe without a writer', (path: string) => void execFileSync('mkfifo', [path]), 'is not a file'],
  ['a device', (path: string) => symlinkSync('/dev/zero', path), 'is not a file'],
  ['a link to itself', (path: string) => symlinkSync(path, path), 'cannot be read (ELOOP)'],
  ['a link to text', (path: string) => symlinkSync('/proc/self/status', path), 'does not hold one number'],
])('a PID file that is %s names no process and blocks nothing', (_what, make, reason) => {
  const path = createStage({ onTestFinished }).at('pid');
  make(path);
  const startedAt = performance.now();
  expect(lookupOf({ pidFile: path }).look(0)).toEqual({
    kind: 'none',
    reason: `the PID file "${path}" ${reason}`,
  });
  expect(performance.now() - startedAt).toBeLessThan(10_000);
});

test('a PID file may be a link to one that holds a number', async (context) => {
  const stage = createStage(context);
  const { pid } = stage.start(['/bin/sleep', '600']);
  writeFileSync(stage.at('real'), `${pid}\n`);
  symlinkSync(stage.at('real'), stage.at('pid'));
  expect(lookupOf({ pidFile: stage.at('pid') }).look(0)).toMatchObject({ kind: 'found', id: { pid } });
});

test('a process with the same name that belongs to another user makes it ambiguous; neither is signalled', async (context) => {
  const stage = createStage(context);
  const program = stage.called(stage.name, '/bin/sleep');
  const { pid } = stage.start([program, '600']);
  const planted = await processOfAnother(stage, program);
  const lookup = lookupOf({ name: stage.name });
  const fact = await until('both are seen', () => {
    const seen = lookup.look(performance.now());
    return seen.kind === 'ambiguous' && seen;
  });
  expect(fact.pids.toSorted()).toEqual([pid, planted.pid].toSorted());
  writeFileSync(stage.at('pid'), `${pid}`);
  expect(lookupOf({ name: stage.name, pidFile: stage.at('pid') }).look(0)).toMatchObject({ id: { pid } });
});

test('a command line made to be searched for ever costs a moment, and hides no other', async (context) => {
  const stage = createStage(context);
  const trap = `${'a'.repeat(100)}!`;
  stage.start([stage.called('trap', process.execPath), fixture('dies-on-hup.mjs'), stage.name, trap]);
  const { pid } = stage.start([
    stage.called('real', process.execPath),
    fixture('dies-on-hup.mjs'),
    stage.name,
    'aaa',
  ]);
  const lookup = lookupOf({ pattern: await loadPattern(`${stage.name} (a+)+$`), signal: null });
  const startedAt = performance.now();
  await until('it is found', () => {
    const fact = lookup.look(performance.now());
    return fact.kind === 'found' && fact.id.pid === pid;
  });
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  const alone = lookupOf({ pattern: await loadPattern(`${stage.name} (a+)+x$`), signal: null });
  expect(alone.look(0)).toEqual({
    kind: 'none',
    reason: `no process matches /${stage.name} (a+)+x$/`,
  });
});

test('a process that renames itself all the time is signalled nevertheless', async (context) => {
  const stage = createStage(context);
  const id = stage.start([process.execPath, fixture('renames-itself.mjs'), stage.at('record')]);
  await until('it listens', () => stage.read('record') === 'listening\n');
  writeFileSync(stage.at('pid'), `${id.pid}`);
  const names = new Set<string>();
  for (const lookup of [
    lookupOf({ pidFile: stage.at('pid') }),
    lookupOf({ pattern: new RegExp(stage.at('record')) }),
  ]) {
    await until('it is ready', () => {
      names.add(readRow(processFolder(id.pid))?.comm ?? '');
      const fact = lookup.look(performance.now());
      return fact.kind === 'found' && fact.id.pid === id.pid && fact.readiness.kind === 'ready';
    });
  }
  expect(names.size).toBeGreaterThan(5);
});

test('among thousands of processes the right one is found in a moment', async (context) => {
  const stage = createStage(context);
  execFileSync('mkfifo', [stage.at('never')]);
  const script = 'i=0; while [ $i -lt 2000 ]; do (: < "$0") & i=$((i+1)); done; echo > "$1"; wait';
  const crowd = stage.start(['sh', '-c', script, stage.at('never'), stage.at('there')]);
  context.onTestFinished(() => {
    for (const { pid } of childrenOf(crowd)) process.kill(pid, 'SIGKILL');
  });
  await until('the crowd is there', () => stage.read('there') === '\n');
  expect(childrenOf(crowd).length).toBe(2000);
  const { pid } = stage.start([stage.called(stage.name, '/bin/sleep'), '600']);
  await until('it runs', () => readRow(processFolder(pid))?.comm === stage.name);
  for (const options of [{ name: stage.name }, { pattern: new RegExp(`${stage.name} 600`) }]) {
    const lookup = lookupOf(options);
    const times = Array.from({ length: 5 }, () => {
      const startedAt = performance.now();
      expect(lookup.look(performance.now())).toMatchObject({ kind: 'found', id: { pid } });
      return performance.now() - startedAt;
    });
    expect(Math.min(...times)).toBeLessThan(3000);
  }
  expect(isLiving(crowd)).toBe(true);
});

test('neighbours with command lines of 1 MiB, replaced twice a second, cost little and hide nothing', async (context) => {
  const stage = createStage(context);
  const program = compile('application/process/busy-neighbours-program.ts');
  context.onTestFinished(program.remove);
  const run = async (words: string): Promise<{ kind: string; share: number; rss: number }> =>
    JSON.parse((await promisify(execFile)(process.execPath, [program.path, words, '6', '3'])).stdout);
  const { share: base } = await run('nothing-like-it');
  // Each word is a near match that takes time with the square of its length; none is like one of before.
  writeFileSync(
    stage.at('attack.pl'),
    `my $n = 0;
    while (1) {
      $n += 1;
      my @words = map { 'job' . ($n . $_) . 'jobhandler' x 11000 } 1 .. 9;
      my $pid = fork();
      if (!$pid) { exec('sleep', '600', @words); }
      select(undef, undef, undef, 0.5);
      kill 9, $pid;
      waitpid($pid, 0);
    }`,
  );
  const attackers = Array.from({ length: 3 }, () => stage.start(['perl', stage.at('attack.pl')]));
  context.onTestFinished(() => {
    for (const id of attackers) for (const { pid } of childrenOf(id)) process.kill(pid, 'SIGKILL');
  });
  const { pid } = stage.start([stage.called(`job-handler-${stage.name}`, '/bin/sleep'), '600']);
  const expression = `job.*handler.*${stage.name}`;
  const lookup = lookupOf({ pattern: await loadPattern(expression), signal: null });
  await until('it is found', () => {
    const fact = lookup.look(performance.now());
    return fact.kind === 'found' && fact.id.pid === pid;
  });
  const [there, missing] = await Promise.all([run(expression), run(`${expression}-missing`)]);
  expect([there.kind, missing.kind]).toEqual(['found', 'none']);
  for (const { share, rss } of [there, missing]) {
    expect(share - base).toBeLessThan(0.1);
    expect(rss).toBeLessThan(160 * 1024 * 1024);
  }
}, 90_000);
