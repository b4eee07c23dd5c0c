// Which commit the repository's server has for a ref: one `ls-remote`, the only thing an unchanged source costs.
import { GitFailure } from './failure.ts';
import { type GitRun, git } from './run.ts';
import { type GitPlace, isHash, uploadPackOf } from './url.ts';

export interface RemoteRef {
  /** What to fetch: a whole ref name, or a hash. */
  readonly name: string;
  /** The commit, as far as the server said so; an annotated tag is followed to its commit. */
  readonly commit: string;
}

const MAX_ANSWER_BYTES = 1024 * 1024;

/**
 * Asks the server.
 * @throws GitFailure `source.not-found` when there is no such ref, `source.ambiguous` when branch and tag have the name.
 */
export async function askRemote(place: GitPlace, run: Omit<GitRun, 'maxBytes'>): Promise<RemoteRef> {
  const { remote, ref } = place;
  const names = ref === null || isHash(ref) ? ['HEAD'] : namesOf(ref);
  const words = [
    'ls-remote',
    '-q',
    ...uploadPackOf(place),
    '--',
    remote,
    ...names.flatMap((name) => [name, `${name}^{}`]),
  ];
  const answer = await git(words, { ...run, maxBytes: MAX_ANSWER_BYTES });
  // A hash needs no answer, but the server has to be there: it is contact.
  if (ref !== null && isHash(ref)) return { name: ref.toLowerCase(), commit: ref.toLowerCase() };
  return choose(ref ?? 'HEAD', names, parse(answer.toString('utf8')));
}

function namesOf(ref: string): readonly string[] {
  return ref.startsWith('refs/') ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`];
}

function parse(answer: string): ReadonlyMap<string, string> {
  const lines = answer.split('\n').map((line) => /^([0-9a-f]{40,64})\t(.+)$/.exec(line));
  return new Map(
    lines.flatMap((match) => (match === null ? [] : [[match[2] ?? '', match[1] ?? ''] as const])),
  );
}

function choose(ref: string, names: readonly string[], found: ReadonlyMap<string, string>): RemoteRef {
  const there = names.filter((name) => found.has(name));
  const [name, other] = there;
  if (name === undefined) {
    throw new GitFailure('source.not-found', `the repository has no branch or tag "${ref}"`);
  }
  if (other !== undefined) {
    const reason = `"${ref}" is a branch and a tag; write ref=${name} or ref=${other}`;
    throw new GitFailure('source.ambiguous', reason);
  }
  return { name, commit: found.get(`${name}^{}`) ?? found.get(name) ?? '' };
}
