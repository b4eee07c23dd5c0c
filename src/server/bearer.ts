// Who may control the sidecar over the network, and see everything: a client that sends CONTROL_TOKEN.
import { createHash, timingSafeEqual } from 'node:crypto';
import { type ControlAction, VERBS } from './control.ts';

/** Why a request is refused, as the answer says it. */
export interface Denial {
  readonly status: 401 | 403;
  readonly code: string;
  readonly message: string;
}

/**
 * Why the request may not control the sidecar; null: it may. A page in a browser may not: it has no token, and nothing here
 * is permitted to other origins.
 * @param header the request's `Authorization`.
 * @param token CONTROL_TOKEN as it is now; throws where its file cannot be read.
 */
export function checkBearer(
  action: ControlAction,
  header: string | undefined,
  token: () => string | undefined,
): Denial | null {
  const wanted = readToken(token);
  const cannot = `Cannot ${VERBS[action]} over HTTP`;
  const instead = `the Unix socket in STATE_DIR answers without one ("config-sidecar ${action}")`;
  if (wanted === 'unreadable') {
    const message = `${cannot}: the file with CONTROL_TOKEN cannot be used at the moment; ${instead}.`;
    return { status: 403, code: 'control.token-unreadable', message };
  }
  if (wanted === undefined) {
    const message = `${cannot}: CONTROL_TOKEN is not set; ${instead}.`;
    return { status: 403, code: 'control.no-token', message };
  }
  if (sends(header, wanted.token)) return null;
  const message = `${cannot}: the request needs "Authorization: Bearer" with the CONTROL_TOKEN.`;
  return { status: 401, code: 'control.token', message };
}

/** Whether the request brings CONTROL_TOKEN, with which it may see everything. */
export function hasToken(header: string | undefined, token: () => string | undefined): boolean {
  // Its file is read again for a request that brings a token, and for no other.
  if (header === undefined) return false;
  const wanted = readToken(token);
  return typeof wanted === 'object' && sends(header, wanted.token);
}

function sends(header: string | undefined, token: string): boolean {
  const [, sent = null] = /^Bearer +([^ ].*)$/is.exec(header ?? '') ?? [];
  return sent !== null && isSame(sent, token);
}

function readToken(token: () => string | undefined): { readonly token: string } | 'unreadable' | undefined {
  try {
    const text = token();
    return text === undefined ? undefined : { token: text };
  } catch {
    // The reason names a path, which is not for every client.
    return 'unreadable';
  }
}

/** Takes the same time for every text of a length, and shows nothing of the length of ours. */
function isSame(sent: string, wanted: string): boolean {
  return timingSafeEqual(digestOf(sent), digestOf(wanted));
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
