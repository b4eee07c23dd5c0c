// The local, bare repository: it holds the commits that were fetched, and is thrown away whenever it looks damaged.
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { GitFailure } from './failure.ts';
import type { RemoteRef } from './remote.ts';
import { type GitRun, git, gitSucceeds } from './run.ts';

/** What one contact may use. */
export type Contact = Omit<GitRun, 'maxBytes' | 'input' | 'timeoutMs'> & {
  /** Milliseconds that are left of FETCH_TIMEOUT. */
  readonly left: () => number;
};

const OURS = 'refs/sidecar/current';
/** Every fetch leaves objects behind; after so many the repository is made anew. */
const FETCHES = 100;
const SMALL = 64 * 1024;

export class Repository {
  readonly #path: string;
  #fetches = 0;

  /** @param path of the repository; it is made when it is needed. */
  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Fetches a ref without its history, and gives the commit.
   * @throws GitFailure.
   */
  async pull(remote: string, ref: RemoteRef, contact: Contact): Promise<string> {
    if (this.#fetches >= FETCHES) this.discard();
    try {
      await this.#fetchInto(remote, ref, contact);
    } catch (thrown) {
      // What git complains of without a word of the server may be the repository: once more, into a new one.
      if (!(thrown instanceof GitFailure) || thrown.code !== 'source.failed' || contact.left() <= 0)
        throw thrown;
      this.discard();
      await this.#fetchInto(remote, ref, contact);
    }
    this.#fetches++;
    const commit = await this.run(
      ['rev-parse', '--verify', '--end-of-options', `${OURS}^{commit}`],
      contact,
      SMALL,
    );
    return commit.toString('utf8').trim();
  }

  async #fetchInto(remote: string, { name, commit }: RemoteRef, contact: Contact): Promise<void> {
    if (!existsSync(join(this.#path, 'HEAD'))) {
      rmSync(this.#path, { recursive: true, force: true });
      mkdirSync(this.#path, { recursive: true, mode: 0o700 });
      const format = commit.length === 64 ? 'sha256' : 'sha1';
      const words = ['init', '-q', '--bare', '--template=', `--object-format=${format}`, '--', this.#path];
      await git(words, { ...contact, timeoutMs: contact.left(), maxBytes: SMALL });
    }
    const options = [
      '-q',
      '--depth=1',
      '--no-tags',
      '--force',
      '--no-write-fetch-head',
      '--no-auto-maintenance',
    ];
    const words = ['fetch', ...options, '--no-recurse-submodules', '--', remote, `+${name}:${OURS}`];
    await this.run(words, contact, SMALL);
  }

  /** Whether the commit carries a signature by one of GIT_ALLOWED_SIGNERS. Only git's exit code counts. */
  async isVerified(commit: string, contact: Contact): Promise<boolean> {
    const words = ['-C', this.#path, 'verify-commit', '--', commit];
    return await gitSucceeds(words, { ...contact, timeoutMs: contact.left(), maxBytes: SMALL });
  }

  /** Runs git in this repository. */
  async run(words: readonly string[], contact: Contact, maxBytes: number, input?: string): Promise<Buffer> {
    const bounds = { timeoutMs: contact.left(), maxBytes, ...(input !== undefined && { input }) };
    return await git(['-C', this.#path, ...words], { ...contact, ...bounds });
  }

  /** Throws it away; the next fetch makes it anew. */
  discard(): void {
    this.#fetches = 0;
    rmSync(this.#path, { recursive: true, force: true });
  }
}
