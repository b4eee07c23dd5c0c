// The application of a test: a process that records each notification.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Place } from './place.ts';
import { until } from './until.ts';

const RECORDER = new URL('../fixtures/processes/recorder.mjs', import.meta.url).pathname;

let apps = 0;

export interface Recorded {
  readonly event: string;
  readonly pid: number;
  readonly at: number;
  readonly content: unknown;
}

export interface App {
  readonly pid: number;
  readonly isRunning: () => boolean;
  readonly records: () => readonly Recorded[];
  /** What it read at each signal. */
  readonly told: (signal?: string) => readonly unknown[];
  readonly kill: () => Promise<void>;
}

export interface AppOptions {
  /** The configuration it reads. */
  readonly config: string;
  /** Name of the program; default: the place's own `name`. */
  readonly name?: string;
  /** It has no handlers before this file is there. */
  readonly listensAfter?: string;
  readonly pidFile?: string;
}

/** Starts one and waits until it listens; until it runs, where it is to listen later. */
export async function startApp(place: Place, options: AppOptions): Promise<App> {
  const { config, name = place.name, listensAfter, pidFile } = options;
  const recordsPath = place.at(`records-${name}-${apps++}`);
  const words = [RECORDER, recordsPath, config];
  if (listensAfter !== undefined) words.push(`after=${listensAfter}`);
  if (pidFile !== undefined) words.push(`pid-file=${pidFile}`);
  // What starts in the same hundredth of a second as a publication counts as started before it: the clocks tie.
  await sleep(30);
  const child = place.spawn(process.execPath, words, name);
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const records = (): readonly Recorded[] => readRecords(recordsPath);
  const has = (event: string): boolean => records().some((record) => record.event === event);
  await until('the application runs', () => has(listensAfter === undefined ? 'listening' : 'started'));
  return {
    pid: child.pid ?? 0,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    records,
    told: (signal = 'SIGHUP') =>
      records().flatMap(({ event, content }) => (event === signal ? [content] : [])),
    kill: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  };
}

/** What an application wrote down so far. */
export function readRecords(path: string): readonly Recorded[] {
  try {
    const lines = readFileSync(path, 'utf8').split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line));
  } catch {
    return [];
  }
}
