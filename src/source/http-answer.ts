// What an HTTP source's answer means: a snapshot, the same as before, or an error; and what to ask with next time.
import { createHash } from 'node:crypto';
import { SidecarError } from '../errors.ts';
import { type HttpResponse, retryAfterMs } from '../http.ts';
import { maskUrl } from '../mask.ts';
import type { Content, Observation } from '../provider.ts';

/** What is remembered of the last snapshot, for the next question. */
export interface Cursor {
  readonly url: string;
  readonly etag: string | null;
  readonly lastModified: string | null;
  readonly digest: string;
  readonly revision: string;
}

/** The answer at the end of the redirects, and the URL that gave it. */
export interface Answer {
  readonly url: string;
  readonly response: HttpResponse;
}

/** The headers that ask for the content only if it changed. Validators belong to the URL that gave them. */
export function conditions(url: string, cursor: Cursor | null): readonly (readonly [string, string])[] {
  if (cursor?.url !== url) return [];
  if (cursor.etag !== null) return [['If-None-Match', cursor.etag]];
  return cursor.lastModified === null ? [] : [['If-Modified-Since', cursor.lastModified]];
}

export interface Understood {
  readonly observation: Observation;
  readonly next: Cursor;
}

/**
 * Only a body that was read whole gets here, so its validators may be remembered. Throws `source.not-found` (404, 410),
 * `source.denied` (401, 403), `source.wrong-type` (an HTML page) or `source.failed`.
 */
export function understand(
  { url, response }: Answer,
  pointer: string | null,
  cursor: Cursor | null,
): Understood {
  if (response.status === 304) {
    if (cursor?.url === url) return { observation: { kind: 'same' }, next: cursor };
    throw answerFailure(url, 'source.failed', 'the server answered 304 although it was asked for the whole');
  }
  if (response.status !== 200 && response.status !== 204) throw refusal(url, response);
  const next = cursorOf(url, response, cursor);
  if (next.revision === cursor?.revision && next.digest === cursor.digest)
    return { observation: { kind: 'same' }, next };
  const content = contentOf(url, response, pointer);
  return { observation: { kind: 'snapshot', snapshot: { revision: next.revision, content } }, next };
}

function cursorOf(url: string, { headers, body }: HttpResponse, before: Cursor | null): Cursor {
  const etag = headers['etag'] ?? null;
  const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
  // A weak ETag may stay while the bytes change; from then on it alone tells nothing.
  const isReused =
    etag !== null && etag === before?.etag && (digest !== before.digest || before.revision !== etag);
  const revision = isReused ? `${etag} ${digest}` : (etag ?? digest);
  return { url, etag, lastModified: trustedLastModified(headers), digest, revision };
}

const LAST_MODIFIED_TRUST_MS = 2_000;

/** It counts seconds: a second change within the same one would be hidden for ever (RFC 9110 8.8.2.2). */
function trustedLastModified(headers: HttpResponse['headers']): string | null {
  const lastModified = headers['last-modified'] ?? '';
  const ageMs = Date.parse(headers['date'] ?? '') - Date.parse(lastModified);
  return ageMs >= LAST_MODIFIED_TRUST_MS ? lastModified : null;
}

function contentOf(url: string, { headers, body }: HttpResponse, pointer: string | null): Content {
  if (body.length === 0) return { kind: 'nothing' };
  const { pathname } = new URL(url);
  const contentType = headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() || null;
  if (contentType !== null && HTML_TYPES.has(contentType) && !/\.x?html?$/i.test(pathname)) {
    const reason = `the server sent a page (${contentType}) where a configuration was expected`;
    throw answerFailure(url, 'source.wrong-type', `${reason}; is this a login or an error page?`);
  }
  return { kind: 'document', bytes: body, name: lastPart(pathname), contentType, pointer };
}

const HTML_TYPES = new Set(['text/html', 'application/xhtml+xml']);

function lastPart(pathname: string): string {
  const part = pathname.slice(pathname.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function refusal(url: string, { status, headers }: HttpResponse): SidecarError {
  const waitMs = retryAfterMs(headers, Date.now());
  const asked = waitMs === undefined ? '' : ` and asks to wait ${Math.round(waitMs / 1000)} s`;
  const [code, advice] = STATUS_MEANINGS.get(status) ?? ['source.failed', ''];
  return answerFailure(url, code, `the server answered ${status}${asked}${advice}`, waitMs);
}

const DENIED = 'source.denied';
const DENIED_ADVICE =
  '; HTTP_TOKEN, HTTP_USERNAME with HTTP_PASSWORD, HTTP_HEADERS or HTTP_CERT may let us in';
const STATUS_MEANINGS: ReadonlyMap<number, readonly [code: string, advice: string]> = new Map([
  [401, [DENIED, DENIED_ADVICE]],
  [403, [DENIED, DENIED_ADVICE]],
  [404, ['source.not-found', '; there is nothing under this URL']],
  [410, ['source.not-found', '; there is nothing under this URL any more']],
]);

/** `Cannot GET "<masked url>": <reason>`, of stage `source`. */
export function answerFailure(url: string, code: string, reason: string, waitMs?: number): SidecarError {
  return new SidecarError(`Cannot GET "${maskUrl(url)}": ${reason}`, {
    code,
    stage: 'source',
    ...(waitMs !== undefined && { retryAfterMs: waitMs }),
  });
}
