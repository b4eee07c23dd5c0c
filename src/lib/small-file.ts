// Reads small files that anything may stand in for: a device, a pipe, a huge file by mistake.
import { closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { errnoOf } from './errors.ts';
import { InvalidValue } from './invalid-value.ts';

/**
 * The text of a small file that must not be read without bound (a device, a huge file by mistake).
 * Throws an InvalidValue, which never shows what the file holds.
 */
export function readSmallText(file: string, maxBytes: number, shownSize: string): string {
  const bytes = Buffer.alloc(maxBytes + 1);
  let length = 0;
  try {
    if (statSync(file).isDirectory()) throw new InvalidValue('it is a directory; a file is needed');
    // Opening a named pipe without a writer would block for ever.
    const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      for (let got = -1; got !== 0 && length < bytes.length; length += got) {
        got = readSync(descriptor, bytes, length, bytes.length - length, null);
      }
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw error instanceof InvalidValue ? error : new InvalidValue(whyUnreadable(error));
  }
  if (length > maxBytes) throw new InvalidValue(`it is larger than ${shownSize}`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length));
  } catch {
    throw new InvalidValue('it is not UTF-8 text');
  }
}

/** Why a file cannot be read, as a clause. */
export function whyUnreadable(error: unknown): string {
  const code = errnoOf(error);
  if (code === 'ENOENT') return 'the file does not exist';
  if (code === 'EACCES' || code === 'EPERM') return 'this user may not read it';
  if (code === 'ENOTDIR') return 'a part of the path is a file, not a directory';
  return `it cannot be read (${code ?? 'unknown reason'})`;
}
