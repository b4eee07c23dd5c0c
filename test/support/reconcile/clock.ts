// The time of the small world: what is to happen in it, in order, and the passing of time between.

interface Happening {
  readonly at: number;
  readonly act: () => void;
}

export class Clock {
  #now = 0;
  readonly #queue: Happening[] = [];

  get now(): number {
    return this.#now;
  }

  /** When the next thing happens. */
  get nextAt(): number {
    return this.#queue[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  later(inMs: number, act: () => void): void {
    const at = this.#now + inMs;
    const after = this.#queue.findIndex((one) => one.at > at);
    this.#queue.splice(after < 0 ? this.#queue.length : after, 0, { at, act });
  }

  /** Lets everything happen that is due. */
  happen(): void {
    while (this.#queue[0] !== undefined && this.#queue[0].at <= this.#now) {
      this.#queue.shift()?.act();
    }
  }

  /** At least a millisecond passes. */
  passTo(at: number): void {
    this.#now = Math.max(at, this.#now + 1);
  }

  /** Something takes its time, and the world goes on meanwhile. */
  take(ms: number): void {
    const end = this.#now + ms;
    while (this.nextAt <= end) {
      this.#now = Math.max(this.#now, this.nextAt);
      this.happen();
    }
    this.#now = end;
  }
}
