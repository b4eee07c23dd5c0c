// A document that is a map, as files of a directory output: one for each value that is no map.

import { inSlices, type Sliced } from '../lib/slices.ts';
import { FormatError } from './document/format-error.ts';
import { Bytes } from './document/special.ts';
import { encodeText } from './document/text.ts';
import { collectingLeaves, scalarText, type Value, type ValueMap } from './document/value.ts';
import type { GenerationFile } from './generation.ts';

/**
 * The files: keys joined by `/` are the names, texts the content as they are, numbers and booleans as the document writes them.
 * @throws FormatError naming the path of a list or of null.
 */
export function filesOfLeaves(value: ValueMap): Promise<GenerationFile[]> {
  return inSlices(makingFiles(value));
}

function* makingFiles(value: ValueMap): Sliced<GenerationFile[]> {
  const files: GenerationFile[] = [];
  for (const { path, value: leaf } of yield* collectingLeaves(value, { lists: false })) {
    files.push({ name: path.join('/'), bytes: leaf instanceof Bytes ? leaf.get() : textOf(leaf, path) });
    yield;
  }
  return files;
}

function textOf(value: Value, path: readonly string[]): Uint8Array {
  if (value === null || Array.isArray(value))
    throw new FormatError(
      `it is ${value === null ? 'null' : 'a list'}, and a file holds one text, number or boolean`,
      { path },
    );
  return encodeText(scalarText(value, path));
}
