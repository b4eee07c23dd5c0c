// The thread that does heavy work on large documents: an entry of its own in the built program.
import { parentPort } from 'node:worker_threads';
import { perform } from './perform.ts';
import type { Task } from './protocol.ts';

parentPort?.on('message', (task: Task) => {
  void perform(task).then((answer) => {
    const transfer = answer.kind === 'bytes' ? [answer.bytes.buffer as ArrayBuffer] : [];
    parentPort?.postMessage(answer, transfer);
  });
});
