// Reads files that lie where others may write: never through a link, never waiting for a pipe, never more than expected.

import * as fs from 'node:fs';

/**
 * Opens a file for reading and calls `use` with its descriptor and what it is, before anything is read.
 * @throws the system's error: `ELOOP` for a symbolic link, `ENXIO` for a socket.
 */
export function withOpenFile<T>(path: string, use: (fd: number, stat: fs.Stats) => T): T {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  const fd = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    return use(fd, fs.fstatSync(fd));
  } finally {
    fs.closeSync(fd);
  }
}

/** The first `size` bytes, fewer where the file ends before: a file that grows meanwhile is not followed. */
export function readBytes(fd: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  let length = 0;
  while (length < size) {
    const read = fs.readSync(fd, bytes, length, size - length, length);
    if (read === 0) break;
    length += read;
  }
  return bytes.subarray(0, length);
}
