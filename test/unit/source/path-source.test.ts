import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { followPath } from '../../../src/source/path-source.ts';
import type { Content } from '../../../src/source/provider.ts';
import { type ScanTarget, scan } from '../../../src/source/scan.ts';
import { snapshotOf, textOf } from '../../support/source/provider-contract.ts';

describe('followPath', () => {
  it('does not take what changed between the look and the reading', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'path-source-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const subject: ScanTarget = { thing: 'file', shown: 'app.json', path: join(directory, 'app.json') };
    writeFileSync(subject.path, 'before');
    utimesSync(subject.path, 1_000_000_000, 1_000_000_000);
    let looks = 0;
    // A writer that begins right after the first look, and has finished before the third.
    const lookAndLetWrite = (): ReturnType<typeof scan> => {
      looks += 1;
      if (looks === 3) writeFileSync(subject.path, 'after');
      const found = scan(subject);
      if (looks === 1) writeFileSync(subject.path, 'af');
      return found;
    };
    const toContent = (_survey: unknown, entries: readonly { readonly value: Uint8Array }[]): Content => ({
      kind: 'document',
      bytes: entries[0]?.value ?? new Uint8Array(),
      name: 'app.json',
      contentType: null,
      pointer: null,
    });
    const ending = new AbortController();
    const limits = { updateFrequencyMs: 600_000, fetchTimeoutMs: 10_000, maxBytes: 1_000 };
    const watch = followPath({ subject, scan: lookAndLetWrite, toContent }, limits)(ending.signal);
    const first = await watch.next();
    expect(first.done === true ? null : textOf(snapshotOf(first.value).content)).toBe('after');
    ending.abort();
    await watch.return();
  });
});
