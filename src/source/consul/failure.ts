// What went wrong with a Consul agent, as a stable code and a sentence.
import type { IncomingMessage } from 'node:http';
import { explainFailure } from '../../lib/http/failure.ts';

/** A failure whose text is for the message, never a secret. */
export class ConsulFailure extends Error {
  readonly code: string;
  /** The message, to which the client library puts words of its own. */
  readonly text: string;

  constructor(code: string, text: string, cause?: unknown) {
    super(text, { cause });
    this.name = 'ConsulFailure';
    this.code = code;
    this.text = text;
  }
}

/** An answer as the client library leaves it: the body read, text decoded, JSON as bytes. */
export interface ConsulResponse extends IncomingMessage {
  readonly body?: unknown;
}

/** Turns what the client library threw into a failure. */
export function explainConsul(thrown: unknown): ConsulFailure {
  if (thrown instanceof ConsulFailure) return thrown;
  const { isTimeout, isResponse, response } = Object(thrown) as Thrown;
  if (isTimeout === true) return new ConsulFailure('source.timeout', 'no answer in time');
  if (isResponse === true && response !== undefined) return refusal(response);
  const { code, reason } = explainFailure(thrown, response !== undefined);
  return new ConsulFailure(SOURCE_CODES[code] ?? 'source.failed', reason, thrown);
}

interface Thrown {
  readonly isTimeout?: boolean;
  readonly isResponse?: boolean;
  /** Also there when the connection broke off after the head of an answer. */
  readonly response?: ConsulResponse;
}

const SOURCE_CODES: Readonly<Record<string, string>> = {
  'http.refused': 'source.unreachable',
  'http.unreachable': 'source.unreachable',
  'http.dns': 'source.unreachable',
  'http.timeout': 'source.timeout',
  'http.reset': 'source.disconnected',
  'http.truncated': 'source.disconnected',
  'http.tls': 'source.tls',
};

/** Consul gives its reason as a sentence of plain text; an HTML page of another server is left out. */
function refusal(response: ConsulResponse): ConsulFailure {
  const status = response.statusCode ?? 0;
  const { body } = response;
  // An HTTPS port that was spoken to in plain HTTP says so without any header.
  const isPlain = /^text\/plain\b/.test(response.headers['content-type'] ?? 'text/plain');
  const words = isPlain && (typeof body === 'string' || Buffer.isBuffer(body)) ? body.toString() : '';
  const said = words.replace(/\s+/g, ' ').trim().slice(0, 300);
  const text = said === '' ? `answered ${status}` : `answered ${status}: ${said}`;
  if (status === 401 || status === 403) return new ConsulFailure('source.denied', text);
  if (/no (?:cluster )?leader/i.test(said)) return new ConsulFailure('source.no-leader', text);
  if (status >= 300 && status < 400) {
    return new ConsulFailure(
      'source.bad-answer',
      `${text}; a redirect is not followed, name the agent itself`,
    );
  }
  return new ConsulFailure(status >= 500 ? 'source.failed' : 'source.bad-answer', text);
}
