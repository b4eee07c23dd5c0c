// Why a value that a user wrote is not accepted. The caller adds the name of the setting and the value, masked.

/** A clause without the value itself, which may be secret (`it must be at least 1ms`), and the closest legal spelling. */
export class InvalidValue extends Error {
  readonly suggestion: string | undefined;

  constructor(reason: string, suggestion?: string) {
    super(reason);
    this.suggestion = suggestion;
  }
}

/** One of several things that are wrong in a value with parts. */
export interface Mistake {
  /** Which part, as it follows the name of the setting: `[1].output`. */
  readonly at: string;
  /** What was written there; null where that says nothing. */
  readonly value: string | null;
  /** A clause, as of `InvalidValue`. */
  readonly reason: string;
  readonly suggestion?: string | undefined;
}

/** A value of which several parts may be wrong: each mistake is reported for itself. */
export class InvalidValues extends InvalidValue {
  readonly mistakes: readonly Mistake[];

  constructor(mistakes: readonly Mistake[]) {
    super(mistakes.map(({ at, reason }) => `${at}: ${reason}`).join('; '));
    this.mistakes = mistakes;
  }
}
