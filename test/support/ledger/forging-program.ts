// An attacker in a state directory: sockets under the names of locks that answer without end, drop by drop, not at all, or
// with something that no sidecar says.
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';

export interface ForgeryOrder {
  readonly directory: string;
  readonly answers: 'without end' | 'drop by drop' | 'not at all' | 'with control characters';
  /** How many sockets. */
  readonly sockets: number;
}

const { directory, answers, sockets } = JSON.parse(process.argv[2] ?? '') as ForgeryOrder;

const FLOOD = Buffer.alloc(65_536, '+');

function answer(socket: Socket): void {
  socket.on('error', () => {});
  if (answers === 'without end') flood(socket);
  if (answers === 'drop by drop') setInterval(() => socket.write('+'), 200);
  if (answers === 'with control characters') socket.end('+\u001b]0;evil\u0007\u009b31m\n');
}

function flood(socket: Socket): void {
  while (!socket.destroyed && socket.write(FLOOD));
  socket.once('drain', () => flood(socket));
}

for (let at = 0; at < sockets; at += 1) {
  const name = `lock.${at.toString(16).padStart(12, '0')}`;
  await new Promise<void>((resolve) => createServer(answer).listen(join(directory, name), resolve));
}
process.stdout.write('listening\n');
