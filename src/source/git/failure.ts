// What git's own words mean, as one of our codes and a sentence that says what to do.
import { shownKey } from '../../lib/bounds.ts';

/** Something went wrong with a git source; `message` is a clause. */
export class GitFailure extends Error {
  readonly code: string;

  constructor(code: string, reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.name = 'GitFailure';
    this.code = code;
  }
}

interface Meaning {
  readonly pattern: RegExp;
  readonly code: string;
  readonly reason: string;
}

/** In this order: a server that hides private repositories says "not found" after it has asked for a password. */
const MEANINGS: readonly Meaning[] = [
  {
    pattern: /host key verification failed|no .* host key is known|remote host identification has changed/i,
    code: 'source.host-key',
    reason: 'the host key is not the one in GIT_KNOWN_HOSTS; check the host, or add its key there',
  },
  {
    pattern: /terminal prompts disabled|could not read (?:username|password)/i,
    code: 'source.denied',
    reason: 'the server wants credentials; set GIT_USERNAME and GIT_PASSWORD',
  },
  {
    pattern: /authentication failed|invalid credentials|requested url returned error: 40[13]/i,
    code: 'source.denied',
    reason: 'the server refuses the credentials; check GIT_USERNAME, GIT_PASSWORD and their rights',
  },
  {
    pattern: /permission denied \(|too many authentication failures|load key|error in libcrypto/i,
    code: 'source.denied',
    reason: 'the server refuses the key; check GIT_SSH_KEY and the user in the URL',
  },
  {
    pattern: /ssl certificate problem|server certificate verification failed|certificate verify|tls/i,
    code: 'source.tls',
    reason: 'the certificate of the server is not trusted; set GIT_SSL_CAINFO to the CA that signed it',
  },
  {
    pattern: /could not resolve host|name or service not known|temporary failure in name resolution/i,
    code: 'source.unreachable',
    reason: 'the host name is unknown',
  },
  {
    pattern: /redirect|returned error: 30\d/i,
    code: 'source.redirected',
    reason: 'the server redirects; use the final URL',
  },
  {
    pattern: /connection refused|failed to connect|couldn't connect|no route to host|network is unreachable/i,
    code: 'source.unreachable',
    reason: 'nothing answers there',
  },
  {
    pattern: /connection timed out|operation timed out/i,
    code: 'source.timeout',
    reason: 'no answer in time',
  },
  {
    pattern: /no space left on device|disk quota exceeded/i,
    code: 'source.no-space',
    reason: 'the disk of STATE_DIR is full',
  },
  {
    pattern: /couldn't find remote ref|not our ref|did not send all necessary objects/i,
    code: 'source.not-found',
    reason: 'the repository does not have this commit, or does not give it out',
  },
  {
    pattern: /not found|does not appear to be a git repository|does not exist|no such file or directory/i,
    code: 'source.not-found',
    reason: 'there is no such repository, or these credentials do not show it',
  },
  {
    pattern:
      /early eof|hung up|rpc failed|connection reset|unexpected disconnect|connection closed|broken pipe/i,
    code: 'source.disconnected',
    reason: 'the connection was cut',
  },
];

/** The failure that git's standard error speaks of; what is unknown is quoted. */
export function gitFailure(errors: string): GitFailure {
  const meaning = MEANINGS.find(({ pattern }) => pattern.test(errors));
  if (meaning !== undefined) return new GitFailure(meaning.code, meaning.reason);
  const line = errors
    .split('\n')
    .map((one) => one.trim())
    .find((one) => /^(?:fatal|error):/.test(one));
  return new GitFailure(
    'source.failed',
    `git says: ${shownKey(line ?? errors.trim().split('\n')[0] ?? 'nothing')}`,
  );
}
