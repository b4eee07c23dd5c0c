// Programs that see each other and no other process of this machine, as the containers of a pod with one process
// namespace do: nothing else here that is called nginx is taken for theirs.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { until } from '../e2e/until.ts';

export type Environment = Readonly<Record<string, string>>;

export interface Program {
  /** What it has printed so far. */
  readonly log: () => string;
  /** The exit code; null when a signal ended it. */
  readonly ended: Promise<number | null>;
}

export interface Together {
  /** A new folder of this test alone. */
  readonly folder: string;
  /** Absolute path below the folder. */
  readonly at: (path: string) => string;
  /** Starts a program; its name is that of its log. */
  readonly start: (name: string, words: readonly string[], options?: StartOptions) => Program;
}

interface StartOptions {
  readonly env?: Environment;
}

const IS_ROOT = process.getuid?.() === 0;
const PATH = process.env['PATH'] ?? '';

/** Opens a process namespace and a folder; both are gone when the test ends, with whatever runs in them. */
export async function openTogether(): Promise<Together> {
  const folder = mkdtempSync(join(tmpdir(), 'config-sidecar-example-'));
  const holder = spawn('unshare', [...UNSHARE, 'sleep', 'infinity'], { stdio: 'ignore' });
  const gone = new Promise((resolve) => holder.once('close', resolve));
  const programs: Promise<unknown>[] = [];
  onTestFinished(async () => {
    holder.kill('SIGKILL');
    await gone;
    await Promise.all(programs);
    rmSync(folder, { recursive: true, force: true });
  });
  const first = await until('the process namespace is there', () => firstProcess(holder));
  const inside = [
    ...(IS_ROOT ? [] : ['--user', '--preserve-credentials']),
    '--pid',
    '--mount',
    `--wd=${folder}`,
  ];
  const start: Together['start'] = (name, words, { env = {} } = {}) => {
    const file = join(folder, `${name}.log`);
    const log = openSync(file, 'a');
    const child = spawn('nsenter', [`--target=${first}`, ...inside, '--', ...words], {
      cwd: folder,
      env: { PATH, ...env },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    programs.push(ended);
    return { log: () => readFileSync(file, 'utf8'), ended };
  };
  return { folder, at: (path) => join(folder, path), start };
}

const UNSHARE = [
  ...(IS_ROOT ? [] : ['--user', '--map-root-user']),
  '--pid',
  '--fork',
  '--mount-proc',
  '--kill-child',
];

/** The first process inside, once it has its own `/proc`. */
function firstProcess(holder: ChildProcess): string | undefined {
  if (holder.exitCode !== null) throw new Error('it needs "unshare --pid", as root or with user namespaces');
  const children = `/proc/${holder.pid}/task/${holder.pid}/children`;
  const [pid] = existsSync(children) ? readFileSync(children, 'utf8').trim().split(' ') : [];
  if (pid === undefined || pid === '') return undefined;
  return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'sleep' ? pid : undefined;
}

/** Runs a program to its end; throws with what it printed when it fails. */
export function must(program: string, words: readonly string[], env: Environment = {}): string {
  const { status, stdout, stderr, error } = spawnSync(program, words, {
    env: { PATH, ...env },
    encoding: 'utf8',
  });
  if (status === 0) return stdout;
  throw new Error(`${program} ${words.join(' ')} ended with ${status}: ${error ?? ''}\n${stdout}${stderr}`);
}
