// Values that JavaScript has no type for: bytes that are not text, and numbers whose text must stay as it was written.

/** What is one value, and neither a map nor a list, though it is an object. It shows no property of its own. */
export abstract class Special {}

/** Bytes that are not text. They can be published as a file, or written in base64, and nothing else. */
export class Bytes extends Special {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super();
    this.#bytes = bytes;
  }

  get(): Uint8Array {
    return this.#bytes;
  }
}
