// What a command prints. It goes to a file without a name: Node's pipes are sockets, which nobody can open as /dev/stderr,
// and servers that log there refuse a good configuration then.
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Capture {
  /** What standard output and standard error are to be. */
  readonly stdio: number | 'pipe';
  /** Begins to listen. */
  readonly follow: (child: ChildProcess) => void;
  /** What was printed on both channels, in order of arrival, until now. */
  readonly text: () => string;
  readonly close: () => void;
}

/** Memory first: a full disk must not make a command fail for what it prints. */
const FOLDERS = ['/dev/shm', tmpdir()];
const LOOK_MS = 20;
/** What was read is thrown away at this size, or a command that never stops would fill the memory. */
const LONGEST_BYTES = 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;

/** Keeps the first and the last half of `maxBytes`. Where no folder can be written to, pipes have to do. */
export function openCapture(maxBytes: number, folders: readonly string[] = FOLDERS): Capture {
  const fd = openNameless(folders);
  return fd === null ? capturePipes(maxBytes) : captureFile(fd, maxBytes);
}

function openNameless(folders: readonly string[]): number | null {
  const { O_RDWR, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  for (const folder of folders) {
    const path = join(folder, `.config-sidecar.${randomBytes(8).toString('hex')}.out`);
    try {
      const fd = fs.openSync(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      fs.unlinkSync(path);
      // Now that nobody else can find it: a command that becomes another user opens it by /dev/stderr too.
      fs.fchmodSync(fd, 0o666);
      return fd;
    } catch {
      // A read-only file system, or none of that name.
    }
  }
  return null;
}

function captureFile(fd: number, maxBytes: number): Capture {
  const kept = createKept(maxBytes);
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let position = 0;
  const look = (): void => {
    const { size } = fs.fstatSync(fd);
    // `> /dev/stderr` in a shell begins anew.
    if (size < position) position = 0;
    while (position < size) {
      const length = fs.readSync(fd, chunk, 0, CHUNK_BYTES, position);
      if (length === 0) break;
      kept.add(chunk.subarray(0, length));
      position += length;
    }
    if (position > LONGEST_BYTES) {
      fs.ftruncateSync(fd);
      position = 0;
    }
  };
  // What cannot be read is lost; that is no reason to end.
  const lookIfPossible = (): void => {
    try {
      look();
    } catch {}
  };
  const timer = setInterval(lookIfPossible, LOOK_MS);
  return {
    stdio: fd,
    follow: () => {},
    text: () => {
      lookIfPossible();
      return kept.text();
    },
    close: () => {
      clearInterval(timer);
      fs.closeSync(fd);
    },
  };
}

function capturePipes(maxBytes: number): Capture {
  const kept = createKept(maxBytes);
  let child: ChildProcess | null = null;
  return {
    stdio: 'pipe',
    follow: (started) => {
      child = started;
      for (const stream of [started.stdout, started.stderr]) stream?.on('data', kept.add);
    },
    text: kept.text,
    close: () => {
      child?.stdout?.destroy();
      child?.stderr?.destroy();
    },
  };
}

interface Kept {
  readonly add: (chunk: Buffer) => void;
  readonly text: () => string;
}

function createKept(maxBytes: number): Kept {
  const half = Math.floor(maxBytes / 2);
  let head: Buffer = Buffer.alloc(0);
  let tail: Buffer = Buffer.alloc(0);
  let size = 0;
  return {
    add: (chunk) => {
      size += chunk.length;
      const room = half - head.length;
      if (room > 0) head = Buffer.concat([head, chunk.subarray(0, room)]);
      if (chunk.length > room)
        tail = Buffer.concat([tail, chunk.subarray(Math.max(0, room))]).subarray(-half);
    },
    text: () => {
      const leftOut = size - head.length - tail.length;
      const gap = leftOut > 0 ? `\n… ${leftOut} bytes left out …\n` : '';
      return Buffer.concat([head, Buffer.from(gap), tail]).toString();
    },
  };
}
