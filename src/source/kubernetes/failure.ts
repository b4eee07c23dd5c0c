// What went wrong with the Kubernetes API, as one of our codes and a sentence that says what to do.
import { shownKey } from '../../lib/bounds.ts';
import { SidecarError } from '../../lib/errors.ts';
import { askedToWait } from '../../lib/http/answer-words.ts';
import { type HttpResponse, retryAfterMs } from '../../lib/http/http.ts';
import type { KubernetesPlace } from './url.ts';

/** Something went wrong; `message` is a clause, and never holds a secret. */
export class KubernetesFailure extends Error {
  readonly code: string;
  /** How long the server asked us to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: string,
    reason: string,
    options: { readonly cause?: unknown; readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(reason, { cause: options.cause });
    this.name = 'KubernetesFailure';
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** What was asked for, as far as a sentence needs it. */
export interface Question {
  readonly verb: 'list' | 'watch';
  readonly place: KubernetesPlace;
  readonly namespace: string;
}

/** The object that the API sends instead of what was asked for. */
interface Status {
  readonly message: string;
  readonly code: number;
}

/** Reads a `Status` object; null when it is something else. */
export function statusOf(parsed: unknown): Status | null {
  if (typeof parsed !== 'object' || parsed === null || !('kind' in parsed) || parsed.kind !== 'Status')
    return null;
  const { message, code } = parsed as { readonly message?: unknown; readonly code?: unknown };
  return { message: typeof message === 'string' ? message : '', code: typeof code === 'number' ? code : 0 };
}

/** The failure that an answer with another status than 200 is. */
export function refusal(
  { status, headers }: Pick<HttpResponse, 'status' | 'headers'>,
  said: Status | null,
  question: Question,
): KubernetesFailure {
  const nowMs = Date.now();
  const waitMs = retryAfterMs(headers, nowMs);
  const words = said === null || said.message === '' ? '' : `: ${shownKey(said.message)}`;
  switch (status) {
    case 401:
      return new KubernetesFailure('source.denied', `the API server does not accept our credentials (401)`);
    case 403:
      return new KubernetesFailure('source.denied', forbidden(said?.message ?? '', question));
    case 404:
      return new KubernetesFailure(
        'source.not-found',
        'the server answered 404 for a path that every Kubernetes API has; is it one?',
      );
    case 410:
      return new KubernetesFailure('source.compacted', `the version that was being followed is gone${words}`);
    default: {
      const isRedirect = status >= 300 && status < 400;
      const reason = `the API server answered ${status}${words}${askedToWait(headers, nowMs)}`;
      return new KubernetesFailure(isRedirect ? 'source.redirected' : 'source.failed', reason, {
        retryAfterMs: waitMs,
      });
    }
  }
}

/** `configmaps is forbidden: User "system:serviceaccount:prod:web" cannot list resource …` */
function forbidden(message: string, { verb, place, namespace }: Question): string {
  const [, user] = /User "([^"]{1,200})"/.exec(message) ?? [];
  const { resource, wanted } = place;
  const what =
    wanted.kind === 'name'
      ? `${resource} "${wanted.name}"`
      : `${resource} with "${shownKey(wanted.selector)}"`;
  const names = wanted.kind === 'name' ? ` and resourceNames [${wanted.name}]` : '';
  const who = user === undefined ? 'our user' : `"${user}"`;
  return (
    `${who} may not ${verb} ${what} in namespace "${namespace}" (403); bind it to a Role with verbs ` +
    `get, list, watch on ${resource}${names} there`
  );
}

const CODES: ReadonlyMap<string, string> = new Map([
  ['http.refused', 'source.unreachable'],
  ['http.unreachable', 'source.unreachable'],
  ['http.dns', 'source.unreachable'],
  ['http.timeout', 'source.timeout'],
  ['http.reset', 'source.disconnected'],
  ['http.truncated', 'source.disconnected'],
  ['http.tls', 'source.tls'],
  ['http.proxy', 'source.proxy'],
  ['http.too-large', 'source.too-large'],
]);

/**
 * An error of the source: everything thrown below it, said about this URL.
 * @param mask takes our credentials out of what the server said.
 */
export function explained(thrown: unknown, shown: string, mask: (text: string) => string): unknown {
  const about = (code: string, reason: string, waitMs?: number): SidecarError =>
    new SidecarError(`Cannot read Kubernetes "${shown}": ${mask(reason)}`, {
      code,
      stage: 'source',
      ...(thrown instanceof Error && { cause: thrown.cause }),
      ...(waitMs !== undefined && { retryAfterMs: waitMs }),
    });
  if (thrown instanceof KubernetesFailure) return about(thrown.code, thrown.message, thrown.retryAfterMs);
  if (!(thrown instanceof SidecarError) || !thrown.code.startsWith('http.')) return thrown;
  const code = CODES.get(thrown.code) ?? 'source.failed';
  const advice = code === 'source.too-large' ? '; raise MAX_SIZE' : '';
  // `Cannot GET "https://10.96.0.1/api/…": connection refused`: which server it was matters more than the path.
  const [, origin = '', reason = thrown.message] =
    /^Cannot GET "(https?:\/\/[^/"]*)[^"]*": (.*)$/s.exec(thrown.message) ?? [];
  return about(code, `${origin}: ${reason}${advice}`);
}
