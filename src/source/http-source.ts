// An HTTP address as a source: conditional GET at every interval, credentials read again for each.
import { SidecarError } from '../lib/errors.ts';
import { type HttpClient, openClient } from '../lib/http/http.ts';
import { maskUrl } from '../lib/mask.ts';
import {
  answerFailure,
  type Cursor,
  conditions,
  type HttpAnswer,
  isDoubtful,
  REDIRECTS,
  understand,
} from './http-answer.ts';
import { credentialHeaders, readIdentity } from './http-credentials.ts';
import type { HttpTarget } from './http-url.ts';
import { poll } from './poll.ts';
import type { Observation, Provider, ProviderOptions } from './provider.ts';

/**
 * Follows one HTTP address. The revision is the ETag, else a digest. Redirects are followed within the origin. An HTML
 * page is refused unless the path asks for one. Throws `settings.source` for credentials that cannot work. Its watch ends
 * with `source.not-found` (404, 410), `source.denied` (401, 403), `source.failed` (any other status),
 * `source.redirected`, `.wrong-type`, `.unreachable`, `.timeout`, `.tls`, `.truncated`, `.too-large` or `.proxy`.
 */
export function openHttp(shown: string, target: HttpTarget, options: ProviderOptions): Provider {
  credentialHeaders(options.setting, { userinfo: target.userinfo, stage: 'settings' });
  return {
    source: maskUrl(shown),
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
}

interface Asking {
  readonly target: HttpTarget;
  readonly options: ProviderOptions;
  readonly client: HttpClient;
  readonly signal: AbortSignal;
  readonly cursor: Cursor | null;
}

/** An answer that may have been cut is accepted after two identical reads. */
async function askTwiceInDoubt(asking: Asking): Promise<HttpAnswer> {
  const answer = await ask(asking);
  if (!isDoubtful(answer.response, asking.cursor)) return answer;
  const again = await ask({ ...asking, cursor: null });
  if (again.response.status === 200 && again.response.body.equals(answer.response.body)) return again;
  const reason = 'the answer has no length, and came out differently when it was asked for again';
  throw answerFailure(again.url, 'source.truncated', reason);
}

const MAX_REDIRECTS = 5;

async function ask({ target, options, client, signal, cursor }: Asking): Promise<HttpAnswer> {
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
    if (!REDIRECTS.includes(response.status) || location === undefined) return { url, response };
    url = redirected(url, location);
  }
  throw answerFailure(url, 'source.redirected', `it redirects more than ${MAX_REDIRECTS} times`);
}

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
