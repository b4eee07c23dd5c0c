// What an answer that is no success says of itself: where it sends to, and when to come back.
import { maskUrl } from '../mask.ts';
import { type HttpResponse, retryAfterAskedMs, retryAfterMs } from './http.ts';

type Headers = Readonly<Record<string, string | undefined>>;

const MOST_CHARACTERS = 200;

/** ` (Location: "…")` without user and query, or nothing when the answer sends nowhere. */
export function locationOf(
  { status, headers }: Pick<HttpResponse, 'status' | 'headers'>,
  base: string,
): string {
  const text = headers['location']?.trim() ?? '';
  if (status < 300 || status > 399 || text === '' || !URL.canParse(text, base)) return '';
  const { origin, pathname } = new URL(text, base);
  return ` (Location: "${maskUrl(`${origin}${pathname}`).slice(0, MOST_CHARACTERS)}")`;
}

/** ` and asks to wait 86400 s (it is asked again after 3600 s)`, or nothing when it does not ask. */
export function askedToWait(headers: Headers, nowMs: number): string {
  const [asked, wait] = [retryAfterAskedMs(headers, nowMs), retryAfterMs(headers, nowMs)];
  if (asked === undefined || wait === undefined) return '';
  const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;
  return ` and asks to wait ${seconds(asked)}${asked > wait ? ` (it is asked again after ${seconds(wait)})` : ''}`;
}
