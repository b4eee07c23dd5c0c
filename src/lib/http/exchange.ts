// One HTTP exchange: what is asked, and what comes back.
import type { Stage } from '../errors.ts';
import type { ProxyEnv } from './proxy.ts';

/** PEM material of one TLS identity. */
export interface TlsIdentity {
  /** Replaces the system's authorities. */
  readonly ca?: string | Uint8Array;
  readonly cert?: string | Uint8Array;
  readonly key?: string | Uint8Array;
}

export interface HttpRequest {
  readonly method: string;
  /** `http:` or `https:`; the part before `@` is sent as Basic credentials, a fragment is not sent. */
  readonly url: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string | Uint8Array;
  /** From the first byte sent to the last byte read; slow progress does not extend it. */
  readonly timeoutMs: number;
  /** Bound of the body, after decompression. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  readonly tls?: TlsIdentity;
  /** Default: none, which is to say no proxy. */
  readonly proxyEnv?: ProxyEnv;
  /** A body beyond `maxBytes` is cut instead of refused, and no compression is asked for: for hooks. Default false. */
  readonly truncate?: boolean;
  /** With `truncate`: a body that has not ended so long after its head is cut as well. Default: the whole of `timeoutMs`. */
  readonly bodyMs?: number;
  /** Whose error a failure is. Default `source`. */
  readonly stage?: Stage;
}

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
  /** The body goes on: see `HttpRequest.truncate`. */
  readonly isCut?: boolean;
}
