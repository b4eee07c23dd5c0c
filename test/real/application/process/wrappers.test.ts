// Inits, supervisors, launchers and interpreters as they are: the service below them is chosen and signalled, and lives.
import { readFileSync } from 'node:fs';
import { describe, expect, type TestContext, test } from 'vitest';
import { isLiving } from '../../../../src/application/process/liveness.ts';
import { createLookup, type LookedUp } from '../../../../src/application/process/lookup.ts';
import { listPids, processFolder, readArguments } from '../../../../src/application/process/proc.ts';
import { signalReload } from '../../../../src/application/reload/signal.ts';
import { createStage, until } from '../../../support/application/process/apart.ts';
import {
  endAll,
  kitFor,
  ROWS,
  type Row,
  wrapperPrograms,
} from '../../../support/application/process/wrappers.ts';

const programs = wrapperPrograms();

/** The process that wrote the first line; by its number in its own namespace. */
function findService(record: string, [first = '']: readonly string[]): number | undefined {
  const own = first.split(' ')[1];
  return listPids().find((pid) => {
    if (!readArguments(processFolder(pid)).includes(record)) return false;
    const numbers = /^NSpid:\s+(.*)$/m.exec(readFileSync(`${processFolder(pid)}/status`, 'utf8'))?.[1];
    return numbers?.split(/\s+/).at(-1) === own;
  });
}

async function tryOut({ argv }: Row, context: TestContext): Promise<void> {
  const stage = createStage(context);
  const kit = kitFor(stage, programs);
  context.onTestFinished(() => endAll(kit.name));
  const env = {
    ...programs.env,
    PYTHONPATH: `${programs.root}/usr/lib/python3/dist-packages`,
    KIT: kit.name,
  };
  const top = stage.start(argv(kit), env);
  const lines = (): readonly string[] => stage.read('record').trim().split('\n');
  const service = await until('the service runs', () => findService(kit.record, lines()));
  const lookup = createLookup({ pattern: new RegExp(kit.name), signal: 'SIGHUP', gateOff: false });
  let last: LookedUp | null = null;
  const found = await until('it is ready', () => {
    last = lookup.look(performance.now());
    return last.kind === 'found' && last.readiness.kind === 'ready' && last;
  }).catch((thrown: unknown) => {
    throw new Error(`${String(thrown)}: ${JSON.stringify(last)}`);
  });
  const told = { process: found.id, output: '/out', revision: '1', previousRevision: null };
  const result = signalReload({ kind: 'signal', signal: 'SIGHUP', gateOff: false }, told);
  expect(result.kind).toBe('told');
  await until('it got the signal', () => lines().some((line) => line.startsWith('HUP ')));
  expect(found.id.pid).toBe(service);
  expect(lines().map((line) => line.split(' ')[0])).toEqual(['started', 'HUP']);
  expect(isLiving(found.id)).toBe(true);
  expect(isLiving(top)).toBe(true);
}

test('the table has at least 25 rows', () => expect(ROWS.length).toBeGreaterThanOrEqual(25));

describe.concurrent('of what runs below', () => {
  const isForRoot = ({ root }: Row): boolean => root === true;
  const timeout = 90_000;
  test.for(ROWS.filter((row) => !isForRoot(row)))('$what the service gets the signal', { timeout }, tryOut);
  test.for(ROWS.filter(isForRoot))('$what the service gets the signal', { timeout, tags: ['root'] }, tryOut);
});
