// The outputs of the small world: each shows a rendering of its own, or nothing.

/** What lies beside the outputs, written and not visible. */
interface Staged {
  readonly rendering: string;
  readonly outputs: readonly number[];
}

export class Volume {
  readonly outputs: (string | null)[];
  /** What a publication of two outputs or more has staged. */
  staged: Staged | null = null;

  constructor(outputs: number) {
    this.outputs = Array.from({ length: outputs }, () => null);
  }

  /** What all of them show together; null: nothing. */
  get shown(): string | null {
    const [first = null, ...others] = this.outputs;
    return others.every((one) => one === first) ? first : `mixed ${this.outputs.join(' ')}`;
  }

  /** Every output shows this. */
  show(rendering: string | null): void {
    this.outputs.fill(rendering);
  }

  /** Those that do not show this. */
  missing(rendering: string): readonly number[] {
    return this.outputs.flatMap((one, at) => (one === rendering ? [] : [at]));
  }

  /** At a start: which outputs have to be swapped still, of a publication that a crash has left half visible. */
  unfinished(intended: string | null): readonly number[] {
    if (this.staged === null || this.staged.rendering !== intended) return [];
    const { rendering, outputs } = this.staged;
    const missing = outputs.filter((at) => this.outputs[at] !== rendering);
    return missing.length < outputs.length ? missing : [];
  }
}
