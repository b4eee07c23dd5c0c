// Why a value that a user wrote is not accepted. The caller adds the name of the setting and the value, masked.

/** A clause without the value itself, which may be secret (`it must be at least 1ms`), and the closest legal spelling. */
export class InvalidValue extends Error {
  readonly suggestion: string | undefined;

  constructor(reason: string, suggestion?: string) {
    super(reason);
    this.suggestion = suggestion;
  }
}
