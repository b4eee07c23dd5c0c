// What the attempts of one target came to: the outcome that stands, a short history, and the counts for the metrics.

import type { Version } from '../ledger/ledger.ts';
import type { Stage as ErrorStage } from '../lib/errors.ts';
import type { Outcome } from './decide.ts';

/** What is known of a version before it was rendered, or when it could not be. */
export type AttemptedVersion = Omit<Version, 'rendering'> & { readonly rendering: string | null };

/** One outcome as status and history show it. */
export interface Report {
  readonly outcome: Outcome;
  /** Stable code of the reason; null when there is nothing to explain. */
  readonly code: string | null;
  readonly message: string;
  /** What a hook or a validator printed, secrets masked; null when it printed nothing. Not for everybody (README). */
  readonly output: string | null;
  /** Where the reason lies; null when there is none. */
  readonly stage: ErrorStage | null;
  readonly attempted: AttemptedVersion | null;
  /** Unix milliseconds. */
  readonly at: number;
  /** How often the same was reported in a row. */
  readonly count: number;
}

export type Stage = 'render' | 'validate' | 'publish' | 'reload' | 'confirm';

/** Seconds below which a stage's duration is counted. */
export const DURATION_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30,
] as const;

export interface Durations {
  readonly buckets: number[];
  sum: number;
  count: number;
}

/** How many outcomes are remembered. */
const HISTORY = 20;

/** Outcomes after which there is nothing left to do. */
const DONE: readonly (Outcome | undefined)[] = ['applied', 'unchanged', 'picked-up', undefined];

export class Attempts {
  /** By outcome; the same outcome for the same reason again is one attempt more. */
  readonly outcomes: Partial<Record<Outcome, number>> = {};
  /** By result: `told`, `unavailable`, `misconfigured`, `refused`, `unknown`, … */
  readonly reloads: Record<string, number> = {};
  readonly durations: Partial<Record<Stage, Durations>> = {};
  readonly #history: Report[] = [];
  #isOver = false;

  /** The outcome that stands; null before the first. */
  get current(): Report | null {
    return this.#isOver ? null : (this.#history[0] ?? null);
  }

  /** Newest first. */
  get history(): readonly Report[] {
    return this.#history;
  }

  /** Whether the outcome that stands needs somebody, or some more tries. */
  get isOpen(): boolean {
    return !DONE.includes(this.current?.outcome);
  }

  /** Adds an outcome; true when it is news and not the same as before. */
  add(report: Omit<Report, 'count'>): boolean {
    this.outcomes[report.outcome] = (this.outcomes[report.outcome] ?? 0) + 1;
    const before = this.current;
    const same =
      before?.outcome === report.outcome &&
      before.code === report.code &&
      before.attempted?.rendering === report.attempted?.rendering &&
      before.attempted?.digest === report.attempted?.digest;
    this.#isOver = false;
    if (same) this.#history.shift();
    this.#history.unshift({ ...report, count: same && before ? before.count + 1 : 1 });
    this.#history.length = Math.min(this.#history.length, HISTORY);
    return !same;
  }

  /** The outcome that stands is over without another in its place: what was in the way has gone. */
  close(): void {
    this.#isOver = true;
  }

  countReload(result: string): void {
    this.reloads[result] = (this.reloads[result] ?? 0) + 1;
  }

  observe(stage: Stage, milliseconds: number): void {
    const seconds = milliseconds / 1000;
    const durations = this.durations[stage] ?? { buckets: DURATION_BUCKETS.map(() => 0), sum: 0, count: 0 };
    this.durations[stage] = durations;
    DURATION_BUCKETS.forEach((bound, i) => {
      if (seconds <= bound) durations.buckets[i] = (durations.buckets[i] ?? 0) + 1;
    });
    durations.sum += seconds;
    durations.count += 1;
  }
}
