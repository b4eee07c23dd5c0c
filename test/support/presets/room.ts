// A process namespace for one application and its sidecar: other tests run programs of the same names at the same time.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { until } from '../e2e/until.ts';

/** A process as it is seen inside of the room. */
interface Inmate {
  readonly pid: number;
  readonly parent: number;
  /** Its command line, words joined by blanks. */
  readonly command: string;
}

/** A program that was started inside. */
export interface Started {
  /** Its number in the room. */
  readonly pid: number;
  readonly isRunning: () => boolean;
  /** What it printed. */
  readonly output: () => string;
  /** Sends a signal to it. */
  readonly signal: (signal: NodeJS.Signals) => void;
}

export interface Room {
  /** Words that run a program inside. */
  readonly inside: (words: readonly string[]) => readonly string[];
  readonly start: (
    words: readonly string[],
    options?: { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string },
  ) => Promise<Started>;
  /** Every process in it, zombies left out. */
  readonly inmates: () => readonly Inmate[];
  /** Ends them all. */
  readonly close: () => void;
}

/** Opens a room; its first process collects orphans, as a pod's does. Needs root and Debian's catatonit. */
export async function openRoom(): Promise<Room> {
  const flags = ['--pid', '--fork', '--mount-proc', '--kill-child'];
  const holder = spawn('unshare', [...flags, 'catatonit', '-P'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  holder.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  const first = await until('there is a process namespace of our own', () => {
    if (holder.exitCode !== null) throw new Error(`unshare ended: ${complaint}`);
    return Number(readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8').trim());
  });
  const proc = `/proc/${first}/root/proc`;
  await until('its /proc is there', () => readFileSync(`${proc}/1/comm`, 'utf8').includes('catatonit'));
  const inside = (words: readonly string[]): readonly string[] => [
    'nsenter',
    `--target=${first}`,
    '--pid',
    '--mount',
    '--wd=/',
    '--',
    ...words,
  ];
  return {
    inside,
    start: (words, options) => startInside(inside, words, options),
    inmates: () => inmatesOf(proc),
    close: () => void holder.kill('SIGKILL'),
  };
}

async function startInside(
  inside: Room['inside'],
  words: readonly string[],
  { env = process.env, cwd = '/' }: { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string } = {},
): Promise<Started> {
  // The shell becomes the program, so its number is that of the program.
  const script = 'cd "$0" && echo $$ && exec "$@"';
  const [program = '', ...rest] = inside(['sh', '-c', script, cwd, ...words]);
  const child: ChildProcess = spawn(program, rest, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const pid = await until(`"${words[0]}" has started`, () => Number(/^(\d+)\n/.exec(output)?.[1]));
  return {
    pid,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    output: () => output.slice(output.indexOf('\n') + 1),
    signal: (signal) => {
      const [kill = '', ...to] = inside(['sh', '-c', 'kill "$@"', 'sh', `-${signal.slice(3)}`, String(pid)]);
      spawnSync(kill, to);
    },
  };
}

function inmatesOf(proc: string): readonly Inmate[] {
  const numbers = readdirSync(proc).filter((name) => /^\d+$/.test(name));
  return numbers.flatMap((pid) => {
    try {
      const stat = readFileSync(`${proc}/${pid}/stat`, 'utf8');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state === 'Z') return [];
      const command = readFileSync(`${proc}/${pid}/cmdline`, 'latin1')
        .replace(/\0+$/, '')
        .replaceAll('\0', ' ');
      return [{ pid: Number(pid), parent: Number(parent), command }];
    } catch {
      return [];
    }
  });
}
