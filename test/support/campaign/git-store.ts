// A bare repository that a campaign writes: each state is one commit, made without a work tree, and history can be rewritten.
import { execFile } from 'node:child_process';
import { existsSync, renameSync } from 'node:fs';
import { createRepository } from '../servers/git.ts';
import type { State } from './history.ts';

/** A commit, and all that its tree holds. */
interface Committed {
  readonly commit: string;
  /** Whole values. */
  readonly state: State;
}

export interface GitStore {
  /** Folder that holds `app.git`. */
  readonly root: string;
  readonly head: () => Committed;
  /** All that were on the branch and are still in the repository, oldest first. */
  readonly past: () => readonly Committed[];
  /** Makes the branch hold this: on top of what is there, or as the first commit of another history; and perhaps a link to elsewhere. */
  readonly commit: (state: State, parent?: 'head' | 'none', link?: string) => Promise<Committed>;
  /** Moves the branch to a commit of its past. */
  readonly reset: (to: Committed) => Promise<void>;
  /** Throws away every commit that no branch leads to, and packs the rest. */
  readonly cleanUp: () => Promise<void>;
  /** What the branch holds, asked of the repository itself. */
  readonly current: () => Promise<State>;
  /** Runs git in the bare repository. */
  readonly git: (words: readonly string[], input?: string) => Promise<string>;
  /** Takes the repository out of the way, or puts it back. */
  readonly away: (isAway: boolean) => void;
  readonly remove: () => void;
}

const BRANCH = 'refs/heads/main';

/** Makes one whose branch `main` has one commit without files. */
export async function createGitStore(): Promise<GitStore> {
  const { root, bare, remove } = createRepository();
  const env = { PATH: process.env['PATH'], GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' };
  // Never in step: the follower runs in this process too.
  const git: GitStore['git'] = (words, input = '') =>
    new Promise((resolve, reject) => {
      const options = { env, maxBuffer: 64 * 1024 * 1024 };
      const child = execFile('git', ['-c', 'core.fsync=none', '-C', bare, ...words], options, (error, out) =>
        error === null ? resolve(out) : reject(error),
      );
      // Most commands end without reading it.
      child.stdin?.on('error', () => undefined).end(input);
    });
  let past: Committed[] = [];
  let count = 0;
  const head = (): Committed => past.at(-1) ?? { commit: '', state: {} };
  const took = (committed: Committed): Committed => {
    past.push(committed);
    return committed;
  };
  const commit: GitStore['commit'] = async (state, parent = 'head', link) => {
    const from = parent === 'none' ? [] : [`from ${head().commit}`];
    count += 1;
    const message = `state ${count}`;
    const lines = [
      `commit ${BRANCH}`,
      'mark :1',
      `committer Test <test@example.com> ${1_700_000_000 + count} +0000`,
      ...data(message),
      ...from,
      'deleteall',
      ...Object.entries(state).flatMap(([key, value]) => [`M 100644 inline ${key}`, ...data(value)]),
      ...(link === undefined ? [] : ['M 120000 inline link', ...data(link)]),
      'get-mark :1',
    ];
    const answer = await git(['fast-import', '--quiet', '--force'], `${lines.join('\n')}\n`);
    const committed = { commit: answer.trim(), state };
    // One that is refused must not be found again in the past.
    return link === undefined ? took(committed) : committed;
  };
  await commit({}, 'none');
  return {
    root,
    head,
    past: () => past,
    commit,
    reset: async (to) => {
      await git(['update-ref', BRANCH, to.commit]);
      took(to);
    },
    cleanUp: async () => {
      past = past.slice(-1);
      await git(['gc', '-q', '--prune=now']);
    },
    current: async () => {
      const listed = (await git(['ls-tree', '-r', '-z', BRANCH])).split('\0').filter((line) => line !== '');
      const found = listed.map(async (line) => {
        const [, id = '', path = ''] = /^\d+ blob ([0-9a-f]+)\t(.+)$/.exec(line) ?? [];
        return [path, await git(['cat-file', 'blob', id])] as const;
      });
      return Object.fromEntries(await Promise.all(found));
    },
    git,
    away: (isAway) => {
      const aside = `${bare}.away`;
      if (isAway) renameSync(bare, aside);
      else if (existsSync(aside)) renameSync(aside, bare);
    },
    remove,
  };
}

/** A block of fast-import: its length, then its bytes. */
function data(text: string): readonly string[] {
  return [`data ${Buffer.byteLength(text)}`, text];
}
