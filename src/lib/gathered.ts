// Bytes that come in parts, however small: each part would cost a hundred bytes of its own, so that a few megabytes sent
// byte by byte would fill the memory.
import { Buffer } from 'node:buffer';

/** A piece is as large as all before it, between these two: most answers and events are small. */
const SMALLEST_PIECE = 1024;
const LARGEST_PIECE = 64 * 1024;

/** Copies what is added, so that nothing of the buffers it came in is kept. */
export class Gathered {
  #pieces: Buffer[] = [];
  /** How much of the last piece is in use. */
  #used = 0;
  #size = 0;

  /** How many bytes there are. */
  get size(): number {
    return this.#size;
  }

  add(part: Uint8Array): void {
    this.#size += part.length;
    for (let from = 0; from < part.length; ) {
      let piece = this.#pieces.at(-1);
      if (piece === undefined || this.#used === piece.length) {
        piece = Buffer.allocUnsafe(Math.min(Math.max(SMALLEST_PIECE, this.#size), LARGEST_PIECE));
        this.#pieces.push(piece);
        this.#used = 0;
      }
      const some = part.subarray(from, from + piece.length - this.#used);
      piece.set(some, this.#used);
      this.#used += some.length;
      from += some.length;
    }
  }

  /** All of it; afterwards there is nothing. */
  take(): Buffer {
    const whole = Buffer.concat(this.#pieces, this.#size);
    this.#pieces = [];
    this.#used = 0;
    this.#size = 0;
    return whole;
  }
}
