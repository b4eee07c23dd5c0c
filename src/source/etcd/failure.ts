// What etcd, gRPC or TLS said went wrong, as a stable code and a sentence.

export interface Reason {
  readonly code: string;
  readonly text: string;
}

/** An etcd that answered something that ends the watch; `reason` is for the message, never a secret. */
export class EtcdFailure extends Error {
  readonly reason: Reason;

  constructor(code: string, text: string) {
    super(text);
    this.name = 'EtcdFailure';
    this.reason = { code, text };
  }
}

const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

const BY_TEXT: readonly (readonly [RegExp, string, string | null])[] = [
  [/compacted/, 'source.compacted', 'the revision that was being read has been compacted'],
  [/no leader|leader changed|etcdserver: request timed out|server stopped/, 'source.no-leader', null],
  [/user name is empty/, 'source.denied', 'etcd asks for a user; set ETCDCTL_USER and ETCDCTL_PASSWORD'],
  [
    /authentication failed/,
    'source.denied',
    'user or password are not accepted; check ETCDCTL_USER and ETCDCTL_PASSWORD',
  ],
  [
    /permission denied/,
    'source.denied',
    'the user may not read this; grant it, or give another ETCDCTL_USER',
  ],
  // Says nothing about the user: the next watch logs in again.
  [/invalid auth token|auth store is old/, 'source.disconnected', null],
  [/invalid auth|user name|auth.* enabled/, 'source.denied', null],
  [/^TLS failed: /, 'source.tls', null],
  [
    /before secure TLS connection/,
    'source.disconnected',
    'the connection was closed before TLS was agreed on; is it etcd:// without TLS?',
  ],
  [
    /Protocol error/,
    'source.disconnected',
    'the connection was closed (protocol error); is this an etcd, and does it ask for TLS (etcds://)?',
  ],
  [/certificate|self-signed|altname/i, 'source.tls', null],
  [/Name resolution failed|ENOTFOUND|EAI_AGAIN/, 'source.unreachable', 'the host name is not known'],
  [/ECONNREFUSED/, 'source.unreachable', 'connection refused'],
  [/EHOSTUNREACH|ENETUNREACH/, 'source.unreachable', 'no route to the host'],
  [/keepalive|ping timeout/i, 'source.timeout', 'the connection went silent'],
  // What gRPC says both of a peer that hung up and of one that answered no ping.
  [/^Connection dropped$/, 'source.disconnected', 'the connection was closed, or went silent'],
];

/** Turns what a call or stream failed with into a reason. */
export function explainEtcd(thrown: unknown): Reason {
  if (thrown instanceof EtcdFailure) return thrown.reason;
  const details = sentence(thrown);
  const known = BY_TEXT.find(([pattern]) => pattern.test(details));
  if (known !== undefined) return { code: known[1], text: known[2] ?? details };
  switch (grpcCode(thrown)) {
    case DEADLINE_EXCEEDED:
      return { code: 'source.timeout', text: 'no answer in time' };
    case PERMISSION_DENIED:
    case UNAUTHENTICATED:
      return { code: 'source.denied', text: details };
    case RESOURCE_EXHAUSTED:
      return { code: 'source.too-large', text: details };
    case CANCELLED:
    case UNAVAILABLE:
      return { code: 'source.disconnected', text: `the connection was closed (${details})` };
    default:
      return { code: 'source.failed', text: details };
  }
}

function grpcCode(thrown: unknown): number | null {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return null;
  return typeof thrown.code === 'number' ? thrown.code : null;
}

/** gRPC wraps the reason: `No connection established. Last error: Error: connect …. Resolution note: `. */
function sentence(thrown: unknown): string {
  const hasDetails = typeof thrown === 'object' && thrown !== null && 'details' in thrown;
  const text = hasDetails
    ? String(thrown.details)
    : thrown instanceof Error
      ? thrown.message
      : String(thrown);
  return (
    text
      .replace(/^.*Last error: (?:Error: )?/s, '')
      .replace(/\.?\s*Resolution note:.*$/s, '')
      // The time of the attempt would make every repetition look like another failure.
      .replace(/ \(\d{4}-\d\d-\d\dT[^)]*\)/g, '')
      .replace(/^.*:SSL routines:[^:]*:([^:]+):.*$/s, 'TLS failed: $1')
      .replace(/^.*error:[0-9A-F]{8}:[^:]*:[^:]*:([^:]+).*$/s, 'TLS failed: $1')
      .replace(/\s+/g, ' ')
      .trim()
      .slice(0, 300)
  );
}
