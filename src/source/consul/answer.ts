// Accepts an answer of a Consul agent, or throws: what only looks like one must never count as a store without keys.
import { ConsulFailure, type ConsulResponse } from './failure.ts';
import type { ConsulItem, ListingReader } from './listing.ts';

export interface ConsulAnswer {
  /** What to wait for next; 0 when the agent gave none. */
  readonly index: number;
  readonly items: readonly ConsulItem[];
}

/** What was asked. */
export interface ConsulQuestion {
  readonly key: string;
  /** Every key that begins with `key`, not just that one. */
  readonly recurse: boolean;
  /** An answer that is further behind the leader than this is refused, in milliseconds. */
  readonly staleMs: number;
  readonly readListing: ListingReader;
}

/**
 * Reads an answer with a status of success, or 404. Throws a ConsulFailure `source.bad-answer` for one that Consul
 * would not give, `source.no-leader` for one that may be old, and `source.denied` for one from which keys were left out.
 */
export async function readAnswer(
  response: ConsulResponse,
  question: ConsulQuestion,
  signal: AbortSignal,
): Promise<ConsulAnswer> {
  const { body, headers, statusCode } = response;
  const header = headers['x-consul-index'];
  const index = typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : 0;
  refuseStale(response, question.staleMs);
  if (isFiltered(response)) throw filtered(question);
  if (statusCode === 404) {
    const isEmpty = body === undefined || String(body) === '';
    if (isEmpty && header !== undefined) return { index, items: [] };
    throw badAnswer('answered 404 in a way Consul does not; is this a Consul agent?');
  }
  if (!/^application\/json\b/.test(headers['content-type'] ?? '') || !Buffer.isBuffer(body)) {
    throw badAnswer(`answered ${statusCode} with something other than keys`);
  }
  const items = await question.readListing(body, signal);
  // Consul says 404 for that.
  if (items.length === 0) throw badAnswer(`answered ${statusCode} with an empty list, which Consul does not`);
  refuseForeign(items, question);
  return { index, items };
}

/** A server that was cut off from its leader holds what was true some time ago. */
function refuseStale({ headers }: ConsulResponse, staleMs: number): void {
  if (headers['x-consul-knownleader'] === 'false') {
    throw new ConsulFailure(
      'source.no-leader',
      'the server that answered has no leader, so its data may be old',
    );
  }
  const behindMs = Number(headers['x-consul-lastcontact'] ?? 0);
  if (behindMs > staleMs) {
    throw new ConsulFailure(
      'source.no-leader',
      `the server that answered is ${behindMs} ms behind its leader`,
    );
  }
}

/** Whether the agent says that it left out keys that the token may not read (since Consul 1.11). */
export function isFiltered({ headers }: ConsulResponse): boolean {
  return headers['x-consul-results-filtered-by-acls'] === 'true';
}

/** A part of the keys looks like the deletion of the others. */
function filtered({ key }: ConsulQuestion): ConsulFailure {
  const rule = `key_prefix ${JSON.stringify(key)} { policy = "read" }`;
  const text = `the token may not read all of its keys; its policy needs ${rule}`;
  return new ConsulFailure('source.denied', text);
}

/** A cache or a gateway may return the answer to another request. */
function refuseForeign(items: readonly ConsulItem[], { key, recurse }: ConsulQuestion): void {
  const isOurs = recurse
    ? items.every((item) => item.key.startsWith(key))
    : items.length === 1 && items[0]?.key === key;
  if (!isOurs) throw badAnswer('answered with keys that were not asked for');
}

function badAnswer(text: string): ConsulFailure {
  return new ConsulFailure('source.bad-answer', text);
}
