// What a command prints. Node's own pipes are sockets, which no process can open as /dev/stderr, and servers that log there
// refuse a good configuration then: so it is a named pipe, whose name is gone before any other process sees it.
import { type ChildProcess, execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

export interface Capture {
  /** What standard output and standard error are to be. */
  readonly stdio: number | 'pipe';
  /** The command has started, or could not; resolves when every process that could print has gone. */
  readonly follow: (child: ChildProcess) => Promise<void>;
  /** What was printed on both channels, in order of arrival, until now. */
  readonly text: () => string;
  readonly close: () => void;
}

/** For what is there for a moment only; the second can be written to also where the root file system is read-only. */
export const TEMPORARY_FOLDERS: readonly string[] = [tmpdir(), '/dev/shm'];
const MAKING_MS = 5_000;

/** Keeps the first and the last half of `maxBytes`. Where no pipe can be made, Node's own have to do. */
export async function openCapture(
  maxBytes: number,
  folders: readonly string[] = TEMPORARY_FOLDERS,
): Promise<Capture> {
  const kept = createKept(maxBytes);
  for (const folder of folders) {
    const pipe = await openPipe(folder);
    if (pipe !== null) return capturePipe(pipe, kept);
  }
  return captureStreams(kept);
}

interface Pipe {
  readonly reads: number;
  readonly writes: number;
}

async function openPipe(folder: string): Promise<Pipe | null> {
  const path = join(folder, `.config-sidecar.${randomBytes(8).toString('hex')}.pipe`);
  if (!(await makeNamedPipe(path))) return null;
  const opened: number[] = [];
  const open = (flags: number): number => {
    const fd = fs.openSync(path, flags | fs.constants.O_NOFOLLOW);
    opened.push(fd);
    return fd;
  };
  try {
    // Reading first: to open it for writing waits for a reader.
    const pipe = {
      reads: open(fs.constants.O_RDONLY | fs.constants.O_NONBLOCK),
      writes: open(fs.constants.O_WRONLY),
    };
    fs.unlinkSync(path);
    // Now that no other process can find it: a command that becomes another user opens it by /dev/stderr too.
    fs.fchmodSync(pipe.writes, 0o622);
    return pipe;
  } catch {
    for (const fd of opened) fs.closeSync(fd);
    fs.rmSync(path, { force: true });
    return null;
  }
}

function makeNamedPipe(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    execFile('mkfifo', ['-m', '600', path], { timeout: MAKING_MS }, (error) => resolve(error === null));
  });
}

function capturePipe({ reads, writes }: Pipe, kept: Kept): Capture {
  const stream = new Socket({ fd: reads, readable: true, writable: false });
  let isOurs = true;
  const letGo = (): void => {
    if (isOurs) fs.closeSync(writes);
    isOurs = false;
  };
  return {
    stdio: writes,
    follow: () => {
      const ended = collect([stream], kept);
      // While we hold it open as well, its end is never seen.
      letGo();
      return ended;
    },
    text: kept.text,
    close: () => {
      letGo();
      stream.destroy();
    },
  };
}

function captureStreams(kept: Kept): Capture {
  let streams: readonly Readable[] = [];
  return {
    stdio: 'pipe',
    follow: ({ stdout, stderr }) => {
      streams = [stdout, stderr].filter((stream) => stream !== null);
      return collect(streams, kept);
    },
    text: kept.text,
    close: () => {
      for (const stream of streams) stream.destroy();
    },
  };
}

async function collect(streams: readonly Readable[], { add }: Kept): Promise<void> {
  const ends = streams.map(
    (stream) =>
      new Promise<void>((resolve) => {
        stream
          .on('data', add)
          .once('close', resolve)
          .once('error', () => resolve());
      }),
  );
  await Promise.all(ends);
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
