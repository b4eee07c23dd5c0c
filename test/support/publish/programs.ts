// Programs of the publishing tests, compiled once, and run as processes of their own: as other users, in private mount
// namespaces, killed at any moment.
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const PROJECT = new URL('../../..', import.meta.url).pathname;

export interface Program {
  readonly path: string;
  readonly remove: () => void;
}

/** Builds one file below `test/support`, as the program is built otherwise, into a program that any user may run. */
export function compile(file: string): Program {
  const folder = mkdtempSync(join(tmpdir(), 'program-'));
  const place = join(folder, 'dist');
  execFileSync(process.execPath, ['build.mjs', 'into', place, join('test/support', file)], { cwd: PROJECT });
  chmodSync(folder, 0o755);
  const path = join(place, `${basename(file, '.ts')}.js`);
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export interface Where {
  /** Numeric user and group to run as. */
  readonly uid?: number;
  /** Shell text that prepares mounts, run before in a mount namespace that ends with the program. */
  readonly mounts?: string;
  /** Shell text run in the same namespace after the program has ended. */
  readonly afterwards?: string;
}

/** The command line for a program, an argument for it, and the surroundings. */
function commandLine({ path }: Program, argument: unknown, { mounts, afterwards }: Where): readonly string[] {
  const json = JSON.stringify(argument);
  if (mounts === undefined) return [process.execPath, path, json];
  // Without root the same goes through a user namespace; where that is forbidden the test fails and says so.
  const unshare = process.getuid?.() === 0 ? ['unshare', '-m'] : ['unshare', '-Urm'];
  const script = `set -e; ${mounts}\n"$1" "$2" "$3"\n${afterwards ?? ''}`;
  return [...unshare, 'sh', '-c', script, 'sh', process.execPath, path, json];
}

/** Runs the program to its end; resolves to what it printed, as JSON. Rejects with its error output when it fails. */
export async function runProgram<T>(program: Program, argument: unknown, where: Where = {}): Promise<T> {
  const [command = '', ...args] = commandLine(program, argument, where);
  const identity = where.uid === undefined ? {} : { uid: where.uid, gid: where.uid };
  const printed = await new Promise<string>((resolve, reject) => {
    execFile(command, args, { ...identity, cwd: '/', timeout: 120_000 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`Cannot run ${args.join(' ')}: ${error.message}\n${stderr}`));
    });
  });
  return JSON.parse(printed) as T;
}

/** None outlives the tests. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A program under way; what it prints line by line goes to `onLine`. */
export function startProgram(
  program: Program,
  argument: unknown,
  onLine: (line: string) => void = () => {},
): ChildProcess {
  const child = spawn(process.execPath, [program.path, JSON.stringify(argument)], {
    cwd: '/',
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** Resolves when the process is gone. */
export function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}
