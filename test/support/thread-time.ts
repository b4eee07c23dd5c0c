// Processor time of one thread: unit tests run as threads of one process, whose clock counts what all of them do.
import { readFileSync } from 'node:fs';

/** Milliseconds that the calling thread has spent on a processor. Linux only. */
export function threadTimeMs(): number {
  const [nanoseconds] = readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ');
  return Number(nanoseconds) / 1e6;
}
