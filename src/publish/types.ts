// What is published, as other folders keep it.

/** What was staged for one of several outputs before the first of them was replaced. */
export interface StagedPart {
  /** Path of the output. */
  readonly output: string;
  /** Its hidden name beside the output, by which a later start finds it. */
  readonly name: string;
  /** Digest of what the output shows once it is visible. */
  readonly rendering: string;
}
