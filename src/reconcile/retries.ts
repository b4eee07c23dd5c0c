// Tries of one thing that failed in a row, and when the next may be made.
import { type Random, RETRY, retryDelay } from '../lib/schedule.ts';

export class Retries {
  readonly #random: Random;
  #failures = 0;
  #dueAt = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Milliseconds of the loop's clock; 0 when the last try did not fail. */
  get dueAt(): number {
    return this.#dueAt;
  }

  fail(nowMs: number): void {
    this.#failures += 1;
    this.#dueAt = nowMs + retryDelay(this.#failures, RETRY, this.#random);
  }

  clear(): void {
    this.#failures = 0;
    this.#dueAt = 0;
  }
}
