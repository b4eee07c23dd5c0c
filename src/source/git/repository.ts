// The local, bare repository: it holds the commits that were fetched, and is thrown away whenever it looks damaged.
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { toTheSecond } from '../../lib/age.ts';
import { shownKey } from '../../lib/bounds.ts';
import type { RemoteRef } from './remote.ts';
import { type GitRun, git, gitSucceeds } from './run.ts';
import { type GitPlace, uploadPackOf } from './url.ts';

/** What one contact may use. */
export type Contact = Omit<GitRun, 'maxBytes' | 'input' | 'timeoutMs'> & {
  /** Milliseconds that are left of FETCH_TIMEOUT. */
  readonly left: () => number;
};

const OURS = 'refs/sidecar/current';
/** Every fetch leaves objects behind; after so many the repository is made again. */
const FETCHES = 100;
const SMALL = 64 * 1024;

export class Repository {
  /** It is made when it is needed. */
  readonly path: string;
  #fetches = 0;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Fetches a ref without its history, and gives the commit.
   * @throws GitFailure.
   */
  async pull(place: GitPlace, ref: RemoteRef, contact: Contact): Promise<string> {
    if (this.#fetches >= FETCHES) this.discard();
    await this.#fetchInto(place, ref, contact);
    this.#fetches++;
    const commit = await this.run(
      ['rev-parse', '--verify', '--end-of-options', `${OURS}^{commit}`],
      contact,
      SMALL,
    );
    return commit.toString('utf8').trim();
  }

  async #fetchInto(place: GitPlace, { name, commit }: RemoteRef, contact: Contact): Promise<void> {
    if (!existsSync(join(this.path, 'HEAD'))) {
      rmSync(this.path, { recursive: true, force: true });
      mkdirSync(this.path, { recursive: true, mode: 0o700 });
      const format = commit.length === 64 ? 'sha256' : 'sha1';
      const words = ['init', '-q', '--bare', '--template=', `--object-format=${format}`, '--', this.path];
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
    const words = [
      'fetch',
      ...options,
      '--no-recurse-submodules',
      ...uploadPackOf(place),
      '--',
      place.remote,
      `+${name}:${OURS}`,
    ];
    try {
      await this.run(words, contact, SMALL);
    } catch (thrown) {
      this.#sweep();
      throw thrown;
    }
  }

  /** A fetch that was cut or killed leaves what it had got in a file of its own; each such fetch would leave one more. */
  #sweep(): void {
    const objects = join(this.path, 'objects');
    if (!existsSync(objects)) return;
    for (const name of readdirSync(objects, { recursive: true, encoding: 'utf8' })) {
      if (basename(name).startsWith('tmp_')) rmSync(join(objects, name), { recursive: true, force: true });
    }
  }

  /** Whether the commit carries a signature by one of GIT_ALLOWED_SIGNERS. Only git's exit code counts. */
  async isVerified(commit: string, contact: Contact): Promise<boolean> {
    const words = ['-C', this.path, 'verify-commit', '--', commit];
    return await gitSucceeds(words, { ...contact, timeoutMs: contact.left(), maxBytes: SMALL });
  }

  /** Who made the commit, when, and its subject: `Jane Doe, 2026-11-28T10:00:00Z: Raise the limit`. */
  async describe(commit: string, contact: Contact): Promise<string> {
    const format = '%an%x00%at%x00%s';
    const words = ['show', '-s', '--no-show-signature', `--format=${format}`, '--end-of-options', commit];
    const [author = '', seconds = '', subject = ''] = (await this.run(words, contact, SMALL))
      .toString('utf8')
      .trim()
      .split('\0');
    const time = new Date(Number(seconds) * 1_000);
    const at = Number.isNaN(time.getTime()) ? 'at an unknown time' : toTheSecond(time.toISOString());
    return `${shownKey(author)}, ${at}: ${shownKey(subject)}`;
  }

  /** Runs git in this repository. */
  async run(words: readonly string[], contact: Contact, maxBytes: number, input?: string): Promise<Buffer> {
    const bounds = { timeoutMs: contact.left(), maxBytes, ...(input !== undefined && { input }) };
    return await git(['-C', this.path, ...words], { ...contact, ...bounds });
  }

  /** Throws it away; the next fetch makes it again. */
  discard(): void {
    this.#fetches = 0;
    rmSync(this.path, { recursive: true, force: true });
  }
}
