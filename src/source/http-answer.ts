// What an HTTP source's answer means: a snapshot, the same as before, or an error; and what to ask with next time.
import { createHash } from 'node:crypto';
import { SidecarError } from '../lib/errors.ts';
import { askedToWait } from '../lib/http/answer-words.ts';
import { type HttpResponse, retryAfterMs } from '../lib/http/http.ts';
import { maskUrl } from '../lib/mask.ts';
import type { Content, Observation } from './provider.ts';

/** What is remembered of the last snapshot, for the next question. */
export interface Cursor {
  readonly url: string;
  readonly etag: string | null;
  /** The header that asks for something newer, or null where none can be trusted with it. */
  readonly condition: readonly [name: string, value: string] | null;
  readonly contentType: string | null;
  readonly digest: string;
  readonly revision: string;
  /** How often the server has said 304 since it was last read whole. */
  readonly unread: number;
}

/** The answer at the end of the redirects, and the URL that gave it. */
export interface HttpAnswer {
  readonly url: string;
  readonly response: HttpResponse;
}

/**
 * After so many 304 it is read whole: the net under a server whose ETag is a time and a size, or that takes an older
 * Last-Modified (a file put back) for no change.
 */
const WHOLE_AFTER = 9;

/** The headers that ask for the content only if it changed. Validators belong to the URL that gave them. */
export function conditions(url: string, cursor: Cursor | null): readonly (readonly [string, string])[] {
  if (cursor?.url !== url || cursor.condition === null || cursor.unread >= WHOLE_AFTER) return [];
  return [cursor.condition];
}

/**
 * Whether this is something new whose only sign of an end was the end of the connection (RFC 9112 6.3, 8), so that a
 * whole answer and one that was cut look the same.
 */
export function isDoubtful({ status, headers, body }: HttpResponse, cursor: Cursor | null): boolean {
  const hasLength = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
  return status === 200 && !hasLength && cursor?.digest !== digestOf(body);
}

function digestOf(body: Buffer): string {
  return `sha256:${createHash('sha256').update(body).digest('hex')}`;
}

export interface Understood {
  readonly observation: Observation;
  readonly next: Cursor;
}

/**
 * Only a body that was read whole gets here, so its validators may be remembered. Throws `source.not-found` (404, 410),
 * `source.denied` (401, 403), `source.wrong-type` (a page of HTML) or `source.failed`.
 */
export function understand(
  { url, response }: HttpAnswer,
  pointer: string | null,
  cursor: Cursor | null,
): Understood {
  if (response.status === 304) {
    if (cursor !== null && conditions(url, cursor).length > 0)
      return { observation: { kind: 'same' }, next: { ...cursor, unread: cursor.unread + 1 } };
    throw answerFailure(url, 'source.failed', 'the server answered 304 although it was asked for the whole');
  }
  if (response.status !== 200 && response.status !== 204) throw refusal(url, response);
  const next = cursorOf(url, response, cursor);
  if (cursor !== null && isSame(cursor, next)) return { observation: { kind: 'same' }, next };
  const content = contentOf(url, response, pointer);
  return { observation: { kind: 'snapshot', snapshot: { revision: next.revision, content } }, next };
}

/** The type and the end of the path say how the bytes are read, so they count too. */
function isSame(before: Cursor, now: Cursor): boolean {
  return (
    before.revision === now.revision &&
    before.digest === now.digest &&
    before.contentType === now.contentType &&
    before.url === now.url
  );
}

function cursorOf(url: string, { headers, body }: HttpResponse, before: Cursor | null): Cursor {
  const etag = headers['etag'] ?? null;
  const digest = digestOf(body);
  // A weak ETag may stay while the bytes change; from then on it alone proves nothing.
  const isReused =
    etag !== null && etag === before?.etag && (digest !== before.digest || before.revision !== etag);
  return {
    url,
    etag,
    condition: isReused ? null : conditionOf(etag, headers),
    contentType: mediaType(headers),
    digest,
    revision: isReused ? `${etag} ${digest}` : (etag ?? digest),
    unread: 0,
  };
}

