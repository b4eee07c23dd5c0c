// Tells the application by an HTTP request, and reads its answer as the contract's table does.
import { toSidecarError } from '../../lib/errors.ts';
import { type HttpResponse, request, retryAfterMs } from '../../lib/http/http.ts';
import { maskUrl } from '../../lib/mask.ts';
import { includesStatus } from '../../settings/web.ts';
import type { HttpHook, OwedClass, ReloadContext, ReloadResult } from './hook.ts';

/** What is kept of an answer's body. */
const MAX_BODY_BYTES = 2048;

/** Sends one request; redirects are not followed. */
export async function httpReload(
  hook: HttpHook,
  context: ReloadContext,
  signal: AbortSignal,
): Promise<ReloadResult> {
  const { method, url, headers, body, timeoutMs } = hook;
  try {
    const response = await request({
      ...{ method, url, headers, timeoutMs, signal },
      ...(body !== undefined && { body }),
      maxBytes: MAX_BODY_BYTES,
      truncate: true,
      stage: 'reload',
    });
    return read(response, hook, context);
  } catch (thrown) {
    const { code, message } = toSidecarError(thrown, 'reload');
    return { kind: 'owed', class: BY_CODE[code] ?? 'unknown', code, message };
  }
}

/** What was not understood at all (`http.timeout`, `http.truncated`, `http.aborted`, …) may have arrived. */
const BY_CODE: Readonly<Record<string, OwedClass>> = {
  'http.refused': 'unavailable',
  'http.unreachable': 'unavailable',
  'http.reset': 'unavailable',
  'http.dns': 'unavailable',
  'http.proxy': 'unavailable',
  'http.tls': 'misconfigured',
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
  const wait = kind === 'unavailable' ? retryAfterMs(headers, Date.now()) : undefined;
  return {
    kind: 'owed',
    class: kind,
    code: 'reload.status',
    message: `Cannot ${hook.method} "${maskUrl(hook.url)}": it answered ${status}${advice}`,
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
