// JSON Pointer (RFC 6901): the part of a document that counts.
import { FormatError } from './format-error.ts';
import { isList, isMap, type Value } from './value.ts';

/**
 * The value a pointer leads to; '' is the whole.
 * @param pointer the pointer itself, any percent-encoding of a URL already undone.
 * @throws FormatError on an invalid pointer, or one that leads nowhere.
 */
export function resolvePointer(value: Value, pointer: string): Value {
  if (pointer === '') return value;
  if (!pointer.startsWith('/')) throw new FormatError('a JSON Pointer begins with "/" (RFC 6901)');
  if (/~(?![01])/.test(pointer)) throw new FormatError('"~" stands for itself only as "~0" (RFC 6901)');
  let at = value;
  const seen: string[] = [];
  for (const part of pointer.slice(1).split('/')) {
    const name = undoEscapes(part);
    const next = childOf(at, name);
    if (next === undefined)
      throw new FormatError(`there is no "${name}" in "${['', ...seen].join('/') || '/'}"`);
    seen.push(part);
    at = next;
  }
  return at;
}

/** The last name in a pointer, its escapes undone; '' for the whole. */
export function lastNameOf(pointer: string): string {
  return undoEscapes(pointer.slice(pointer.lastIndexOf('/') + 1));
}

function undoEscapes(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}

function childOf(value: Value, name: string): Value | undefined {
  if (isMap(value)) return value[name];
  if (isList(value) && /^(0|[1-9][0-9]*)$/.test(name)) return value[Number(name)];
  return undefined;
}
