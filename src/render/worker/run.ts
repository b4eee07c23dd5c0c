// Runs heavy work in a thread of its own, which is started for it and can be stopped: its time and memory are bounded.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { collectGarbage, compileWhatIsHot } from '../../lib/engine.ts';
import { memoryLimit } from '../../lib/memory.ts';
import { workerHeapMb } from '../document/budget.ts';
import { FormatError } from '../document/format-error.ts';
import { perform } from './perform.ts';
import type { Task, TaskAnswer } from './protocol.ts';

/** With less than this a thread does not even start. */
const LEAST_HEAP_MB = 12;

/** Longest time one task may take. */
const LIMIT_MS = 30_000;

const MIB = 1024 * 1024;

/** In the built program the thread's file lies beside the main one; sources that run as they are have none. */
const FILE = ['../document-worker.js', './document-worker.js']
  .map((name) => fileURLToPath(new URL(name, import.meta.url)))
  .find((path) => existsSync(path));

let last: Promise<unknown> = Promise.resolve();

/**
 * Does a task, after those that were asked for before: two at a time would need the memory of two.
 * @throws FormatError when it needs more time or memory than it may.
 */
export function runTask(task: Task): Promise<TaskAnswer> {
  const path = FILE;
  if (path === undefined) return perform(task);
  const running = last.then(() => inThread(path, task));
  last = running.catch(() => {});
  return running;
}

async function inThread(path: string, task: Task): Promise<TaskAnswer> {
  // What the program has dropped already is room for the thread.
  if (memoryLimit() < Number.POSITIVE_INFINITY) collectGarbage();
  compileWhatIsHot();
  const heapMb = workerHeapMb(bytesOf(task).length);
  if (heapMb < LEAST_HEAP_MB) throw tooMuch(Math.max(0, heapMb));
  const worker = new Worker(path, {
    stdin: false,
    stdout: false,
    stderr: true,
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: 4, stackSizeMb: 4 },
  });
  worker.unref();
  try {
    return await answerOf(worker, task, heapMb);
  } finally {
    await worker.terminate();
  }
}

function answerOf(worker: Worker, task: Task, heapMb: number): Promise<TaskAnswer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new FormatError(`it takes longer than ${LIMIT_MS / 1000} s; make it smaller or simpler`));
    }, LIMIT_MS);
    const end = (finish: () => void) => {
      clearTimeout(timer);
      finish();
    };
    worker.on('message', (answer: TaskAnswer) => end(() => resolve(answer)));
    worker.on('error', (error) => end(() => reject(explain(error, heapMb))));
    worker.on('exit', () => end(() => reject(tooMuch(heapMb))));
    worker.postMessage(task, [bytesOf(task).buffer as ArrayBuffer]);
  });
}

function bytesOf(task: Task): Uint8Array {
  return 'json' in task ? task.json : task.bytes;
}

function explain(error: Error, heapMb: number): Error {
  return 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? tooMuch(heapMb) : error;
}

function tooMuch(heapMb: number): FormatError {
  const limit = memoryLimit();
  const advice =
    limit < Number.POSITIVE_INFINITY
      ? `make it smaller, or raise the memory limit of the container, which is ${Math.floor(limit / MIB)} MiB`
      : 'make it smaller';
  return new FormatError(`it needs more memory than the ${heapMb} MiB that are left for it; ${advice}`);
}
