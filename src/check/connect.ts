// A connection that says nothing: name, way, port and TLS are tried, and the other side is asked for nothing.
import * as net from 'node:net';
import * as tls from 'node:tls';
import { SidecarError } from '../lib/errors.ts';
import { explainFailure } from '../lib/http/failure.ts';
import type { TlsIdentity } from '../lib/http/http.ts';
import { hostOf, portOf } from '../lib/http/proxy.ts';
import { secureContext } from '../lib/http/route.ts';

/** What to do about certificates between us and the application, by the code of the error: of its hook and of CONFIRM_URL. */
export const TLS_ADVICE: Readonly<Record<string, string>> = {
  'http.tls':
    'Set RELOAD_CACERT to the authority that signed its certificate. If the certificate is for another name, use that name in the URL. If the server asks for a client certificate, set RELOAD_CERT and RELOAD_KEY.',
  'reload.tls': 'Correct the file, or the setting that names it.',
};

/** More would only keep a person waiting: a port that is open answers at once. */
const MAX_WAIT_MS = 5_000;

export interface Connecting {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** What a server with TLS is checked against, and shown. */
  readonly identity: TlsIdentity;
}

/**
 * Resolves when the server of an `http:` or `https:` URL has accepted a connection, which is ended at once.
 * @throws SidecarError with a code of `http.ts`; its message is a clause: `connection refused`.
 */
export function connectTo(url: URL, { timeoutMs, signal, identity }: Connecting): Promise<void> {
  const waitMs = Math.min(timeoutMs, MAX_WAIT_MS);
  return new Promise((resolve, reject) => {
    const socket = open(url, identity, resolve);
    const refuse = (code: string, message: string): void =>
      reject(new SidecarError(message, { code, stage: 'reload' }));
    const abort = (): void => {
      socket.destroy();
      refuse('http.aborted', 'given up because we were asked to stop');
    };
    const timer = setTimeout(() => {
      socket.destroy();
      refuse('http.timeout', `no connection within ${waitMs / 1000} s`);
    }, waitMs);
    signal.addEventListener('abort', abort, { once: true });
    socket.on('error', (thrown) => {
      const { code, reason } = explainFailure(firstOf(thrown), false);
      refuse(code, reason);
    });
    socket.on('close', () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    });
  });
}

/** With TLS 1.3 a server refuses our certificate, or that there is none, only after we believe to be connected. */
const REFUSES_WITHIN_MS = 300;

function open(url: URL, identity: TlsIdentity, onConnected: () => void): net.Socket {
  const place = { host: hostOf(url), port: Number(portOf(url)) };
  const isName = net.isIP(place.host) === 0;
  const end = (): void => {
    onConnected();
    socket.destroy();
  };
  if (url.protocol !== 'https:') {
    const socket = net.connect(place, () => {
      onConnected();
      socket.destroy();
    });
    return socket;
  }
  const secure = { ...place, ...secureContext(identity), ...(isName && { servername: place.host }) };
  const socket = tls.connect(secure, () => {
    // What it sends once it has accepted us.
    const timer = setTimeout(end, REFUSES_WITHIN_MS);
    socket.once('session', end).once('close', () => clearTimeout(timer));
  });
  return socket;
}

/** A name with several addresses fails with all their errors in one. */
function firstOf(thrown: Error): unknown {
  return thrown instanceof AggregateError ? thrown.errors[0] : thrown;
}
