// Turns "read it once" into a watch: at once, then at intervals, until the signal aborts.

import * as wait from '../lib/wait.ts';
import type { Observation } from './provider.ts';

export interface PollOptions {
  /** Time from one read's end to the next read's start, before it is spread. */
  readonly intervalMs: number;
  readonly signal: AbortSignal;
  /** Gives numbers from 0 to below 1. Default Math.random. */
  readonly random?: () => number;
  /** Default `sleep`. */
  readonly sleep?: typeof wait.sleep;
}

/** Yields what `read` says; ends when it throws (with that error) or when the signal aborts (without one). */
export async function* poll(
  read: () => Promise<Observation>,
  { intervalMs, signal, random = Math.random, sleep = wait.sleep }: PollOptions,
): AsyncGenerator<Observation, void, void> {
  while (!signal.aborted) {
    const observation = await read().catch((thrown: unknown) => {
      if (signal.aborted) return null;
      throw thrown;
    });
    if (observation === null) return;
    yield observation;
    await sleep(spread(intervalMs, random), signal);
  }
}

/** The interval, up to a tenth shorter or longer, so that many instances drift apart. */
export function spread(intervalMs: number, random: () => number): number {
  return Math.round(intervalMs * (0.9 + 0.2 * random()));
}
