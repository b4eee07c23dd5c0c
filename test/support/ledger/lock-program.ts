// Takes and gives up one lock over and over, as one of many processes, and kills itself at a random moment. Prints a line
// whenever it held the lock, and `both` if another process held it at the same time.
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLock } from '../../../src/ledger/lock.ts';

export interface LockOrder {
  readonly directory: string;
  /** A name of the kernel's own that two cannot have at once: it shows when the lock fails. */
  readonly witness: string;
  /** Dies by SIGKILL after up to this long; null: takes the lock once and keeps it. */
  readonly livesForMs: number | null;
}

const order = JSON.parse(process.argv[2] ?? '') as LockOrder;
let witness: Server | null = null;

if (order.livesForMs === null) await keep();
else await contend(order.livesForMs);

async function keep(): Promise<void> {
  const result = await tryLock(order.directory, `process ${process.pid}`);
  process.stdout.write(`${result.kind}\n`);
  setInterval(() => {}, 60_000);
}

async function contend(livesForMs: number): Promise<void> {
  setTimeout(die, Math.random() * livesForMs);
  for (;;) {
    const result = await tryLock(order.directory, 'a contender');
    if (result.kind === 'taken') {
      await hold();
      result.release();
    }
    await sleep(Math.random() * 4);
  }
}

async function hold(): Promise<void> {
  witness = await testify();
  process.stdout.write(witness === null ? 'both\n' : 'held\n');
  await sleep(Math.random() * 6);
  const closing = witness;
  witness = null;
  await new Promise<void>((resolve) => (closing === null ? resolve() : closing.close(() => resolve())));
}

/** null when another process has the name. */
function testify(): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen(`\0${order.witness}`, () => resolve(server));
  });
}

/** The witness goes first, so that it never outlives the lock. */
function die(): void {
  const closing = witness;
  if (closing === null) process.kill(process.pid, 'SIGKILL');
  else closing.close(() => process.kill(process.pid, 'SIGKILL'));
}
