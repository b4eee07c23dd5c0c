// Publishes what its one argument says, and prints the result.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { toSidecarError } from '../../../src/lib/errors.ts';
import { type Output, openPublisher } from '../../../src/publish/publisher.ts';
import { createGeneration } from '../../../src/render/generation.ts';
import type { Owner } from '../../../src/settings/types.ts';
import { publishNow } from './publish-now.ts';

export interface Order {
  readonly output: Output;
  readonly owner?: Owner | null;
  readonly mode?: number;
  readonly umask?: number;
  /** Names and sizes of the files; their content is one byte repeated. */
  readonly files: Readonly<Record<string, number>>;
  /** Publish for ever, with other bytes each time: `a`, `b`, …; every publication is followed by a line. */
  readonly forEver?: boolean;
  /** Write with this library instead (only a file output). */
  readonly by?: 'write-file-atomic';
}

export interface Outcome {
  readonly error: { readonly code: string; readonly message: string } | null;
  /** Every name in the directory of the output, with size and first byte of regular files. */
  readonly there: Readonly<Record<string, { readonly size: number; readonly first: string } | null>>;
}

const order = JSON.parse(process.argv[2] ?? '') as Order;
const publisher = openPublisher(order.output, order.owner ?? null);

if (order.umask !== undefined) process.umask(order.umask);
if (order.forEver) await publishForEver();
else process.stdout.write(JSON.stringify(await publishOnce()));

async function publishForEver(): Promise<void> {
  publisher.recover();
  for (let round = 0; ; round += 1) {
    await publish(97 + (round % 26));
    process.stdout.write(`${round}\n`);
  }
}

async function publishOnce(): Promise<Outcome> {
  let error: Outcome['error'] = null;
  try {
    publisher.recover();
    await publish(110);
  } catch (thrown) {
    const { code, message } = toSidecarError(thrown);
    error = { code, message };
  }
  return { error, there: listing() };
}

async function publish(byte: number): Promise<void> {
  const files = Object.entries(order.files).map(([name, size]) => ({
    name,
    bytes: Buffer.alloc(size, byte),
  }));
  const { mode = 0o644, owner = null, output } = order;
  if (order.by === 'write-file-atomic')
    await writeFileAtomic(output.path, files[0]?.bytes ?? Buffer.alloc(0));
  else await publishNow(publisher, createGeneration(files, { mode, owner }));
}

function listing(): Outcome['there'] {
  const { kind, path } = order.output;
  const directory = kind === 'file' ? dirname(path) : path;
  return Object.fromEntries(
    names(directory).map((name) => [basename(name), describe(join(directory, name))]),
  );
}

function names(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function describe(path: string): Outcome['there'][string] {
  try {
    if (!statSync(path).isFile()) return null;
    const bytes = readFileSync(path);
    return { size: bytes.length, first: bytes.subarray(0, 1).toString() };
  } catch {
    return null;
  }
}
