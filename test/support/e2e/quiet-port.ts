// A port for a process that listens later: not one of those that the kernel hands out to processes that connect meanwhile.
import { createServer } from 'node:net';

/** Linux begins to hand out at 32768. */
const FIRST = 20_000;
const COUNT = 12_000;

/** A port of 127.0.0.1 that was free a moment ago, and that the kernel does not hand out. */
export async function quietPort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
