// Standard output as the log needs it: a reader that is slow or gone never holds the program up.
import * as fs from 'node:fs';
import { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { errnoOf } from './errors.ts';

export interface LogSink {
  /** Writes a line now, or keeps it for a moment, or drops and counts it. Never waits and never throws. */
  readonly write: (line: string) => void;
  /** How many lines were dropped since the start. */
  readonly dropped: () => number;
  /** Called with the number of lines just dropped, when there is room again. */
  onRoom: (count: number) => void;
  /** Tries for so many milliseconds to write what is kept. */
  readonly flush: (ms: number) => Promise<void>;
}

/** What is kept for a reader that is only slow. */
const MAX_KEPT_BYTES = 256 * 1024;
const TRY_AGAIN_MS = 20;

/** Lines for one file descriptor. */
export function createLogSink(descriptor = 1): LogSink {
  const fd = withoutWaiting(descriptor);
  const kept: Buffer[] = [];
  let keptBytes = 0;
  let droppedEver = 0;
  let droppedNow = 0;
  let timer: NodeJS.Timeout | null = null;

  const drop = (): void => {
    droppedEver += 1;
    droppedNow += 1;
  };
  const keep = (bytes: Buffer): void => {
    kept.push(bytes);
    keptBytes += bytes.length;
    timer ??= setInterval(writeKept, TRY_AGAIN_MS).unref();
  };
  const writeKept = (): void => {
    while (kept[0] !== undefined) {
      const [first] = kept;
      const written = writeNow(fd, first);
      keptBytes -= written;
      if (written < first.length) {
        kept[0] = first.subarray(written);
        return;
      }
      kept.shift();
    }
    if (timer !== null) clearInterval(timer);
    timer = null;
    if (droppedNow === 0) return;
    const count = droppedNow;
    droppedNow = 0;
    sink.onRoom(count);
  };
  const sink: LogSink = {
    write: (line) => {
      const bytes = Buffer.from(line);
      if (kept.length > 0) writeKept();
      if (keptBytes + bytes.length > MAX_KEPT_BYTES) return drop();
      const written = kept.length > 0 ? 0 : writeNow(fd, bytes);
      // The rest of a line that was begun is kept, so that the next one does not begin in the middle of it.
      if (written < bytes.length) keep(bytes.subarray(written));
    },
    dropped: () => droppedEver,
    onRoom: () => {},
    flush: async (ms) => {
      for (const until = Date.now() + ms; kept.length > 0 && Date.now() < until; await pause(5)) writeKept();
    },
  };
  return sink;
}

/** How many bytes were taken. What cannot be written at all (it has no reader) counts as taken. */
function writeNow(fd: number, bytes: Buffer): number {
  try {
    return fs.writeSync(fd, bytes);
  } catch (error) {
    return errnoOf(error) === 'EAGAIN' ? 0 : bytes.length;
  }
}

/** Sockets that only serve to switch a descriptor over: they must not be collected, which would close it. */
const switched: Socket[] = [];

/**
 * The descriptor to write to. A pipe or a terminal is opened again, so that "without waiting" holds for us and not for
 * other programs that share it. A socket cannot be opened again, and a pipe of another user's may not: those are
 * switched over. A file or a device never waits for a reader.
 */
function withoutWaiting(fd: number): number {
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = fs.constants;
  try {
    const found = fs.fstatSync(fd);
    if (found.isFIFO() || isatty(fd)) {
      try {
        return fs.openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
      } catch {
        // Not ours to open, or no /proc.
      }
    }
    if (found.isFIFO() || found.isSocket()) switched.push(switchOver(fd));
  } catch {
    // It is closed, or of a kind that cannot be switched.
  }
  return fd;
}

function switchOver(fd: number): Socket {
  return new Socket({ fd, readable: false, writable: true }).unref();
}
