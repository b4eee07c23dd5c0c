// The file that was at a path at one look, held open. Files that replace one another quickly never come to rest at
// their path; each of them does when it is replaced, for then its writer has finished it.
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

export class HeldFile {
  readonly #descriptor: number;
  readonly #path: string;
  #stats: BigIntStats;
  #sinceMs = performance.now();

  private constructor(descriptor: number, path: string) {
    this.#descriptor = descriptor;
    this.#path = path;
    this.#stats = fstatSync(descriptor, { bigint: true });
  }

  /** null where there is no file that can be read: the next look at the path says why. */
  static open(path: string): HeldFile | null {
    let descriptor: number | null = null;
    try {
      // Not to be caught waiting on a pipe that took the file's place.
      descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      const held = new HeldFile(descriptor, path);
      if (held.#stats.isFile()) return held;
    } catch {}
    if (descriptor !== null) closeSync(descriptor);
    return null;
  }

  /**
   * The bytes, where another file is at the path now, and this one has not changed for `restMs`. null where that is not so,
   * it is empty, or it is larger than `maxBytes`.
   */
  finished({ restMs, maxBytes }: { readonly restMs: number; readonly maxBytes: number }): Buffer | null {
    const now = fstatSync(this.#descriptor, { bigint: true });
    if (now.size !== this.#stats.size || now.mtimeNs !== this.#stats.mtimeNs) {
      [this.#stats, this.#sinceMs] = [now, performance.now()];
      return null;
    }
    const isAtRest = performance.now() - this.#sinceMs >= restMs;
    if (!isAtRest || now.size === 0n || now.size > BigInt(maxBytes) || !this.#isReplaced()) return null;
    const bytes = readFileSync(this.#descriptor);
    const after = fstatSync(this.#descriptor, { bigint: true });
    return after.mtimeNs === now.mtimeNs && BigInt(bytes.length) === now.size ? bytes : null;
  }

  #isReplaced(): boolean {
    const other = HeldFile.open(this.#path);
    if (other === null) return false;
    const { dev, ino } = other.#stats;
    other.close();
    return dev !== this.#stats.dev || ino !== this.#stats.ino;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
