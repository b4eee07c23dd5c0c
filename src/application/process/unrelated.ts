// Remembers for a moment which processes are certainly not meant: to ask each for its name is the most expensive part of a look.

/**
 * For so long such a process is not asked again. One that turns into the application meanwhile (`exec`) would not be notified any
 * sooner, since it has not settled; and when no process is found, all are asked.
 */
const KNOWN_MS = 1000;

/** The kernel counts numbers up, of threads as well. To ask for more of them than this, one by one, costs more than to list the processes. */
const MOST_STARTED = 16;

export interface UnrelatedMemory {
  /** Those of `pids` that may be meant. `isMeant` is asked only about those that are not known to be unrelated. */
  readonly prefilter: (
    pids: readonly number[],
    isMeant: (pid: number) => boolean,
    nowMs: number,
    newest?: number | null,
  ) => readonly number[];
  /**
   * What the last prefilter let pass, while it would let pass nothing else: none that it asked would be asked again, and what has started since
   * is not meant. null where that is not certain. `newest`: see `readNewestPid`; `isMeant` is asked about the numbers given out since.
   */
  readonly passedBefore: (
    newest: number | null,
    isMeant: (pid: number) => boolean,
    nowMs: number,
  ) => readonly number[] | null;
  /** Forgets them all. @returns false when the last prefilter asked about every process. */
  readonly forget: () => boolean;
}

interface Prefiltered {
  readonly passed: readonly number[];
  readonly newest: number;
  /** When the first of those that are known to be unrelated was asked. */
  readonly sinceMs: number;
}

export function createUnrelatedMemory(): UnrelatedMemory {
  /** By number, when they were asked. */
  let askedAtMs: ReadonlyMap<number, number> = new Map();
  let hasSkipped = false;
  let last: Prefiltered | null = null;
  const prefilter: UnrelatedMemory['prefilter'] = (pids, isMeant, nowMs, newest = null) => {
    const next = new Map<number, number>();
    const passed: number[] = [];
    hasSkipped = false;
    let sinceMs = nowMs;
    for (const pid of pids) {
      const before = askedAtMs.get(pid);
      const isKnown = before !== undefined && nowMs >= before && nowMs - before <= KNOWN_MS;
      hasSkipped ||= isKnown;
      if (!isKnown && isMeant(pid)) passed.push(pid);
      else next.set(pid, isKnown ? before : nowMs);
      if (isKnown) sinceMs = Math.min(sinceMs, before);
    }
    askedAtMs = next;
    last = newest === null || passed.length === 0 ? null : { passed, newest, sinceMs };
    return passed;
  };
  const passedBefore: UnrelatedMemory['passedBefore'] = (newest, isMeant, nowMs) => {
    if (last === null || newest === null) return null;
    if (nowMs < last.sinceMs || nowMs - last.sinceMs > KNOWN_MS) return null;
    const started = newest - last.newest;
    if (started < 0 || started > MOST_STARTED) return null;
    for (let pid = last.newest + 1; pid <= newest; pid += 1) if (isMeant(pid)) return null;
    last = { ...last, newest };
    hasSkipped = true;
    return last.passed;
  };
  const forget = (): boolean => {
    askedAtMs = new Map();
    last = null;
    return hasSkipped;
  };
  return { prefilter, passedBefore, forget };
}
