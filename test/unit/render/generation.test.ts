// The digest of a generation: what it is made of. It is kept on disk, so it must not change with the program.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createGeneration, type GenerationFile } from '../../../src/render/generation.ts';
import type { Owner } from '../../../src/settings/types.ts';

/** File by file, each by itself. */
function digestOf(files: readonly GenerationFile[], mode: number, owner: Owner | null): string {
  const hash = createHash('sha256');
  const who = owner === null ? '' : `${owner.uid}:${owner.gid ?? ''}`;
  for (const file of [...files].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    hash.update(JSON.stringify([file.name, (file.mode ?? mode).toString(8), who, file.bytes.length]));
    hash.update(file.bytes);
  }
  return `sha256:${hash.digest('hex')}`;
}

const name = fc.tuple(fc.string({ unit: 'grapheme' }), fc.constantFrom(1, 1, 1, 2_000));
const file = fc.record({
  name: name.map(([text, times]) => text.repeat(times)),
  bytes: fc
    .tuple(fc.uint8Array(), fc.constantFrom(1, 1, 30, 500))
    .map(([bytes, times]) => Buffer.concat(Array.from({ length: times }, () => bytes))),
  mode: fc.constantFrom(undefined, 0o600, 0o755),
});
const files = fc
  .uniqueArray(file, { selector: (one) => one.name, maxLength: 60 })
  .map((all) => all.map(({ mode, ...one }) => (mode === undefined ? one : { ...one, mode })));
const owner = fc.constantFrom<(Owner | null)[]>(null, { uid: 5, gid: null }, { uid: 1, gid: 2 });

describe('the digest of a generation', () => {
  it('is that of its files one after the other, however small or large they are', () => {
    const law = fc.property(files, owner, (some, who) => {
      const { rendering } = createGeneration(some, { mode: 0o644, owner: who });
      expect(rendering).toBe(digestOf(some, 0o644, who));
    });
    fc.assert(law, { numRuns: 300 });
  });

  it('is the same as ever', () => {
    const some = [
      { name: 'b/é', bytes: Buffer.from('two'), mode: 0o600 },
      { name: 'a', bytes: Buffer.from('one') },
    ];
    const { rendering } = createGeneration(some, { mode: 0o644, owner: { uid: 1, gid: null } });
    expect(rendering).toBe('sha256:2f97a216a1c0d662c3b962689366eef034d2b329a57e33e2f3d99cb643fbe3e9');
  });
});
