// What is said between the program and the thread that does heavy work on large documents.

import type { Sliced } from '../../lib/slices.ts';
import type { ParsedFormat } from '../document/format.ts';
import { FormatError } from '../document/format-error.ts';
import { parsingJson, writingJson } from '../document/json.ts';
import { replacing, type Value } from '../document/value.ts';
import type { Violations } from '../violations.ts';

/** The formats whose libraries read in one go, however large the document is. */
export type HeavyFormat = 'yaml' | 'toml';

/** Values travel as JSON; what JSON cannot say is a text that begins with `mark`, which no document can know. The
 * bytes of the document are handed over: the caller must have no further use for them. */
export type Task =
  | {
      readonly kind: 'parse';
      readonly format: HeavyFormat;
      readonly bytes: Uint8Array;
      readonly mark: string;
    }
  | { readonly kind: 'check'; readonly format: HeavyFormat; readonly bytes: Uint8Array }
  | {
      readonly kind: 'serialise';
      readonly format: ParsedFormat;
      readonly json: Uint8Array;
      readonly mark: string;
    }
  | {
      readonly kind: 'validate';
      readonly name: string;
      readonly schema: Uint8Array;
      readonly json: Uint8Array;
    };

export type TaskAnswer =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'violations'; readonly violations: Violations }
  | { readonly kind: 'fault'; readonly fault: Described }
  /** The schema itself is of no use. */
  | { readonly kind: 'bad-schema'; readonly reason: string };

interface Described {
  readonly reason: string;
  readonly position: FormatError['position'];
  readonly path: FormatError['path'];
}

export function describedFault({ message, position, path }: FormatError): Described {
  return { reason: message, position, path };
}

export function faultOf({ reason, position, path }: Described): FormatError {
  return new FormatError(reason, { ...(position && { position }), ...(path && { path }) });
}

/** A value as JSON on one line, dates and numbers that are not finite marked. */
export function encoding(value: Value, mark: string): Sliced<string> {
  return writingJson(value, 0, (special) => {
    if (special instanceof Date) return JSON.stringify(`${mark}date ${special.toISOString()}`);
    return typeof special === 'number' && !Number.isFinite(special)
      ? JSON.stringify(`${mark}number ${special}`)
      : null;
  });
}

/** Undoes `encoding`. @param dateOf makes a date of its text. */
export function* decoding(json: string, mark: string, dateOf: (text: string) => Date): Sliced<Value> {
  const value = yield* parsingJson(json);
  if (!json.includes(mark)) return value;
  return yield* replacing(value, (one) => {
    if (typeof one !== 'string' || !one.startsWith(mark)) return one;
    const [kind = '', ...rest] = one.slice(mark.length).split(' ');
    return kind === 'date' ? dateOf(rest.join(' ')) : Number(rest.join(' '));
  });
}
