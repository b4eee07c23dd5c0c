// How much of a text from outside is shown, wherever it is shown: one place for every bound.

/** Characters of a sentence, about 2 KiB: the message of an error. */
export const MAX_MESSAGE = 2_048;
/** Characters of a key or a name from the data in a sentence. */
const MAX_SHOWN = 200;
/** Characters of all violations of a schema together, about 4 KiB; no field of a log line is longer. */
export const MAX_VIOLATIONS = 4_096;

/** The text, cut to `max` characters with the last one an ellipsis. */
export function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  // Half of a surrogate pair is no character.
  const end = /[\uD800-\uDBFF]/.test(text.charAt(max - 2)) ? max - 2 : max - 1;
  return `${text.slice(0, end)}…`;
}

/** A key or name from the data, as a sentence may show it. */
export function shownKey(key: string): string {
  return visible(cut(key, MAX_SHOWN));
}

/**
 * Control characters (C0 and C1), and those that change the direction of what follows, as `\u009b`: a terminal obeys
 * them, and a reader does not see them. Line breaks and tabs stay where `keepsLines` says so.
 */
export function visible(text: string, { keepsLines = false } = {}): string {
  return text.replace(HIDDEN, (character) =>
    keepsLines && (character === '\n' || character === '\t') ? character : escaped(character),
  );
}

const HIDDEN = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
