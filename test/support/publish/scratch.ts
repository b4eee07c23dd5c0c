// Directories and generations of the publishing tests.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { SidecarError } from '../../../src/lib/errors.ts';
import { createGeneration, type Generation } from '../../../src/render/generation.ts';
import { type Release, releaseOf } from '../../../src/render/release.ts';
import type { Owner } from '../../../src/settings/types.ts';

/** A directory of the running test's own, removed at its end. */
export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'publish-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export interface How {
  readonly mode?: number;
  readonly owner?: Owner | null;
}

export function generation(
  files: Readonly<Record<string, string>>,
  { mode = 0o644, owner = null }: How = {},
): Generation {
  const named = Object.entries(files).map(([name, text]) => ({ name, bytes: Buffer.from(text) }));
  return createGeneration(named, { mode, owner });
}

/** A release of one output, whose path plays no part. */
export function release(files: Readonly<Record<string, string>>, how: How = {}): Release {
  return releaseOf([{ path: '', generation: generation(files, how) }]);
}

/** The error that the work ends in. */
export async function errorOf(
  work: () => unknown,
): Promise<{ readonly code: string; readonly message: string }> {
  try {
    await work();
  } catch (error) {
    if (error instanceof SidecarError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('It succeeded.');
}
