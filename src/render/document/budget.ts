// How many values are believed, and how much memory work on a document may take: by the memory that there is.

import { readFileSync } from 'node:fs';
import { memoryLimit } from '../../lib/memory.ts';

const MIB = 1024 * 1024;

/** What one value costs at most while it is read, rendered and written. */
const BYTES_PER_VALUE = 512;

const MOST_VALUES = 2_000_000;

/** Where no limit is set, a thread gets this much. */
const MOST_HEAP_MB = 512;

/** What the program needs besides the thread's heap: what a thread costs at rest, and room for the collector. */
const RESERVE_MB = 20;

let values: number | undefined;

/** The most values of one document or tree. */
export function maxValues(): number {
  values ??= Math.min(MOST_VALUES, Math.floor(memoryLimit() / BYTES_PER_VALUE));
  return values;
}

/**
 * The heap that a thread may have now, in MiB; 0 or less: there is no room for one.
 * @param taskBytes what it is given, of which a copy is on its way in, and one on its way out.
 */
export function workerHeapMb(taskBytes: number): number {
  const free = memoryLimit() - memoryInUse() - 2 * taskBytes;
  return Math.min(MOST_HEAP_MB, Math.floor(free / MIB) - RESERVE_MB);
}

/** Pages of the program itself that are in use all the time; the others the kernel can drop when memory is short. */
const PROGRAM_BYTES = 20 * MIB;

/** Memory of this process that cannot be dropped, in bytes. */
function memoryInUse(): number {
  const [, anonymousKb] = /^RssAnon:\s+(\d+)/m.exec(readStatus()) ?? [];
  return anonymousKb === undefined ? process.memoryUsage.rss() : Number(anonymousKb) * 1024 + PROGRAM_BYTES;
}

function readStatus(): string {
  try {
    return readFileSync('/proc/self/status', 'latin1');
  } catch {
    return '';
  }
}

/** Half a sentence: a document or tree has more values than are believed. */
export function tooManyValues(): string {
  const most = maxValues();
  const advice = most < MOST_VALUES ? ', or raise the memory limit of the container' : '';
  return `it holds more than ${most} values; make it smaller${advice}`;
}
