// What a schema finds wrong, in words.
import { MAX_VIOLATIONS } from '../lib/bounds.ts';

/** Most violations that are shown; a schema that is wholly wrong for the data has thousands. */
export const MAX_SHOWN = 50;
/** Room for what the sentence says besides: the source, the schema, and how many are left out. */
const OF_THE_SENTENCE = 600;

/** One thing that is wrong. */
export interface Violation {
  /** Without the value, which may be a secret. */
  readonly text: string;
  /** Where. */
  readonly path: readonly string[];
}

export interface Violations {
  /** As many as are ever shown. */
  readonly first: readonly Violation[];
  readonly count: number;
}

/**
 * Violations in words, up to what a message may hold.
 * @param say what is added to a violation, such as where the value came from.
 */
export async function inWords(
  { first, count }: Violations,
  say: (violation: Violation) => Promise<string>,
): Promise<readonly string[]> {
  const shown = await Promise.all(first.map(say));
  while (shown.join('; ').length > MAX_VIOLATIONS - OF_THE_SENTENCE) shown.pop();
  const more = count - shown.length;
  return more > 0 ? [...shown, `and ${more} more`] : shown;
}
