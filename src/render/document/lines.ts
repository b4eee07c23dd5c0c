// The lines of a text, one at a time: a text of nothing but line breaks would be a list of millions.

export interface Line {
  /** Without its line feed. */
  readonly line: string;
  /** Where it begins. */
  readonly offset: number;
}

export function* linesOf(text: string): Generator<Line, void, void> {
  for (let offset = 0; offset <= text.length; ) {
    const found = text.indexOf('\n', offset);
    const end = found === -1 ? text.length : found;
    yield { line: text.slice(offset, end), offset };
    offset = end + 1;
  }
}
