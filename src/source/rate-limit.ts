// A bucket of turns that refills: what comes now and then is served at once, a storm of it at a bounded rate.

export interface RateLimit {
  /** Turns that may be taken at once after a rest. */
  readonly burst: number;
  /** Turns that come back per second. */
  readonly perSecond: number;
}

/** Gives a function that takes a turn and says how many milliseconds to wait for it. `nowMs` is any steady clock. */
export function createRateLimit({ burst, perSecond }: RateLimit, nowMs: () => number): () => number {
  let turns = burst;
  let atMs = nowMs();
  return () => {
    const now = nowMs();
    turns = Math.min(burst, turns + ((now - atMs) * perSecond) / 1_000) - 1;
    atMs = now;
    return turns >= 0 ? 0 : (-turns * 1_000) / perSecond;
  };
}
