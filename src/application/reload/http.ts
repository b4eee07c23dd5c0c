// Notifies the application by an HTTP request; the status of the answer decides the result.
import { toSidecarError } from '../../lib/errors.ts';
import { askedToWait, locationOf } from '../../lib/http/answer-words.ts';
import { type HttpResponse, request, retryAfterMs } from '../../lib/http/http.ts';
import { maskUrl } from '../../lib/mask.ts';
import { includesStatus } from '../../settings/web.ts';
import { TLS_ADVICE } from '../tls.ts';
import type { HttpHook, OwedClass, ReloadContext, ReloadResult } from './hook.ts';

/** What is kept of an answer's body. */
const MAX_BODY_BYTES = 2048;
/** The status says what counts: a body that goes on and on is cut. */
const BODY_MS = 1_000;

/** Sends one request; redirects are not followed. */
export async function httpReload(
  hook: HttpHook,
  context: ReloadContext,
  signal: AbortSignal,
): Promise<ReloadResult> {
  const { method, url, headers, body, timeoutMs, tls } = hook;
  try {
    const response = await request({
      ...{ method, url, headers, timeoutMs, signal, tls: tls?.() ?? {} },
      ...(body !== undefined && { body }),
      maxBytes: MAX_BODY_BYTES,
      truncate: true,
      bodyMs: BODY_MS,
      stage: 'reload',
    });
    return read(response, hook, context);
  } catch (thrown) {
    const { code, message } = toSidecarError(thrown, 'reload');
    const kind = BY_CODE[code] ?? 'unknown';
    return { kind: 'owed', class: kind, code, message: `${message}${ADVICE[code] ?? ''}` };
  }
}

const ADVICE: Readonly<Record<string, string>> = {
  'http.tls': TLS_ADVICE,
  'http.timeout': ' (RELOAD_TIMEOUT)',
};

/** What was not understood at all (`http.timeout`, `http.truncated`, `http.aborted`, …) may have arrived. */
const BY_CODE: Readonly<Record<string, OwedClass>> = {
  'http.refused': 'unavailable',
  'http.unreachable': 'unavailable',
  'http.reset': 'unavailable',
  'http.dns': 'unavailable',
  'http.proxy': 'unavailable',
  'http.tls': 'misconfigured',
  'reload.tls': 'misconfigured',
  'http.protocol': 'misconfigured',
  'http.request': 'misconfigured',
};

function read(response: HttpResponse, hook: HttpHook, context: ReloadContext): ReloadResult {
  const { status, headers, body } = response;
  if (includesStatus(hook.status, status)) {
    return { kind: 'told', evidence: 'answered', process: context.process };
  }
  const kind = classOf(status);
  const advice = kind === 'misconfigured' ? '; check RELOAD_URL, RELOAD_METHOD and RELOAD_HEADERS' : '';
  const asked = kind === 'unavailable' ? askedToWait(headers, Date.now()) : '';
  const wait = kind === 'unavailable' ? retryAfterMs(headers, Date.now()) : undefined;
  return {
    kind: 'owed',
    class: kind,
    code: 'reload.status',
    message: `Cannot ${hook.method} "${maskUrl(hook.url)}": it answered ${status}${locationOf(response, hook.url)}${asked}${advice}`,
    ...(body.length > 0 && { output: body.toString() }),
    ...(wait !== undefined && { retryAfterMs: wait }),
  };
}

const NOT_NOW: ReadonlySet<number> = new Set([408, 409, 425, 429, 502, 503, 504]);
const WRONG_SETTINGS: ReadonlySet<number> = new Set([401, 403, 404, 405]);

function classOf(status: number): OwedClass {
  if (NOT_NOW.has(status)) return 'unavailable';
  return WRONG_SETTINGS.has(status) || (status >= 300 && status < 400) ? 'misconfigured' : 'refused';
}
