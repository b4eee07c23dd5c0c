// Reads the number an application left in a file; whether it is to be believed is not decided here.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { errnoOf } from '../../lib/errors.ts';

/** `writtenAtMs` is wall-clock time; `reason` is a clause that names the file. */
export type PidFile =
  | { readonly kind: 'pid'; readonly pid: number; readonly writtenAtMs: number }
  | { readonly kind: 'none'; readonly reason: string };

/** Longer than any number with blanks around it. */
const MAX_BYTES = 64;

/** Reads a PID file. One positive integer is a number; anything else is a reason. Never throws. */
export function readPidFile(path: string): PidFile {
  const none = (reason: string): PidFile => ({ kind: 'none', reason: `the PID file "${path}" ${reason}` });
  try {
    const found = readSmallFile(path);
    if (found === null) return none('is not a file');
    const { text, writtenAtMs } = found;
    if (text === '') return none('is empty');
    if (/^-\d+$/.test(text)) return none(`holds ${text}, which stands for many processes`);
    if (!/^\d{1,15}$/.test(text)) return none('does not hold one number');
    const pid = Number(text);
    return pid === 0 ? none('holds 0, which stands for many processes') : { kind: 'pid', pid, writtenAtMs };
  } catch (thrown) {
    return none(explain(errnoOf(thrown)));
  }
}

function readSmallFile(path: string): { readonly text: string; readonly writtenAtMs: number } | null {
  // Without O_NONBLOCK a FIFO of that name would stop us for ever.
  const handle = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(handle);
    if (!stat.isFile()) return null;
    const bytes = Buffer.alloc(MAX_BYTES);
    const size = readSync(handle, bytes, 0, MAX_BYTES, 0);
    // A number at the beginning of something long is not what was meant.
    const text = stat.size > MAX_BYTES ? 'long' : bytes.toString('utf8', 0, size).trim();
    return { text, writtenAtMs: stat.mtimeMs };
  } finally {
    closeSync(handle);
  }
}

function explain(code: string | undefined): string {
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'is not there';
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user';
  return `cannot be read (${code ?? 'unknown error'})`;
}
