// An HTTP address as a source: conditional GET at every interval, credentials read anew for each.
import { SidecarError } from '../src/lib/errors.ts';
import { type HttpClient, openClient } from '../src/lib/http/http.ts';
import { maskUrl } from '../src/lib/mask.ts';
import {
  type Answer,
  answerFailure,
  type Cursor,
  conditions,
  isDoubtful,
  understand,
} from '../src/source/http-answer.ts';
import {
  type Credentials,
  credentialHeaders,
  identityProblem,
  readIdentity,
} from '../src/source/http-credentials.ts';
import { poll } from '../src/source/poll.ts';
import type { Observation, OpenProvider, ProviderOptions } from '../src/source/provider.ts';

/**
 * `http://…` or `https://…`; a fragment is a JSON Pointer and is not sent. The revision is the ETag, else a digest.
 * Redirects are followed within the origin. An HTML page is refused unless the path asks for one. Errors:
 * `source.not-found` (404, 410), `source.denied` (401, 403), `source.failed` (any other status), `source.redirected`,
 * `source.wrong-type`, `source.unreachable`, `source.timeout`, `source.tls`, `source.truncated`, `source.too-large`,
 * `source.proxy`.
 */
export const openHttp: OpenProvider = (url, options) => {
  const target = parse(url);
  credentialHeaders(options.setting, { userinfo: target.userinfo, stage: 'settings' });
  const problem = identityProblem(options.setting, new URL(target.url).protocol);
  if (problem !== null) throw unusable(url, problem);
  return {
    source: maskUrl(url),
    async *watch(signal) {
      const client = openClient();
      try {
        let cursor: Cursor | null = null;
        const read = async (): Promise<Observation> => {
          const answer = await askTwiceInDoubt({ target, options, client, signal, cursor });
          const { observation, next } = understand(answer, target.pointer, cursor);
          cursor = next;
          return observation;
        };
        yield* poll(read, { intervalMs: options.updateFrequencyMs, signal });
      } finally {
        client.close();
      }
    },
  };
};

interface Target {
  /** Without credentials and fragment. */
  readonly url: string;
  readonly userinfo: Credentials | null;
  readonly pointer: string | null;
}

interface Asking {
  readonly target: Target;
  readonly options: ProviderOptions;
  readonly client: HttpClient;
  readonly signal: AbortSignal;
  readonly cursor: Cursor | null;
}

/** An answer that may have been cut is believed when it comes twice alike. */
async function askTwiceInDoubt(asking: Asking): Promise<Answer> {
  const answer = await ask(asking);
  if (!isDoubtful(answer.response, asking.cursor)) return answer;
  const again = await ask({ ...asking, cursor: null });
  if (again.response.status === 200 && again.response.body.equals(answer.response.body)) return again;
  const reason = 'the answer has no length, and came out differently when it was asked for again';
  throw answerFailure(again.url, 'source.truncated', reason);
}

const MAX_REDIRECTS = 5;

async function ask({ target, options, client, signal, cursor }: Asking): Promise<Answer> {
  const endMs = performance.now() + options.fetchTimeoutMs;
  const credentials = credentialHeaders(options.setting, { userinfo: target.userinfo, stage: 'source' });
  const tls = readIdentity(options.setting);
  let url = target.url;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const response = await client
      .request({
        method: 'GET',
        url,
        headers: [...credentials, ...conditions(url, cursor)],
        timeoutMs: Math.max(1, Math.ceil(endMs - performance.now())),
        maxBytes: options.maxBytes,
        signal,
        tls,
        proxyEnv: options.proxyEnv,
      })
      .catch((thrown: unknown) => {
        throw asSourceError(thrown);
      });
    const location = response.headers['location'];
    if (!REDIRECTS.has(response.status) || location === undefined) return { url, response };
    url = redirected(url, location);
  }
  throw answerFailure(url, 'source.redirected', `it redirects more than ${MAX_REDIRECTS} times`);
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

function redirected(from: string, location: string): string {
  const next = URL.canParse(location, from) ? new URL(location, from) : null;
  if (next === null)
    throw answerFailure(from, 'source.redirected', 'it redirects to something that is no URL');
  const origin = new URL(from).origin;
  if (next.origin !== origin) {
    const reason = `it redirects from ${origin} to ${next.origin}, another origin, which is not followed`;
    throw answerFailure(
      from,
      'source.redirected',
      `${reason}; give the new URL as the source if that is right`,
    );
  }
  next.hash = '';
  next.username = '';
  next.password = '';
  return next.href;
}

const SOURCE_CODES: ReadonlyMap<string, string> = new Map([
  ['http.refused', 'source.unreachable'],
  ['http.unreachable', 'source.unreachable'],
  ['http.reset', 'source.unreachable'],
  ['http.dns', 'source.unreachable'],
  ['http.timeout', 'source.timeout'],
  ['http.tls', 'source.tls'],
  ['http.proxy', 'source.proxy'],
  ['http.truncated', 'source.truncated'],
  ['http.too-large', 'source.too-large'],
]);

const ADVICE: ReadonlyMap<string, string> = new Map([
  ['source.tls', '; HTTP_CACERT, HTTP_CERT and HTTP_KEY name the files for it'],
  ['source.too-large', '; raise MAX_SIZE'],
]);

/** All sources speak of the same trouble with the same codes. */
function asSourceError(thrown: unknown): unknown {
  if (!(thrown instanceof SidecarError) || !thrown.code.startsWith('http.')) return thrown;
  const code = SOURCE_CODES.get(thrown.code) ?? 'source.failed';
  return new SidecarError(thrown.message + (ADVICE.get(code) ?? ''), { code, stage: 'source' });
}

function parse(url: string): Target {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol))
    throw unusable(url, 'it must read http://host/path or https://host/path');
  const pointer = parsed.hash === '' ? null : decode(parsed.hash.slice(1));
  if (pointer !== null && !pointer.startsWith('/'))
    throw unusable(url, 'what follows # must be a JSON Pointer, like #/data/web');
  const hasUser = parsed.username !== '' || parsed.password !== '';
  const userinfo = hasUser ? { username: decode(parsed.username), password: decode(parsed.password) } : null;
  parsed.hash = '';
  parsed.username = '';
  parsed.password = '';
  return { url: parsed.href, userinfo, pointer };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function unusable(url: string, reason: string): SidecarError {
  return new SidecarError(`Cannot use source "${maskUrl(url)}": ${reason}`, {
    code: 'settings.source',
    stage: 'settings',
  });
}
