// What every measurement of the bench plays on: applications, sidecars, stores, and how figures are taken and printed.
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startConsul } from '../test/support/servers/consul.ts';
import { startEtcd } from '../test/support/servers/etcd.ts';
import type { FilledStore } from './stalls.ts';

/** The built program; `BENCH_MAIN` names another build, to compare with. */
export const MAIN = process.env['BENCH_MAIN'] ?? join(process.cwd(), 'dist/main.js');
/** Every change at once: no setting puts one off. */
export const NOW = { DEBOUNCE: '0s', RELOAD_MIN_INTERVAL: '0s', CONFIRM_PERIOD: '0s' };

/** A folder of this run, removed at its end. */
export const root = fs.mkdtempSync(join(tmpdir(), 'config-sidecar-bench-'));
const children: ChildProcess[] = [];
let names = 0;

export interface Store extends FilledStore {
  readonly address: string;
  /** What the sidecar needs besides SOURCE. */
  readonly settings?: Readonly<Record<string, string>>;
  /** What the floor needs besides its words. */
  readonly floorEnv?: Readonly<Record<string, string>>;
  /** The p50 of the sidecar must stay below this multiple of the floor's. Default `BOUND`. */
  readonly bound?: number;
}

export interface Application {
  readonly file: string;
  readonly title: string;
  readonly pid: number;
  /** Values it has read, newest last, with the moment in nanoseconds. */
  readonly seen: { readonly at: bigint; readonly value: string }[];
}

/** The path of a script of this folder. */
export const here = (name: string): string => join(process.cwd(), 'bench', name);

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts a process that ends with the bench. */
export function start(argv: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  const [program = '', ...words] = argv;
  const child = spawn(program, words, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  children.push(child);
  return child;
}

/** The application: reads its file at each SIGHUP, and says when. */
export async function startApplication(): Promise<Application> {
  names += 1;
  // No part of another one's: two benches may run beside each other.
  const title = `bench-app-${process.pid}-${names}.`;
  const folder = fs.mkdtempSync(join(root, 'app-'));
  const file = join(folder, 'value.txt');
  const child = spawn(process.execPath, [here('application.mjs'), file, title], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const seen: { at: bigint; value: string }[] = [];
  await new Promise<void>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [at = '', value = ''] = line.split(' ');
      if (at === 'ready') resolve();
      else seen.push({ at: BigInt(at), value });
    });
  });
  return { file, title, pid: child.pid ?? 0, seen };
}

/** Starts the built program with these settings. */
export function startSidecar(env: Readonly<Record<string, string>>): ChildProcess {
  const child = spawn(process.execPath, [MAIN], {
    env: { PATH: process.env['PATH'], LISTEN: 'off', LOG_LEVEL: process.env['LOG_LEVEL'] ?? 'error', ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  children.push(child);
  return child;
}

/** Starts the floor: the least that can be done. */
export function startFloor(store: Store, key: string, { file, pid }: Application) {
  const words = [here('floor.mjs'), store.name, store.address, key, file, String(pid)];
  return start([process.execPath, ...words], store.floorEnv);
}

/** Ends all that was started. */
export function endAll(): void {
  for (const child of children) child.kill('SIGKILL');
}

/** Waits until it holds. */
export async function until(what: string, condition: () => boolean, ms = 20_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`Waited in vain for ${what}`);
    await sleep(1);
  }
}

/** One change: milliseconds from the put being sent to the value being read after the signal. */
export async function measureChange(
  store: Store,
  key: string,
  { app, value }: { readonly app: Application; readonly value: string },
): Promise<number> {
  const sentAt = process.hrtime.bigint();
  await store.put(key, value);
  await until(`"${value}" from ${store.name}`, () => app.seen.at(-1)?.value === value);
  return Number((app.seen.at(-1)?.at ?? 0n) - sentAt) / 1e6;
}

/** The value below which this share of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Prints a row of a table; numbers with two digits. */
export function row(...cells: readonly (string | number)[]): void {
  console.log(cells.map((cell) => (typeof cell === 'number' ? cell.toFixed(2) : cell).padStart(14)).join(''));
}

export interface Memory {
  readonly rss: number;
  readonly pss: number;
  readonly anonymous: number;
}

/** What a process weighs, in MiB. */
export function memoryOf(pid: number): Memory {
  const text = fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1]) / 1024;
  return { rss: mib('Rss'), pss: mib('Pss'), anonymous: mib('Anonymous') };
}

/** Milliseconds that all threads of a process have been on a processor. */
export function processorMsOf(pid: number): number {
  let nanoseconds = 0;
  for (const thread of fs.readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(fs.readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]);
  }
  return nanoseconds / 1e6;
}

/** Starts the stores that are measured. */
export async function startStores(): Promise<{
  readonly all: readonly Store[];
  readonly end: () => Promise<void>;
}> {
  const [etcd, consul] = [await startEtcd(), await startConsul()];
  const etcdStore: Store = {
    name: 'etcd',
    address: `http://127.0.0.1:${etcd.port}`,
    source: (key) => `etcd://127.0.0.1:${etcd.port}?key=${key}`,
    put: (key, value) => etcd.put(key, value),
    putAll: (values) => etcd.putAll(values),
  };
  const consulStore: Store = {
    name: 'consul',
    address: `http://127.0.0.1:${consul.port}`,
    source: (key) => `consul://127.0.0.1:${consul.port}/${key}`,
    put: (key, value) => consul.put(key, value),
    putAll: (values) => consul.putAll(values),
  };
  return {
    all: [etcdStore, consulStore],
    end: async () => {
      await etcd.end();
      await consul.end();
    },
  };
}
