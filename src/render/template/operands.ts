// What filters take as text, as a number and as a list. What would be guessed at elsewhere is a FormatError here.
import { FormatError } from '../document/format-error.ts';
import { Bytes, Decimal } from '../document/special.ts';
import { notText } from '../document/value.ts';

/**
 * The text of a single value, as `{{ }}` prints it.
 * @throws FormatError on what has no one text that everyone expects.
 */
export function printable(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined)
    throw new FormatError('there is no value to print; give it a default');
  if (value instanceof Decimal) return value.text;
  if (value instanceof Bytes) throw notText([]);
  if (Array.isArray(value))
    throw new FormatError('a list cannot be printed; use a filter (join, json, yaml)');
  if (typeof value === 'object')
    throw new FormatError(
      'a map has no text of its own; print one of its values, or use a filter (json, yaml)',
    );
  if (typeof value === 'number' && !Number.isFinite(value)) throw new FormatError('the number is not finite');
  return String(value);
}

const NUMBER = /^[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** A number, or a text that is one from its first to its last character: the values of a key tree are text. */
export function numberOf(value: unknown): number {
  if (value instanceof Decimal) return value.valueOf();
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (typeof value === 'bigint') throw new FormatError('the number is too large to calculate with');
  if (typeof value !== 'string') throw new FormatError(`a number is needed, and this is ${kindOf(value)}`);
  if (!NUMBER.test(value)) throw new FormatError('a number is needed, and this text is not one');
  return exact(Number(value));
}

/** @throws FormatError when a result is not finite, or is an integer beyond those that are exact. */
export function exact(result: number): number {
  if (!Number.isFinite(result)) throw new FormatError('the number is not finite');
  if (Number.isInteger(result) && !Number.isSafeInteger(result) && Math.abs(result) < 1e21) {
    throw new FormatError('the number is too large to be exact');
  }
  return result;
}

/** The items of a list; a single value counts as a list of one, nothing at all as an empty one. */
export function itemsOf(value: unknown): readonly unknown[] {
  if (value === null || value === undefined) return [];
  return Array.isArray(value) ? (value as readonly unknown[]) : [value];
}

/** What a value is, in half a sentence. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'no value';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'boolean') return `"${value}"`;
  if (typeof value === 'string') return 'a text';
  if (typeof value === 'number' || typeof value === 'bigint' || value instanceof Decimal) return 'a number';
  return value instanceof Bytes ? 'not text' : 'a map';
}

/** By what two values are put in order: both numbers, or both texts. */
export function compare(left: unknown, right: unknown): number {
  const [a, b] = [orderOf(left), orderOf(right)];
  if (typeof a !== typeof b && [a, b].some((one) => typeof one === 'string')) {
    throw new FormatError('texts and numbers cannot be compared; sort by one or the other');
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

function orderOf(value: unknown): string | number | bigint {
  if (typeof value === 'string' || typeof value === 'bigint') return value;
  if (typeof value === 'number' || value instanceof Decimal) return numberOf(value);
  throw new FormatError(`only texts or numbers can be sorted, and this is ${kindOf(value)}`);
}
