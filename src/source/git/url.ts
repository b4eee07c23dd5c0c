// The URL of a git source: where the repository is, which version of it counts, and which part.
import { InvalidValue } from '../../lib/invalid-value.ts';

/** The schemes of a git source. */
export const GIT_SCHEMES = ['git+https', 'git+http', 'git+ssh', 'git+file', 'git'] as const;

export interface GitPlace {
  /** As git takes it, without credentials. */
  readonly remote: string;
  readonly transport: 'https' | 'http' | 'ssh' | 'file' | 'git';
  /** Branch, tag, full hash, or a whole name (`refs/…`); null: what the repository calls HEAD. */
  readonly ref: string | null;
  /** Path in the repository, without slashes at its ends; '' for the whole. */
  readonly path: string;
  /** A tree of files; else one document. */
  readonly isTree: boolean;
  readonly pointer: string | null;
  /** From the URL; GIT_USERNAME and GIT_PASSWORD beat it. */
  readonly credentials: { readonly username: string; readonly password: string };
}

/** Reads `git+https://host/repo.git?ref=main&path=web/`. @throws InvalidValue, which never repeats the URL. */
export function parseGitUrl(url: string): GitPlace {
  const parsed = URL.canParse(url) ? new URL(url) : refuse('the URL is malformed');
  const transport = transportOf(parsed);
  for (const name of parsed.searchParams.keys()) {
    if (name !== 'ref' && name !== 'path')
      refuse(`the parameter "${name}" is unknown; there are ref and path`);
  }
  const path = parsed.searchParams.get('path') ?? '/';
  const ref = parsed.searchParams.get('ref');
  if (ref !== null && !isRef(ref)) refuse('ref must be a branch, a tag, or a full commit hash');
  const parts = path.split('/').filter((part) => part !== '');
  if (parts.some((part) => part === '.' || part === '..')) refuse('path must not contain "." or ".."');
  const pointer = parsed.hash === '' ? null : decodeURIComponent(parsed.hash.slice(1));
  const isTree = path.endsWith('/');
  if (pointer !== null && isTree) refuse('a part after "#" needs one document: end path with a file name');
  return {
    remote: remoteOf(parsed, transport),
    transport,
    ref,
    path: parts.join('/'),
    isTree,
    pointer,
    credentials: {
      username: transport === 'ssh' ? '' : decodeURIComponent(parsed.username),
      password: decodeURIComponent(parsed.password),
    },
  };
}

function transportOf({ protocol, hostname, pathname }: URL): GitPlace['transport'] {
  const scheme = protocol.slice(0, -1);
  const known = GIT_SCHEMES.find((one) => one === scheme);
  if (known === undefined) return refuse(`it must begin with ${GIT_SCHEMES.join('://, ')}://`);
  const transport = known === 'git' ? 'git' : (known.slice('git+'.length) as GitPlace['transport']);
  if (transport !== 'file' && hostname === '') refuse('the URL names no host');
  if (transport === 'file' && hostname !== '') refuse('a file URL has three slashes: git+file:///path');
  if (pathname === '' || pathname === '/') refuse('the URL names no repository');
  return transport;
}

function remoteOf({ host, username, pathname }: URL, transport: GitPlace['transport']): string {
  const user = transport === 'ssh' && username !== '' ? `${username}@` : '';
  return `${transport}://${user}${host}${pathname}`;
}

/**
 * Words for `ls-remote` and `fetch`: a repository on a disk may belong to another user, as a mounted one does. The other process
 * that git starts for it takes this from no environment.
 */
export function uploadPackOf({ transport }: GitPlace): readonly string[] {
  return transport === 'file' ? ["--upload-pack=git -c 'safe.directory=*' upload-pack"] : [];
}

/** Rules of git for names, as far as they keep a name from being an option or a pattern. */
function isRef(ref: string): boolean {
  return (
    /^[^\s~^:?*[\\\x00-\x1f\x7f-]([^\s~^:?*[\\\x00-\x1f\x7f]*)$/.test(ref) &&
    !/\.\.|@\{|\/\/|\/$|\.lock$/.test(ref)
  );
}

/** Whether it is a whole hash, which names one commit for ever. */
export function isHash(ref: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i.test(ref);
}

/** The URL as it may be shown: the user of ssh is a name and stays. */
export function withoutCredentials(url: string, { transport }: GitPlace): string {
  return transport === 'ssh'
    ? url.replace(/(\/\/[^/?#:@]*):[^/?#]*@/, '$1@')
    : url.replace(/\/\/[^/?#]*@/, '//');
}

function refuse(reason: string): never {
  throw new InvalidValue(reason);
}
