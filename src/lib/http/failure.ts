// Turns what went wrong with an HTTP exchange into one of our errors: a stable code, a reason, and no header or body.
import { errnoOf, SidecarError, type Stage } from '../errors.ts';
import { maskUrl } from '../mask.ts';

/** Names one exchange in a message: never more than the method and the masked URL. */
export interface ExchangeName {
  readonly method: string;
  readonly url: string;
  readonly stage?: Stage;
}

/** `Cannot GET "http://host/path": <reason>`. */
export function httpFailure(exchange: ExchangeName, code: string, reason: string): SidecarError {
  const message = `Cannot ${exchange.method} "${maskUrl(exchange.url)}": ${reason}`;
  return new SidecarError(message, { code, stage: exchange.stage ?? 'source' });
}

/** What a socket, TLS or parser error means. `answered`: the head of the answer had come already. */
export function explainFailure(
  thrown: unknown,
  answered: boolean,
): { readonly code: string; readonly reason: string } {
  const errno = errnoOf(thrown) ?? '';
  const tls = tlsReason(thrown, errno);
  if (tls !== null) return { code: 'http.tls', reason: tls };
  if (answered) return { code: 'http.truncated', reason: 'the connection ended in the middle of the answer' };
  const known = BY_ERRNO[errno];
  if (known !== undefined) return known;
  if (errno.startsWith('HPE_')) return { code: 'http.protocol', reason: `the answer is not HTTP (${errno})` };
  return {
    code: 'http.failed',
    reason: errno === '' ? 'the request failed' : `the request failed (${errno})`,
  };
}

const UNREACHABLE = { code: 'http.unreachable', reason: 'no route to the host' };
const RESET = { code: 'http.reset', reason: 'the connection was closed before an answer' };

const BY_ERRNO: Readonly<Record<string, { readonly code: string; readonly reason: string }>> = {
  ECONNREFUSED: { code: 'http.refused', reason: 'connection refused' },
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  EADDRNOTAVAIL: UNREACHABLE,
  ECONNRESET: RESET,
  EPIPE: RESET,
  ETIMEDOUT: { code: 'http.timeout', reason: 'no connection in time' },
  ENOTFOUND: { code: 'http.dns', reason: 'the host name is not known' },
  EAI_AGAIN: { code: 'http.dns', reason: 'the host name could not be looked up' },
  ERR_INVALID_CHAR: { code: 'http.request', reason: 'a header holds a character that HTTP does not allow' },
};

/** Verification errors carry OpenSSL's own names, handshake errors a `reason` of a few words. */
function tlsReason(thrown: unknown, errno: string): string | null {
  if (
    /CERT|^UNABLE_TO_(?:GET|VERIFY|DECODE|DECRYPT)|^HOSTNAME_MISMATCH|^INVALID_(?:CA|PURPOSE)/.test(errno)
  ) {
    if (!errno.startsWith('ERR_SSL'))
      return `the server's certificate is not accepted: ${whyNotAccepted(errno)} (${errno})`;
  }
  if (!/^(?:ERR_SSL|ERR_TLS|ERR_OSSL|EPROTO)/.test(errno)) return null;
  const reason = opensslReason(thrown) ?? errno;
  // What OpenSSL makes of an answer in plain HTTP.
  const isPlain = /wrong version number|packet length too long/.test(reason);
  return `TLS failed: ${reason}${isPlain ? ' (does the server speak plain HTTP there?)' : ''}`;
}

function whyNotAccepted(errno: string): string {
  if (/ALTNAME|HOSTNAME_MISMATCH/.test(errno)) return 'it is for another host name';
  if (errno === 'CERT_HAS_EXPIRED') return 'it has expired';
  if (errno === 'CERT_NOT_YET_VALID') return 'it is not valid yet, or the clock here is wrong';
  if (/SELF_SIGNED|^UNABLE_TO_(?:GET|VERIFY)/.test(errno))
    return 'no authority that is trusted here signed it';
  return 'it cannot be verified';
}

function opensslReason(thrown: unknown): string | null {
  const original = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (!(original instanceof Error)) return null;
  if ('reason' in original && typeof original.reason === 'string') return original.reason;
  // `write EPROTO 80…:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../deps/…`
  return /:error:[\dA-F]+:[^:]*:[^:]*:([^:]+)/.exec(original.message)?.[1] ?? null;
}
