// What is not asked again at a look soon after another, and what is noticed all the same.
import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, type TestContext, test } from 'vitest';
import {
  createLookup,
  type LookedUp,
  type LookupOptions,
} from '../../../../src/application/process/lookup.ts';
import {
  listProcesses,
  type ProcessRow,
  processFolder,
  readArguments,
  readRow,
} from '../../../../src/application/process/proc.ts';
import { createStage, until } from '../../../support/application/process/apart.ts';
import { compile } from '../../../support/publish/programs.ts';

/** Looks each time again; nothing is to be sent. */
function looking(options: Partial<LookupOptions>): () => LookedUp {
  const lookup = createLookup({ signal: null, gateOff: false, ...options });
  return () => lookup.look(performance.now());
}

function find(isIt: (row: ProcessRow) => boolean): ProcessRow | undefined {
  return listProcesses()?.rows.find(isIt);
}

/** Those that it started, with theirs. */
function descendantsOf(pid: number): readonly number[] {
  const children = listProcesses()?.rows.filter((row) => row.ppid === pid) ?? [];
  return children.flatMap((child) => [child.pid, ...descendantsOf(child.pid)]);
}

/** At the end of the test, what a process started ends as well. `more`: those that may have lost their parent. */
function endFamily(context: TestContext, pid: number, more: () => readonly number[] = () => []): void {
  context.onTestFinished(() => {
    for (const each of [...descendantsOf(pid), ...more()])
      if (readRow(processFolder(each)) !== null) process.kill(each, 'SIGKILL');
  });
}

test('a look soon after another asks only the chosen process, however many stand above it', async (context) => {
  const stage = createStage(context);
  const program = compile('application/process/look-reads-program.ts');
  context.onTestFinished(program.remove);
  const script = `sh -c "sh -c '\\$APP 600; true'; true"; true`;
  const top = stage.start(['sh', '-c', script], { APP: stage.called(stage.name, '/bin/sleep') });
  endFamily(context, top.pid);
  await until('it runs', () => find(({ comm }) => comm === stage.name));
  const words = [program.path, `${stage.name} 600$`, '100'];
  const { least, most, kinds } = JSON.parse((await promisify(execFile)(process.execPath, words)).stdout);
  expect(kinds).not.toContain('none');
  // Time, number of the newest process, and of the one: what it is, its command line, its masks.
  expect(least).toBeLessThanOrEqual(5);
  expect(most).toBeGreaterThan(10);
});

test('a chosen process that becomes another program under the same name is noticed at the next look', async (context) => {
  const stage = createStage(context);
  const script = stage.at('turns.sh');
  writeFileSync(
    script,
    'while [ "$1" = two ] || [ ! -e "$2" ]; do sleep 0.05; done\nexec sh "$0" two "$2"\n',
  );
  const { pid } = stage.start(['sh', script, 'one', stage.at('go')]);
  endFamily(context, pid);
  const look = looking({ pattern: new RegExp(`${script} one`) });
  await until('it is found', () => look().kind === 'found');
  const { comm } = readRow(processFolder(pid)) ?? {};
  writeFileSync(stage.at('go'), '');
  await until('it is another one', () => {
    const isOther = readArguments(processFolder(pid)).includes('two');
    if (!isOther) look();
    return isOther;
  });
  expect(readRow(processFolder(pid))?.comm).toBe(comm);
  expect(look().kind).toBe('none');
});

/** Two processes of the same name, and between them as many shells as it takes. */
async function startTwo(context: TestContext, between: string) {
  const stage = createStage(context);
  mkdirSync(stage.at('below'));
  const below = stage.at(`below/${stage.name}`);
  symlinkSync('/bin/sleep', below);
  const words = ['-c', `sh -c "${between}"; sleep 600; true`];
  const { pid } = stage.start([stage.called(stage.name, '/bin/sh'), ...words], { BELOW: below });
  // By its words: before the shell above becomes one, it is a copy of the first.
  const other = await until('both run', () =>
    find((row) => row.comm === stage.name && readArguments(processFolder(row.pid))[0] === below),
  );
  const family = descendantsOf(pid);
  endFamily(context, pid, () => family);
  const look = looking({ name: stage.name });
  expect(look()).toMatchObject({ kind: 'found', id: { pid } });
  return { look, other };
}

test('when what stood between two of the same name ends, the next look cannot say which is meant', async (context) => {
  const { look, other } = await startTwo(context, '\\$BELOW 600; true');
  process.kill(other.ppid, 'SIGKILL');
  await until('it has another parent', () => readRow(processFolder(other.pid))?.ppid !== other.ppid);
  expect(look().kind).toBe('ambiguous');
});

test('when more stood between them, and the first of that ends, this is noticed within moments', async (context) => {
  const { look, other } = await startTwo(context, `sh -c '\\$BELOW 600; true'; true`);
  const parent = readRow(processFolder(other.ppid));
  process.kill(parent?.ppid ?? 0, 'SIGKILL');
  await until('it has another parent', () => readRow(processFolder(other.ppid))?.ppid !== parent?.ppid);
  const endedAt = performance.now();
  await until('it is noticed', () => look().kind === 'ambiguous');
  expect(performance.now() - endedAt).toBeLessThan(4_000);
});

test('a script above the chosen process that becomes the program itself is chosen within moments', async (context) => {
  const stage = createStage(context);
  const app = stage.called(stage.name, '/bin/sleep');
  const script = '"$APP" 600 & while [ ! -e "$GO" ]; do sleep 0.05; done; exec "$APP" 601';
  const top = stage.start(['sh', '-c', script], { APP: app, GO: stage.at('go') });
  endFamily(context, top.pid);
  const look = looking({ name: stage.name });
  await until('the one below is chosen', () => {
    const seen = look();
    return seen.kind === 'found' && seen.id.pid !== top.pid;
  });
  writeFileSync(stage.at('go'), '');
  await until('it is the program', () => readRow(processFolder(top.pid))?.comm === stage.name);
  const becameAt = performance.now();
  await until('it is chosen', () => {
    const seen = look();
    return seen.kind === 'found' && seen.id.pid === top.pid;
  });
  expect(performance.now() - becameAt).toBeLessThan(4_000);
});
