// What the soak measures of the sidecar, how it is shown, and what counts as having grown.
import * as fs from 'node:fs';
import { join } from 'node:path';

/** One row of the table. Sizes in MiB, times in milliseconds. */
export interface Sample {
  readonly at: number;
  readonly rss: number;
  readonly pss: number;
  readonly anonymous: number;
  readonly descriptors: number;
  /** 99th percentile since the last scrape or so, as the metrics show; NaN where they do not. */
  readonly loopMs: number;
  readonly outputEntries: number;
  readonly stateEntries: number;
  readonly lagMs: number;
}

export interface Place {
  readonly pid: number;
  readonly port: number;
  readonly output: string;
  readonly state: string;
}

/** Measures now. */
export async function sampleOf(
  { pid, port, output, state }: Place,
  lagMs: number,
  metricsOf: (port: number) => Promise<string>,
): Promise<Sample> {
  const rollup = fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mib = (name: string): number => numberIn(rollup, new RegExp(`^${name}:\\s+(\\d+)`, 'm')) / 1_024;
  const metrics = await metricsOf(port);
  return {
    at: Date.now(),
    rss: mib('Rss'),
    pss: mib('Pss'),
    anonymous: mib('Anonymous'),
    descriptors: fs.readdirSync(`/proc/${pid}/fd`).length,
    loopMs: numberIn(metrics, /^nodejs_eventloop_lag_p99_seconds ([\d.e+-]+)/m) * 1_000,
    outputEntries: entriesOf(output),
    stateEntries: entriesOf(state),
    lagMs,
  };
}

function numberIn(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? Number.NaN);
}

/** How many names there are in a directory and below. */
function entriesOf(directory: string): number {
  try {
    const found = fs.readdirSync(directory, { withFileTypes: true });
    return found.reduce(
      (sum, entry) => sum + 1 + (entry.isDirectory() ? entriesOf(join(directory, entry.name)) : 0),
      0,
    );
  } catch {
    // Removed while it was being counted.
    return 0;
  }
}

type Column = Exclude<keyof Sample, 'at'>;

const COLUMNS: readonly (readonly [Column, string, number])[] = [
  ['rss', 'RSS MiB', 1],
  ['pss', 'PSS MiB', 1],
  ['anonymous', 'anon MiB', 1],
  ['descriptors', 'fds', 0],
  ['loopMs', 'loop p99', 1],
  ['outputEntries', 'output', 0],
  ['stateEntries', 'state', 0],
  ['lagMs', 'lag ms', 0],
];

/** The head of the table. */
export function showHeader(): string {
  return ['time', 'source', ...COLUMNS.map(([, title]) => title)].map((title) => title.padStart(10)).join('');
}

/** A row of the table. */
export function showSample(name: string, sample: Sample): string {
  const time = new Date(sample.at).toISOString().slice(11, 19);
  const cells = COLUMNS.map(([name, , digits]) => sample[name].toFixed(digits));
  return [time, name, ...cells].map((cell) => cell.padStart(10)).join('');
}

/** What may be more at the end than after warming up: noise of the collector, a connection being made. */
const ALLOWED: Readonly<Partial<Record<Column, number>>> = {
  anonymous: 12,
  descriptors: 6,
  outputEntries: 2,
  stateEntries: 6,
};

/**
 * What grew: the median of the last quarter against that of the second (the first is for warming up). Nothing is said
 * of fewer than thirty samples.
 */
export function growthOf(samples: readonly Sample[]): string[] {
  if (samples.length < 30) return [];
  const quarter = samples.length >> 2;
  const early = samples.slice(quarter, 2 * quarter);
  const late = samples.slice(-quarter);
  return COLUMNS.flatMap(([name, title]) => {
    const [from, to] = [
      median(early.map((sample) => sample[name])),
      median(late.map((sample) => sample[name])),
    ];
    const allowed = ALLOWED[name];
    return allowed !== undefined && to > from + allowed
      ? [`${title} from ${from.toFixed(1)} to ${to.toFixed(1)}`]
      : [];
  });
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
