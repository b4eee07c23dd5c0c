// Remembers for a moment which processes are certainly not meant: to ask each for its name is the dearest part of a look.

/**
 * For so long such a process is not asked again. One that turns into the application meanwhile (`exec`) would not be notified any
 * sooner, since it has not settled; and when no process is found, all are asked.
 */
const KNOWN_MS = 1000;

export interface UnrelatedMemory {
  /** Those of `pids` that may be meant. `isMeant` is asked only about those that are not known to be unrelated. */
  readonly prefilter: (
    pids: readonly number[],
    isMeant: (pid: number) => boolean,
    nowMs: number,
  ) => readonly number[];
  /** Forgets them all. @returns false when the last prefilter asked about every process. */
  readonly forget: () => boolean;
}

export function createUnrelatedMemory(): UnrelatedMemory {
  /** By number, when they were asked. */
  let askedAtMs: ReadonlyMap<number, number> = new Map();
  let hasSkipped = false;
  const prefilter: UnrelatedMemory['prefilter'] = (pids, isMeant, nowMs) => {
    const next = new Map<number, number>();
    const passed: number[] = [];
    hasSkipped = false;
    for (const pid of pids) {
      const before = askedAtMs.get(pid);
      const isKnown = before !== undefined && nowMs >= before && nowMs - before <= KNOWN_MS;
      hasSkipped ||= isKnown;
      if (!isKnown && isMeant(pid)) passed.push(pid);
      else next.set(pid, isKnown ? before : nowMs);
    }
    askedAtMs = next;
    return passed;
  };
  const forget = (): boolean => {
    askedAtMs = new Map();
    return hasSkipped;
  };
  return { prefilter, forget };
}
