// An API server, and who we are there.
import type { TlsIdentity } from '../../lib/http/http.ts';
import { KubernetesFailure } from './failure.ts';

/** A server and our identity there. */
export interface Cluster {
  /** `https://host:port`, with a path where the server has one; no slash at its end. */
  readonly server: string;
  /** Of the pod or the context. */
  readonly namespace: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly tls: TlsIdentity;
}

/** @throws KubernetesFailure for a token that no header can carry. */
export function bearer(token: string): Cluster['headers'] {
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new KubernetesFailure('source.denied', 'the token is empty, or holds characters that no token has');
  }
  return [['Authorization', `Bearer ${token}`]];
}
