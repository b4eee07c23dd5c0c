// Reads texts of ours that lie where others may write: only a regular file of our own, of a size that we write.

import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { effectiveUser } from '../publish/ownership.ts';
import { readBytes, withOpenFile } from '../publish/safe-open.ts';

/** @throws the system's error, or half a sentence when it cannot be a file of ours. */
export function readOwnText(path: string, maxBytes: number): string {
  return withOpenFile(path, (fd, stat) => {
    if (!stat.isFile()) throw new Error('it is not a regular file');
    if (!isTrusted(stat, path)) throw new Error(`it belongs to user ${stat.uid}`);
    if (stat.size > maxBytes) throw new Error(`it is larger than ${maxBytes} bytes`);
    return readBytes(fd, stat.size).toString();
  });
}

/** Ours, root's, or of the user to whom a network file system gives all files: the directory was found to be ours before. */
export function isTrusted(stat: Pick<fs.Stats, 'uid'>, path: string): boolean {
  return (
    stat.uid === effectiveUser(stat.uid) || stat.uid === 0 || stat.uid === fs.statSync(dirname(path)).uid
  );
}
