// An application that lives and dies by its configuration, alone or under a supervisor, and the job that configures it.

import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Recorded, readRecords } from './app.ts';
import { replaceFile } from './backing.ts';
import type { Place } from './place.ts';
import type { Sidecar, TargetSeen, Variables } from './sidecar.ts';
import { until } from './until.ts';

const program = (name: string): string =>
  new URL(`../fixtures/processes/${name}.mjs`, import.meta.url).pathname;

/** What it is configured to do: see `does-as-configured.mjs`. */
export interface Orders {
  readonly value: string | number;
  readonly dies?: number;
  readonly diesWhenTold?: number;
  readonly keeps?: boolean;
  readonly late?: number;
  readonly answers?: number;
  readonly hangs?: boolean;
}

export interface LivingOptions {
  /** The configuration it reads. */
  readonly config: string;
  /** Restarted this many milliseconds after it ended; without it, never. */
  readonly restartMs?: number;
  /** Further words: `port=NUMBER`, `workers`, `watches`, `doom=PATH`, `stays`. */
  readonly words?: readonly string[];
}

/** Several processes one after the other, where it is supervised. */
export interface Living {
  readonly records: () => readonly Recorded[];
  /** The values it read when this befell it (by default a signal). */
  readonly values: (event?: string) => readonly unknown[];
  /** The value it read last, however it came to. */
  readonly reads: () => unknown;
  /** The numbers of its processes, in the order in which they started. */
  readonly pids: () => readonly number[];
  /** Ends it and its supervisor for good. */
  readonly end: () => Promise<void>;
}

let lives = 0;

/** Starts one and waits until it has read its configuration. */
export async function startLiving(place: Place, options: LivingOptions): Promise<Living> {
  const { config, restartMs, words = [] } = options;
  const path = place.at(`life-${lives++}`);
  const own = [program('does-as-configured'), path, config, ...words];
  // What starts in the same hundredth of a second as a publication counts as started before it: the clocks tie.
  await sleep(30);
  const child = startChild(place, own, restartMs);
  const records = (): readonly Recorded[] => readRecords(path);
  await until('the application runs', () => records().length > 0);
  return {
    records,
    values: (event = 'SIGHUP') => records().flatMap((one) => (one.event === event ? [one.content] : [])),
    reads: () =>
      records()
        .filter(({ content }) => content !== undefined)
        .at(-1)?.content,
    pids: () => [...new Set(records().map(({ pid }) => pid))],
    end: async () => {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await gone;
      }
      const last = records().at(-1)?.pid;
      if (restartMs !== undefined && last !== undefined) killQuietly(last);
    },
  };
}

function startChild(place: Place, words: readonly string[], restartMs: number | undefined): ChildProcess {
  if (restartMs === undefined) return place.spawn(process.execPath, words, place.name);
  const kept = [program('keeps-alive'), `${restartMs}`, place.name, process.execPath, ...words];
  return place.spawn(process.execPath, kept);
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

/** One file followed, one file kept, with orders for the application in it. */
export interface OrdersJob {
  readonly variables: Variables;
  /** The output. */
  readonly config: string;
  readonly set: (orders: Orders) => void;
  /** The value on the volume; null when there is none. */
  readonly shown: () => unknown;
}

/** From `source.json` to `out/app.json`, with intervals short enough to test with and the process named. */
export function ordersJob(place: Place, orders: Orders, { reports = false } = {}): OrdersJob {
  place.directory('out');
  const config = place.at('out/app.json');
  const set = (next: Orders): void => replaceFile(place.at('source.json'), `${JSON.stringify(next)}\n`);
  set(orders);
  const template = reports ? { TEMPLATE: place.write('app.json.liquid', REPORTS) } : {};
  return {
    variables: {
      SOURCE: place.at('source.json'),
      OUTPUT: config,
      RELOAD_MIN_INTERVAL: '100ms',
      CONFIRM_PERIOD: '1500ms',
      APP_PROCESS: place.name,
      ...template,
    },
    config,
    set,
    shown: () => {
      if (!existsSync(config)) return null;
      const document = JSON.parse(place.read('out/app.json'));
      return (document.content ?? document).value;
    },
  };
}

/** With what an application can report back. */
const REPORTS =
  '{"revision": {{ sidecar.revision | json }}, "digest": {{ sidecar.digest | json }}, "content": {{ sidecar.data | json }}}\n';

/** The values that were published, as `desired`, `rolled-back` or `fallback`, in their order. */
export function publications(sidecar: Sidecar): readonly string[] {
  return sidecar.logs('published').map(({ as }) => String(as));
}

/** Waits until this rendering is known to work, and nothing is to be done any more. */
export function confirmedAs(
  sidecar: Sidecar,
  outcome: string,
  value: unknown,
  job: OrdersJob,
): Promise<TargetSeen> {
  return until(`${value} is ${outcome}`, async () => {
    // First, so that what is asked for is not older than what is seen.
    const shown = job.shown();
    const seen = await sidecar.target();
    const good = seen.generations.find(({ lastKnownGood }) => lastKnownGood);
    if (seen.outcome !== outcome) throw new Error(`it is ${seen.outcome}: ${seen.message}`);
    const isWanted = outcome === 'rolled-back' || seen.desired?.rendering === good?.rendering;
    return shown === value && isWanted && good?.onVolume === true && !seen.reloadOwed && seen;
  });
}

/** Waits until the first configuration, "one", is known to work. */
export function begins(sidecar: Sidecar, job: OrdersJob): Promise<TargetSeen> {
  return confirmedAs(sidecar, 'applied', 'one', job);
}

/** A sidecar whose first configuration, "one", is known to work. */
export async function startsWell(place: Place, job: OrdersJob, variables: Variables = {}): Promise<Sidecar> {
  const sidecar = await place.start({ ...job.variables, ...variables });
  await begins(sidecar, job);
  return sidecar;
}
