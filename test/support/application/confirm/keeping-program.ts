// Keeps one generation of the given size, and prints the result and the files that exist.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { toSidecarError } from '../../../../src/lib/errors.ts';
import { createGeneration } from '../../../../src/render/generation.ts';
import { releaseOf } from '../../../../src/render/release.ts';
import { keepGeneration } from '../../ledger/writing.ts';

export interface KeepingOrder {
  readonly directory: string;
  readonly number: number;
  readonly size: number;
}

export interface KeepingOutcome {
  readonly error: { readonly code: string; readonly message: string } | null;
  /** Names below the directory of the copies, with their sizes. */
  readonly there: Readonly<Record<string, number>>;
}

const { directory, number, size } = JSON.parse(process.argv[2] ?? '') as KeepingOrder;
const generation = createGeneration([{ name: 'a', bytes: Buffer.alloc(size, 'n') }], {
  mode: 0o644,
  owner: null,
});
const release = releaseOf([{ path: '', generation }]);
const version = { revision: '1', digest: 'd', rendering: generation.rendering, at: 1, input: 'i' };
let error: KeepingOutcome['error'] = null;
try {
  await keepGeneration(directory, { ...version, generation: number, confirmedAt: 2 }, release);
} catch (thrown) {
  const { code, message } = toSidecarError(thrown);
  error = { code, message };
}
const folder = join(directory, 'generations');
const there = Object.fromEntries(
  readdirSync(folder).map((name) => [name, statSync(join(folder, name)).size]),
);
process.stdout.write(JSON.stringify({ error, there }));
