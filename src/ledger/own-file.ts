// Opens files of ours that lie where others may write: never through a link that somebody put there, and not a pipe.
import * as fs from 'node:fs';

/** More than a text of Node.js can hold; whatever is larger was not written by us. */
const LARGEST_BYTES = 2 ** 29;

/** Calls `use` with the file opened for reading. @throws the system's error. */
export function withOwnFile<T>(path: string, use: (fd: number) => T): T {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  const fd = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    return use(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** The file's text. @throws the system's error, or half a sentence when it cannot be a file of ours. */
export function readOwnText(path: string): string {
  return withOwnFile(path, (fd) => {
    const stat = fs.fstatSync(fd);
    if (!stat.isFile()) throw new Error('it is no regular file');
    if (stat.size > LARGEST_BYTES) throw new Error('it is larger than any that was kept');
    return fs.readFileSync(fd, 'utf8');
  });
}
