// What attempts ended in: the current outcome, a short history, and the counts for the metrics. Values; every change makes a new one.

import type { Version } from '../ledger/ledger.ts';
import type { Stage } from '../lib/errors.ts';

/** What an attempt can end in (the contract's outcomes). */
export type Outcome =
  | 'applied'
  | 'unchanged'
  | 'picked-up'
  | 'rejected'
  | 'blocked'
  | 'pinned'
  | 'rolled-back'
  | 'rollback-failed'
  | 'refused'
  | 'target-died'
  | 'unconfirmed'
  | 'failed'
  | 'held-back'
  | 'no-target'
  | 'ambiguous'
  | 'not-permitted'
  | 'ignored'
  | 'stale-mount';

/** What is known of a version before it was rendered, or when it could not be. */
export type AttemptedVersion = Version<string | null>;

/** One outcome as status and history show it. */
export interface Report {
  readonly outcome: Outcome;
  /** Stable code of the reason; null when there is nothing to explain. */
  readonly code: string | null;
  readonly message: string;
  /** What a hook or a validator printed, secrets masked; null when it printed nothing. Shown only on the Unix socket. */
  readonly output: string | null;
  /** Where the reason lies; null when there is none. */
  readonly stage: Stage | null;
  readonly attempted: AttemptedVersion | null;
  /** Unix milliseconds. */
  readonly at: number;
  /** How often the same was reported in a row. */
  readonly count: number;
}

export type TimedStage = 'render' | 'validate' | 'publish' | 'reload' | 'confirm';

/** Seconds below which a stage's duration is counted. */
export const DURATION_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30,
] as const;

interface Durations {
  readonly buckets: readonly number[];
  readonly sum: number;
  readonly count: number;
}

export interface Journal {
  /** The current outcome; null before the first, and when it is over without another in its place. */
  readonly current: Report | null;
  /** Newest first. */
  readonly history: readonly Report[];
  /** By outcome; the same outcome for the same reason again is one attempt more. */
  readonly outcomes: Readonly<Partial<Record<Outcome, number>>>;
  /** By result: `told`, `unavailable`, `misconfigured`, `refused`, `unknown`, … */
  readonly reloads: Readonly<Record<string, number>>;
  readonly durations: Readonly<Partial<Record<TimedStage, Durations>>>;
}

export const EMPTY_JOURNAL: Journal = {
  current: null,
  history: [],
  outcomes: {},
  reloads: {},
  durations: {},
};

/** How many outcomes are remembered. */
const HISTORY = 20;

/** Outcomes after which there is nothing left to do. */
const DONE: readonly (Outcome | undefined)[] = ['applied', 'unchanged', 'picked-up', undefined];

/** Whether the current outcome needs a person, or more tries. */
export function isOpen({ current }: Journal): boolean {
  return !DONE.includes(current?.outcome);
}

/** Whether an outcome is not the one that stands, or has another cause. */
export function isNews({ current }: Journal, report: Omit<Report, 'count'>): boolean {
  return (
    current?.outcome !== report.outcome ||
    current.code !== report.code ||
    causeOf(current) !== causeOf(report) ||
    current.attempted?.rendering !== report.attempted?.rendering ||
    current.attempted?.digest !== report.attempted?.digest
  );
}

/**
 * Of the application and of sources, numbers (of processes, of seconds) make no other cause, nor whether a process that died
 * was replaced already; lines of a template do.
 */
function causeOf({ stage, message }: Omit<Report, 'count'>): string {
  if (stage !== 'reload' && stage !== 'source') return message;
  return message.replace(/, and process \d+ has taken its place/, '').replaceAll(/\d+/g, '#');
}

/** Adds an outcome; the one that stands is counted once more when it is the same. */
export function add(journal: Journal, report: Omit<Report, 'count'>): Journal {
  const { outcomes, history, current } = journal;
  const isSame = current !== null && !isNews(journal, report);
  const entry = { ...report, count: isSame ? current.count + 1 : 1 };
  return {
    ...journal,
    current: entry,
    history: [entry, ...history.slice(isSame ? 1 : 0)].slice(0, HISTORY),
    outcomes: { ...outcomes, [report.outcome]: (outcomes[report.outcome] ?? 0) + 1 },
  };
}

/** The current outcome is over: what was in the way has gone. */
export function close(journal: Journal): Journal {
  return { ...journal, current: null };
}

export function countReload(journal: Journal, result: string): Journal {
  return { ...journal, reloads: { ...journal.reloads, [result]: (journal.reloads[result] ?? 0) + 1 } };
}

const NO_DURATIONS: Durations = { buckets: DURATION_BUCKETS.map(() => 0), sum: 0, count: 0 };

/** A stage took so long. */
export function measure(journal: Journal, stage: TimedStage, milliseconds: number): Journal {
  const seconds = milliseconds / 1000;
  const { buckets, sum, count } = journal.durations[stage] ?? NO_DURATIONS;
  const counted = DURATION_BUCKETS.map((bound, i) => (buckets[i] ?? 0) + (seconds <= bound ? 1 : 0));
  const durations = { buckets: counted, sum: sum + seconds, count: count + 1 };
  return { ...journal, durations: { ...journal.durations, [stage]: durations } };
}
