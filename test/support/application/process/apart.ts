// Starts programs that are no descendants of the test's own process: those are never chosen.

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isLiving } from '../../../../src/application/process/liveness.ts';
import {
  listProcesses,
  processFolder,
  readRow,
  readStatus,
} from '../../../../src/application/process/proc.ts';
import type { ProcessId } from '../../../../src/ledger/types.ts';

/** A folder for one test, its processes, and a name that no other process on the machine has. */
export interface Stage {
  /** At most 13 characters. */
  readonly name: string;
  at(file: string): string;
  read(file: string): string;
  /** A link with that name to a program: the kernel then calls the process so. */
  called(name: string, program: string): string;
  /** Starts a program that outlives its starter. */
  start(argv: readonly string[], env?: Readonly<Record<string, string>>): ProcessId;
}

interface Cleanup {
  readonly onTestFinished: (end: () => void) => void;
}

let stages = 0;

export function createStage(context: Cleanup): Stage {
  const folder = mkdtempSync(join(tmpdir(), 'sidecar-process-'));
  chmodSync(folder, 0o755);
  const started: ProcessId[] = [];
  stages += 1;
  context.onTestFinished(() => {
    for (const id of started) if (isLiving(id)) process.kill(id.pid, 'SIGKILL');
    rmSync(folder, { recursive: true });
  });
  const at = (file: string): string => join(folder, file);
  return {
    name: `a${process.pid.toString(36)}x${stages}`,
    at,
    read: (file) => readFileSync(at(file), 'utf8'),
    called: (name, program) => {
      symlinkSync(program, at(name));
      return at(name);
    },
    start: (argv, env = {}) => {
      const id = startApart(argv, { ...process.env, ...env });
      started.push(id);
      return id;
    },
  };
}

function startApart(argv: readonly string[], env: NodeJS.ProcessEnv): ProcessId {
  const script = '"$@" </dev/null >/dev/null 2>&1 & echo $!';
  const pid = Number(execFileSync('sh', ['-c', script, 'sh', ...argv], { env, encoding: 'utf8' }));
  const row = readRow(processFolder(pid));
  if (row === null) throw new Error(`${argv.join(' ')} ended at once`);
  return { pid, startTicks: row.startTicks };
}

/** Path of a program below `test/support/fixtures/processes`. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/processes/${name}`, import.meta.url));
}

/** Waits until `get` gives something other than null, undefined or false; fails with `what` after 90 s. */
export async function until<T>(what: string, get: () => T | null | undefined | false): Promise<T> {
  const end = performance.now() + 90_000;
  while (performance.now() < end) {
    const found = attempt(get);
    if (found !== null && found !== undefined && found !== false) return found;
    await wait(10);
  }
  throw new Error(`did not happen in 90 s: ${what}`);
}

/** A file that is not there yet is one more way of "not yet". */
function attempt<T>(get: () => T): T | null {
  try {
    return get();
  } catch {
    return null;
  }
}

/** A process of that program that ended, and whose parent does not care. `sleep` is one that does not. */
export async function makeZombie(stage: Stage, program: string): Promise<ProcessId> {
  const script = `"$1" 600 & echo $! > "${stage.at('zombie')}"; exec sleep 600`;
  const parent = stage.start(['sh', '-c', script, 'sh', program]);
  await until(
    'its parent became another program',
    () => readRow(processFolder(parent.pid))?.comm === 'sleep',
  );
  const pid = Number(stage.read('zombie'));
  await until('it became the program', () => readRow(processFolder(pid))?.comm === basename(program));
  process.kill(pid, 'SIGKILL');
  return await until('it is a zombie', () => {
    const row = readRow(processFolder(pid));
    return row?.state === 'Z' && row;
  });
}

/** One that this test may not signal (of root's tests: not without rights): `sleep`, or what is called so. */
export async function processOfAnother(stage: Stage, sleep = 'sleep'): Promise<ProcessId> {
  if (process.getuid?.() === 0) {
    const id = stage.start(['setpriv', '--reuid=65533', '--clear-groups', sleep, '600']);
    await until('it has changed its user', () => readStatus(processFolder(id.pid))?.savedUid === 65_533);
    return id;
  }
  const other = listProcesses()?.rows.find(({ pid }) => {
    const status = readStatus(processFolder(pid));
    return status !== null && ![status.realUid, status.savedUid].includes(process.getuid?.() ?? -1);
  });
  if (other === undefined) throw new Error('This test needs root, or a process of another user in sight');
  return other;
}

/** As an effective user without capabilities; root can come back from that. */
export function withoutRights<T>(act: () => T): T {
  if (process.getuid?.() !== 0) return act();
  process.seteuid?.(65_534);
  try {
    return act();
  } finally {
    process.seteuid?.(0);
  }
}
