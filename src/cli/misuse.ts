// Mistakes in the command line, as errors: exit code 2.
import { SidecarError } from '../lib/errors.ts';
import { alternatives } from '../settings/kind.ts';
import { nearest } from '../settings/nearest.ts';

/** A mistake in the command line. */
export function misuse(message: string): SidecarError {
  return new SidecarError(message, { code: 'settings', stage: 'settings' });
}

/** A command, or a shell, that does not exist, with the one that is probably meant. */
export function unknownWord(what: string, word: string, known: readonly string[]): SidecarError {
  const meant = nearest(word, known);
  const advice = meant === undefined ? `Known are ${alternatives(known)}.` : `Did you mean "${meant}"?`;
  return misuse(`Cannot use "${word}": unknown ${what}. ${advice}`);
}
