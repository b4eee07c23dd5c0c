// Bytes that come in parts, however small: each part would cost a hundred bytes of its own, so that a few megabytes sent
// byte by byte would fill the memory.
import { Buffer } from 'node:buffer';

const PIECE_BYTES = 64 * 1024;

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
        piece = Buffer.allocUnsafe(PIECE_BYTES);
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
