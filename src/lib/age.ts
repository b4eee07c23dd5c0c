// Moments as people read them. Pure.

const UNITS: readonly (readonly [seconds: number, name: string])[] = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
];

/** `3 min`, `2 h`: how long before `now` (Unix milliseconds) that was, rounded down; `0 s` for what lies ahead. */
export function ageOf(at: string, now: number): string {
  return ageOfSeconds(Math.max(0, Math.floor((now - Date.parse(at)) / 1000)));
}

/** The same for whole seconds: `2 h`. */
export function ageOfSeconds(seconds: number): string {
  const [size, name] = UNITS.find(([length]) => seconds >= 2 * length) ?? [1, 's'];
  return `${Math.floor(seconds / size)} ${name}`;
}

/** `2026-01-31T12:00:00Z`: the second is exact enough for people. */
export function toTheSecond(at: string): string {
  return at.replace(/\.\d+Z$/, 'Z');
}
