// Whether the times and numbers that a state file holds can be true: the file lies on a volume where others may write.

type Judge = (value: number, now: number) => number | null;

const DAY_MS = 86_400_000;
/** Linux gives no greater number to a process. */
const MAX_PID = 2 ** 22;
/** The largest time that a Date can hold. */
const MAX_TIME_MS = 8.64e15;
/** A boot clock in 1/100 s: a thousand years either way. */
const MAX_TICKS = 3.2e12;

/** A time of the past. One that lies ahead was written by a clock that was wrong: it is believed to be now. */
const past: Judge = (value, now) => (isTime(value) ? Math.min(value, now) : null);
const soon: Judge = (value, now) => (isTime(value) ? Math.min(value, now + DAY_MS) : null);
const ticks: Judge = (value) => (Math.abs(value) <= MAX_TICKS ? value : null);

function isTime(value: number): boolean {
  return value >= 0 && value <= MAX_TIME_MS;
}

const JUDGES: Readonly<Record<string, Judge>> = {
  at: past,
  since: past,
  confirmedAt: past,
  appliedAt: past,
  notBefore: past,
  until: soon,
  ticks,
  startTicks: ticks,
  toldFrom: ticks,
  pid: (value) => (Number.isInteger(value) && value > 0 && value <= MAX_PID ? value : null),
  // One more than it must still be a number that can be counted on.
  generation: (value) => (Number.isInteger(value) && value >= 0 && value < 2 ** 52 ? value : null),
};

/**
 * The value with times that lie ahead put right, at any depth; null when a number in it cannot be true.
 * @param now Unix milliseconds.
 */
export function plausible<T>(value: T, now: number): T | null {
  try {
    return judge(value, '', now) as T;
  } catch (error) {
    if (error instanceof Implausible) return null;
    throw error;
  }
}

class Implausible extends Error {}

function judge(value: unknown, name: string, now: number): unknown {
  if (typeof value === 'number') {
    const judged = Number.isFinite(value) ? (JUDGES[name] ?? ((any) => any))(value, now) : null;
    if (judged === null) throw new Implausible();
    return judged;
  }
  if (Array.isArray(value)) return value.map((one) => judge(one, name, now));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, judge(inner, key, now)]));
}
