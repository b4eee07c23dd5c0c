// The flush of a directory after a rename in it, which goes on while the application is notified: when the machine crashes before its
// end, the name may lead to what was there before, and the application that acted on the new one is gone as well.

import { flush } from './atomic-file.ts';
import type { DirectoryHandle } from './directory-handle.ts';

export class LateFlush {
  /** What is not known to be on the disk. */
  #directory: DirectoryHandle | null = null;
  #underWay: Promise<void> = Promise.resolve();

  /** Begins it, and does not wait. */
  begin(directory: DirectoryHandle): void {
    this.#directory = directory;
    this.#underWay = this.#flush(directory);
    // It is reported to the one who waits for it.
    this.#underWay.catch(() => {});
  }

  /** Waits for its end. One that has failed is tried again the next time. @throws the system's error. */
  async settled(): Promise<void> {
    const underWay = this.#underWay;
    this.#underWay = Promise.resolve();
    await underWay;
    if (this.#directory !== null) await this.#flush(this.#directory);
  }

  async #flush(directory: DirectoryHandle): Promise<void> {
    await flush(directory.fd);
    if (this.#directory === directory) this.#directory = null;
  }
}
