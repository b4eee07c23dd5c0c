// What is wrong inside a document or a value, before anyone has said which document that was.
import { shownKey } from '../../lib/bounds.ts';

/**
 * A defect found while reading or writing a format. The caller, which knows the document's name, makes a SidecarError of it.
 * The reason never quotes content: it may be a secret.
 */
export class FormatError extends Error {
  /** Where in the text, counted from 1; null where that is not known. */
  readonly position: { readonly line: number; readonly column: number } | null;
  /** Keys and list indexes that lead to the value; null where no one value is to blame. */
  readonly path: readonly string[] | null;

  constructor(
    reason: string,
    where: {
      readonly position?: { readonly line: number; readonly column: number };
      readonly path?: readonly string[];
    } = {},
  ) {
    super(reason);
    this.name = 'FormatError';
    this.position = where.position ?? null;
    this.path = where.path ?? null;
  }
}

/** Line and column, counted from 1, of an offset in a text. */
export function positionAt(text: string, offset: number): { line: number; column: number } {
  let line = 1;
  let start = 0;
  for (let end = text.indexOf('\n'); end !== -1 && end < offset; end = text.indexOf('\n', start)) {
    line += 1;
    start = end + 1;
  }
  return { line, column: offset - start + 1 };
}

/** The fault as part of a sentence: `line 3, column 7: a comma is missing`. */
export function describeFormatError(fault: FormatError): string {
  const { position } = fault;
  return position === null
    ? fault.message
    : `line ${position.line}, column ${position.column}: ${fault.message}`;
}

/** A path as users write it (`db/host`), cut to what a sentence may show; the value as a whole is `/`. */
export function showPath(path: readonly string[]): string {
  return path.length === 0 ? '/' : shownKey(path.join('/'));
}
