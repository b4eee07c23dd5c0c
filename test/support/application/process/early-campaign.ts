// "A change arrives while the application is starting", many times, at random moments, against the built sidecar: counts
// applications that died of it, and those that did not end with the new configuration.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Sidecar, startSidecar } from '../../e2e/sidecar.ts';
import { buildApps, drawStart, LANGUAGES, type Language, type Start } from './early-apps.ts';

export interface Campaign {
  /** Of each language. */
  readonly runs: number;
  /** Default: all that this machine has. */
  readonly languages?: readonly Language[];
  /** How many applications start at the same time. */
  readonly slots: number;
  readonly seed: number;
  /** Called after each run. */
  readonly onRun?: (run: Run) => void;
}

/** The result for one application. */
export interface Run {
  readonly start: Start;
  /** Milliseconds between its start and the change. */
  readonly changeAfterMs: number;
  readonly end: 'new configuration' | 'died' | 'missed';
  /** What it ran, one after the other; and why it is gone, if it is. */
  readonly story: string;
  /** Milliseconds from the change until nothing was owed. */
  readonly tookMs: number;
  /** How often it read its configuration because it was notified. */
  readonly told: number;
}

const LATEST_CHANGE_MS = 1500;
const PATIENCE_MS = 40_000;

/** Runs all of it; resolves to the result of each. */
export async function runCampaign({
  runs,
  languages,
  slots,
  seed,
  onRun,
}: Campaign): Promise<readonly Run[]> {
  const root = mkdtempSync(join(tmpdir(), 'early-start-'));
  const random = randomFrom(seed);
  const programs = buildApps(join(root, 'programs'));
  const present = (languages ?? LANGUAGES).filter((each) => programs.paths[each] !== undefined);
  const queue = Array.from({ length: runs }, () => present).flat();
  const done: Run[] = [];
  const work = async (number: number): Promise<void> => {
    const slot = await openSlot(join(root, `slot-${number}`), number);
    try {
      for (let language = queue.shift(); language !== undefined; language = queue.shift()) {
        const start = drawStart(language, programs, random);
        const run = await tryOnce(slot, start, Math.floor(random() * LATEST_CHANGE_MS));
        done.push(run);
        onRun?.(run);
      }
    } finally {
      await slot.sidecar.end('SIGKILL');
    }
  };
  try {
    // All of them come to their end, so that no sidecar outlives a failure.
    const ends = await Promise.allSettled(Array.from({ length: slots }, (_, number) => work(number)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    return done;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** A sidecar, and a place where one application after the other runs. */
interface Slot {
  readonly sidecar: Sidecar;
  readonly name: string;
  readonly at: (file: string) => string;
  /** Changes the configuration in the source, and gives the new one. */
  readonly change: () => string;
}

async function openSlot(folder: string, number: number): Promise<Slot> {
  mkdirSync(join(folder, 'volume'), { recursive: true });
  const at = (file: string): string => join(folder, file);
  const name = `e${process.pid.toString(36)}x${number}`;
  let changes = 0;
  const change = (): string => {
    changes += 1;
    return replace(at('source.txt'), `configuration ${changes}`);
  };
  change();
  const who =
    [{ APP_PROCESS: name }, { APP_PID_FILE: at('pid') }, { APP_PROCESS: `/${at('record')} /` }][number % 3] ??
    {};
  const sidecar = await startSidecar(
    {
      PATH: process.env['PATH'] ?? '',
      SOURCE: at('source.txt'),
      OUTPUT: at('volume/app.txt'),
      ...{ DEBOUNCE: '0s', RELOAD_MIN_INTERVAL: '0s', CONFIRM_PERIOD: '0s' },
      ...who,
    },
    folder,
    {},
  );
  await until(() => read(at('volume/app.txt')) !== '', PATIENCE_MS);
  return { sidecar, name, at, change };
}

async function tryOnce(slot: Slot, start: Start, changeAfterMs: number): Promise<Run> {
  const { at, name, change, sidecar } = slot;
  rmSync(at('record'), { force: true });
  const [program = '', ...words] = start.argv(name, at('volume/app.txt'), at('record'));
  const child = spawn(program, words, { stdio: 'ignore' });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  replace(at('pid'), `${child.pid}`);
  await sleep(changeAfterMs);
  const wanted = change();
  const changedAt = performance.now();
  const runs = (): readonly string[] =>
    read(at('record'))
      .split('\n')
      .filter((line) => line !== '');
  const isDone = async (): Promise<boolean> => {
    if (isGone(child)) return true;
    return runs().at(-1) === wanted && !(await sidecar.target()).reloadOwed;
  };
  const isInTime = await until(isDone, PATIENCE_MS);
  const tookMs = performance.now() - changedAt;
  // A death needs a moment to show.
  await sleep(20);
  const end = isGone(child) ? 'died' : isInTime ? 'new configuration' : 'missed';
  const why = end === 'new configuration' ? '' : `; ${await explain(slot, child)}`;
  child.kill('SIGKILL');
  await gone;
  const lines = runs();
  return {
    start,
    changeAfterMs,
    end,
    story: lines.join(', ') + why,
    tookMs,
    told: Math.max(0, lines.length - 1),
  };
}

async function explain({ sidecar }: Slot, child: ChildProcess): Promise<string> {
  const { outcome, message, reloadOwed } = await sidecar.target();
  const log = sidecar.output().split('\n').slice(-12).join('\n');
  return `exit ${child.exitCode} ${child.signalCode}; ${outcome}, owed ${reloadOwed}: ${message}\n${log}`;
}

function isGone({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

async function until(condition: () => boolean | Promise<boolean>, patienceMs: number): Promise<boolean> {
  const end = performance.now() + patienceMs;
  while (performance.now() < end) {
    if (await condition()) return true;
    await sleep(50);
  }
  return false;
}

function replace(path: string, text: string): string {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
  return text;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Small and good enough (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
