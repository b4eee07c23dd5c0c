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

/**
 * A number whose text says more than the number: `1.10`, `1.0`, `0.00000001`, or more digits than a number keeps. It
 * calculates and compares as the number it is, in templates too.
 */
export class Decimal extends Special {
  readonly #text: string;

  /** @param text as JSON writes a number. */
  constructor(text: string) {
    super();
    this.#text = text;
  }

  get text(): string {
    return this.#text;
  }

  override toString(): string {
    return this.#text;
  }

  override valueOf(): number {
    return Number(this.#text);
  }

  // The five that the template library asks of what is compared.
  equals(other: unknown): boolean {
    return this.valueOf() === (other instanceof Decimal ? other.valueOf() : other);
  }

  gt(other: unknown): boolean {
    return this.valueOf() > Number(other);
  }

  geq(other: unknown): boolean {
    return this.valueOf() >= Number(other);
  }

  lt(other: unknown): boolean {
    return this.valueOf() < Number(other);
  }

  leq(other: unknown): boolean {
    return this.valueOf() <= Number(other);
  }
}

/** A number that is not an integer; a Decimal only where the number's own text would be another one. */
export function exactNumber(text: string): number | Decimal {
  const number = Number(text);
  return String(number) === text ? number : new Decimal(text);
}
