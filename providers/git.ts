// A git repository: a tree of files or one document of a branch, a tag or a commit.
import { GIT_SCHEMES, parseGitUrl } from '../src/source/git/url.ts';
import type { SourceKind, SourceUrl } from '../src/source/provider.ts';

export const git = {
  name: 'a git repository',
  schemes: GIT_SCHEMES,
  form: '`git+https://host/repo.git?ref=main&path=web/`, `git+ssh://…`, `git+file:///…`',
  settings: {
    GIT_USERNAME: { kind: 'text', meaning: 'user name of a git repository over HTTPS' },
    GIT_PASSWORD: {
      kind: 'text',
      meaning: 'password or token of a git repository over HTTPS',
      secret: 'whole',
    },
    GIT_SSL_CAINFO: {
      kind: 'path',
      meaning: 'certificate authorities a git server is checked against (PEM)',
    },
    GIT_SSH_KEY: { kind: 'text', meaning: 'private key for a git repository over SSH', secret: 'whole' },
    GIT_KNOWN_HOSTS: {
      kind: 'path',
      meaning: 'host keys a git server is checked against (`known_hosts`); required for SSH',
    },
    GIT_ALLOWED_SIGNERS: {
      kind: 'path',
      meaning: 'only commits that one of these SSH keys has signed count (`allowed_signers` of ssh-keygen)',
    },
  },
  unread: {
    GIT_SSH_COMMAND: 'The sidecar makes its own: set GIT_SSH_KEY and GIT_KNOWN_HOSTS.',
    GIT_SSL_NO_VERIFY: 'The server is always verified; name its authority in GIT_SSL_CAINFO.',
    GIT_ASKPASS: 'Nothing is asked: set GIT_USERNAME and GIT_PASSWORD.',
  },
  advice: {
    'source.denied': 'Check GIT_USERNAME and GIT_PASSWORD, or GIT_SSH_KEY, and what they may read.',
    'source.host-key':
      'Put the output of "ssh-keyscan HOST", checked by hand, into the file of GIT_KNOWN_HOSTS.',
    'source.tls': 'Set GIT_SSL_CAINFO to the authority that signed the certificate of the server.',
    'source.unverified': 'Sign the commit with a key of GIT_ALLOWED_SIGNERS; the last verified one stays.',
    'source.no-git': 'Use the image with git, or install git where the sidecar runs.',
  },
  whenEmpty: 'check path in the URL (a tree of files ends with "/", a single file does not)',
  parseUrl: (text): SourceUrl => {
    const place = parseGitUrl(text);
    return {
      kind: git,
      text,
      path: null,
      settingsMistakes: (given) =>
        place.transport === 'ssh' && !given.has('GIT_KNOWN_HOSTS')
          ? ['Set GIT_KNOWN_HOSTS: a git source over SSH needs the host keys that are trusted.']
          : [],
      load: async () => {
        const { openGit } = await import('../src/source/git/open.ts');
        return (options) => openGit(text, place, options);
      },
    };
  },
  // What GitHub and others show for a clone. Any other user may be a token.
  suggestUrl: (text): string | undefined => {
    const [, host, path] = /^git@([\w.-]+):([\w.~/-]+)$/.exec(text) ?? [];
    return host === undefined ? undefined : `git+ssh://git@${host}/${path}`;
  },
} as const satisfies SourceKind;
