// Times as they are logged and reported.

const two = (value: number): string => String(value).padStart(2, '0');

/**
 * A moment in ISO 8601, as `toISOString` writes it.
 * @param ms Milliseconds since 1970.
 *
 * Put together here: the engine's own way loads the tables of all time zones, which weigh 0.9 MiB.
 */
export function isoTime(ms: number): string {
  const at = new Date(ms);
  const year = at.getUTCFullYear();
  if (!(year >= 0 && year <= 9999)) return at.toISOString();
  const date = `${String(year).padStart(4, '0')}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;
  const time = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
  return `${date}T${time}.${String(at.getUTCMilliseconds()).padStart(3, '0')}Z`;
}
