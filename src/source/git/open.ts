// A git repository as a source: `ls-remote` at every interval, a shallow fetch only for a new commit.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { errnoOf, SidecarError } from '../../lib/errors.ts';
import { sha256 } from '../../lib/sha256.ts';
import { poll } from '../poll.ts';
import type { Content, Observation, Provider, ProviderOptions } from '../provider.ts';
import { gitEnvironment } from './environment.ts';
import { GitFailure } from './failure.ts';
import { askRemote, type RemoteRef } from './remote.ts';
import { type Contact, Repository } from './repository.ts';
import { type Files, readFiles } from './tree.ts';
import { type GitPlace, withoutCredentials } from './url.ts';

/**
 * Follows a repository. The revision is the commit. With GIT_ALLOWED_SIGNERS a commit counts only when one of them has
 * signed it. Errors: `source.not-found`, `source.denied`, `source.host-key`, `source.tls`, `source.unverified`,
 * `source.ambiguous`, `source.bad-key`, `source.wrong-type`, `source.too-large`, `source.timeout`, `source.disconnected`,
 * `source.unreachable`, `source.redirected`, `source.no-git`, `source.no-space`, `source.failed`.
 */
export function openGit(url: string, place: GitPlace, options: ProviderOptions): Provider {
  const shown = withoutCredentials(url, place);
  return {
    source: shown,
    async *watch(signal) {
      if (signal.aborted) return;
      const temporary = new TemporaryDirectory();
      try {
        yield* poll(reader(place, { options, temporary, name: nameOf(url), shown, signal }), {
          intervalMs: options.updateFrequencyMs,
          signal,
        });
      } finally {
        temporary.remove();
      }
    },
  };
}

/** Several sources of one target have repositories of their own. */
function nameOf(url: string): string {
  return `git-${sha256(url).slice(0, 12)}`;
}

/** For what ssh wants as files, and for the repository where there is no other place; made when it is needed. */
class TemporaryDirectory {
  #path: string | null = null;

  path(): string {
    try {
      this.#path ??= mkdtempSync(join(tmpdir(), 'config-sidecar-git-'));
      return this.#path;
    } catch (thrown) {
      const reason = `no temporary directory can be made in "${tmpdir()}" (${errnoOf(thrown)}); mount an emptyDir there`;
      throw new GitFailure('source.no-space', reason, { cause: thrown });
    }
  }

  remove(): void {
    if (this.#path !== null) rmSync(this.#path, { recursive: true, force: true });
  }
}

interface Reading {
  readonly options: ProviderOptions;
  readonly temporary: TemporaryDirectory;
  /** Of the repository in the directory that survives a restart. */
  readonly name: string;
  readonly shown: string;
  readonly signal: AbortSignal;
}

function reader(
  place: GitPlace,
  { options, temporary, name, shown, signal }: Reading,
): () => Promise<Observation> {
  let repository: Repository | null = null;
  /** The directory may be ours only from some moment on, so it is asked for when something is to be fetched. */
  const current = (): Repository => {
    const folder = options.workDirectory?.() ?? null;
    const path = folder === null ? join(temporary.path(), 'repository.git') : join(folder, name);
    if (repository?.path !== path) repository = new Repository(path);
    return repository;
  };
  let yielded: string | null = null;
  return async () => {
    const endMs = performance.now() + options.fetchTimeoutMs;
    const left = (): number => endMs - performance.now();
    try {
      const contact: Contact = { env: gitEnvironment(place, options, () => temporary.path()), signal, left };
      const ref = await askRemote(place, { ...contact, timeoutMs: left() });
      if (ref.commit === yielded) return { kind: 'same' };
      const { commit, content, note } = await readCommit(current(), { place, ref, options }, contact);
      if (commit === yielded) return { kind: 'same' };
      yielded = commit;
      return { kind: 'snapshot', snapshot: { revision: commit, content, note } };
    } catch (thrown) {
      throw explained(thrown, shown);
    }
  };
}

interface Wanted {
  readonly place: GitPlace;
  readonly ref: RemoteRef;
  readonly options: ProviderOptions;
}

async function readCommit(
  repository: Repository,
  { place, ref, options }: Wanted,
  contact: Contact,
): Promise<{ readonly commit: string; readonly content: Content; readonly note: string }> {
  const read = async () => {
    const commit = await repository.pull(place, ref, contact);
    if (
      options.setting('GIT_ALLOWED_SIGNERS') !== undefined &&
      !(await repository.isVerified(commit, contact))
    ) {
      const reason = `the commit ${commit.slice(0, 12)} is not signed by one of GIT_ALLOWED_SIGNERS`;
      throw new GitFailure('source.unverified', reason);
    }
    const question = { commit, path: place.path, maxBytes: options.maxBytes };
    const files = await readFiles(repository, question, contact);
    return { commit, content: contentOf(place, files), note: await repository.describe(commit, contact) };
  };
  try {
    return await read();
  } catch (thrown) {
    // What git complains of without a word of the server may be the local repository; and what earlier fetches have left may fill
    // the disk. Once more, with a new one.
    if (!isFailure(thrown, 'source.failed') && !isFailure(thrown, 'source.no-space')) throw thrown;
    repository.discard();
    if (contact.left() <= 0) throw thrown;
  }
  try {
    return await read();
  } catch (thrown) {
    // STATE_DIR needs its room for other things than half of a fetch.
    if (isFailure(thrown, 'source.no-space')) repository.discard();
    throw thrown;
  }
}

function isFailure(thrown: unknown, code: string): boolean {
  return thrown instanceof GitFailure && thrown.code === code;
}

/** A path that the commit does not have is nothing: unlike a file that is missing on a disk, it was looked for in the whole. */
function contentOf({ isTree, path, pointer }: GitPlace, { kind, entries }: Files): Content {
  if (kind === 'nothing') return { kind: 'nothing' };
  if (isTree) {
    if (kind === 'folder') return { kind: 'tree', entries };
    throw new GitFailure('source.wrong-type', `"${path}" is a file; write path without a slash at its end`);
  }
  if (kind === 'folder') {
    throw new GitFailure(
      'source.wrong-type',
      `"${path}" is a directory; end path with a slash for its files`,
    );
  }
  const bytes = entries[0]?.value ?? new Uint8Array();
  if (bytes.length === 0) return { kind: 'nothing' };
  return { kind: 'document', bytes, name: basename(path), contentType: null, pointer };
}

function explained(thrown: unknown, shown: string): unknown {
  if (!(thrown instanceof GitFailure)) return thrown;
  return new SidecarError(`Cannot read git repository "${shown}": ${thrown.message}`, {
    code: thrown.code,
    stage: 'source',
    cause: thrown.cause,
  });
}