const SETTLED_AFTER_MS = 2_000;

/**
 * Last-Modified counts seconds, and so do the ETags that are made of it: a second change within the same one would be
 * hidden for ever (RFC 9110 8.8.2.2).
 */
function conditionOf(etag: string | null, headers: HttpResponse['headers']): Cursor['condition'] {
  const lastModified = headers['last-modified'] ?? '';
  const ageMs = Date.parse(headers['date'] ?? '') - Date.parse(lastModified);
  if (etag !== null) return ageMs < SETTLED_AFTER_MS ? null : ['If-None-Match', etag];
  return ageMs >= SETTLED_AFTER_MS ? ['If-Modified-Since', lastModified] : null;
}

function mediaType(headers: HttpResponse['headers']): string | null {
  return headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() || null;
}

function contentOf(url: string, { headers, body }: HttpResponse, pointer: string | null): Content {
  if (body.length === 0) return { kind: 'nothing' };
  const { pathname } = new URL(url);
  const contentType = mediaType(headers);
  if (!/\.x?html?$/i.test(pathname) && isPage(contentType, body)) {
    const type = contentType ?? 'without a type';
    const reason = `the server sent a page (${type}) where a configuration was expected`;
    throw answerFailure(url, 'source.wrong-type', `${reason}; is this a login or an error page?`);
  }
  return { kind: 'document', bytes: body, name: lastPart(pathname), contentType, pointer };
}

const HTML_TYPES = new Set(['text/html', 'application/xhtml+xml']);
const SNIFFED_BYTES = 256;

/** By its type, or by how it begins: error pages come with any type or none. */
function isPage(contentType: string | null, body: Buffer): boolean {
  if (contentType !== null && HTML_TYPES.has(contentType)) return true;
  const beginning = body.subarray(0, SNIFFED_BYTES).toString().trimStart();
  return /^(?:<\?xml[^>]*>\s*)?<(?:!doctype\s+html|html)[\s>]/i.test(beginning);
}

function lastPart(pathname: string): string {
  const part = pathname.slice(pathname.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function refusal(url: string, { status, headers }: HttpResponse): SidecarError {
  const nowMs = Date.now();
  const waitMs = retryAfterMs(headers, nowMs);
  const [code, advice] = meaningOf(status);
  return answerFailure(
    url,
    code,
    `the server answered ${status}${askedToWait(headers, nowMs)}${advice}`,
    waitMs,
  );
}

const DENIED = 'source.denied';
/** Statuses that send elsewhere; with a `Location` they are followed within the origin. */
export const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
const LETS_IN = 'HTTP_TOKEN, HTTP_USERNAME with HTTP_PASSWORD, HTTP_HEADERS or HTTP_CERT';
const STATUS_MEANINGS: ReadonlyMap<number, readonly [code: string, advice: string]> = new Map([
  [401, [DENIED, `: the credentials are missing or wrong; set ${LETS_IN}`]],
  [403, [DENIED, `: these credentials may not read it; grant them the right, or give others as ${LETS_IN}`]],
  [404, ['source.not-found', '; there is nothing under this URL']],
  [410, ['source.not-found', '; there is nothing under this URL any more']],
]);

function meaningOf(status: number): readonly [code: string, advice: string] {
  if (REDIRECTS.includes(status)) return ['source.redirected', ' without saying where to (no Location)'];
  return STATUS_MEANINGS.get(status) ?? ['source.failed', ''];
}

/** `Cannot GET "<masked url>": <reason>`, of stage `source`. */
export function answerFailure(url: string, code: string, reason: string, waitMs?: number): SidecarError {
  return new SidecarError(`Cannot GET "${maskUrl(url)}": ${reason}`, {
    code,
    stage: 'source',
    ...(waitMs !== undefined && { retryAfterMs: waitMs }),
  });
}
