// Reads an output in a tight loop until its standard input ends, then prints how often it read and every wrong reading.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

export interface Readings {
  readonly reads: number;
  /** How many different contents were seen. */
  readonly stamps: number;
  readonly wrong: readonly string[];
}

const order = JSON.parse(process.argv[2] ?? '') as {
  readonly path: string;
  readonly files: number;
  readonly size: number;
};
const seen = new Set<string>();
const wrong: string[] = [];
let reads = 0;
let isOver = false;
process.stdin.on('end', () => {
  isOver = true;
});
process.stdin.resume();
process.stdout.write('reading\n');
while (!isOver) {
  for (let i = 0; i < 20; i += 1) readOnce();
  await new Promise((resolve) => setImmediate(resolve));
}
process.stdout.write(
  `${JSON.stringify({ reads, stamps: seen.size, wrong: wrong.slice(0, 20) } satisfies Readings)}\n`,
);

function readOnce(): void {
  reads += 1;
  try {
    const stamps =
      order.files === 1
        ? [stampOf(order.path)]
        : stampsOf(join(order.path, readlinkSync(join(order.path, '..data'))));
    for (const stamp of stamps) seen.add(stamp);
    if (new Set(stamps).size !== 1) wrong.push(`mixed: ${stamps.join(' ')}`);
  } catch (error) {
    wrong.push(String(error));
  }
}

/** The directory as one resolved `..data`: all its files. */
function stampsOf(generation: string): readonly string[] {
  const names = readdirSync(generation);
  if (names.length !== order.files) throw new Error(`${names.length} files`);
  return names.map((name) => stampOf(join(generation, name)));
}

/** A file is one stamp of eight bytes, repeated. */
function stampOf(path: string): string {
  const bytes = readFileSync(path);
  const stamp = bytes.subarray(0, 8);
  if (bytes.length !== order.size) throw new Error(`${bytes.length} bytes`);
  if (!bytes.equals(Buffer.alloc(order.size, stamp))) throw new Error('two stamps in one file');
  return stamp.toString();
}
