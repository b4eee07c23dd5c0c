// Readers in a tight loop, and a publisher killed at any moment: no reader ever sees anything but a whole configuration.
import { once } from 'node:events';
import { lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Output, openPublisher, type Publisher } from '../../src/publish/publisher.ts';
import { createGeneration, type Generation } from '../../src/render/generation.ts';
import { compile, ended, type Program, startProgram } from '../support/publish/programs.ts';
import { publishNow } from '../support/publish/publish-now.ts';
import type { Order } from '../support/publish/publishing-program.ts';
import type { Readings } from '../support/publish/reading-program.ts';
import { scratch } from '../support/publish/scratch.ts';

const UPDATES = 1_000;

let reading: Program;
let publishing: Program;
beforeAll(() => {
  reading = compile('publish/reading-program.ts');
  publishing = compile('publish/publishing-program.ts');
});
afterAll(() => {
  reading.remove();
  publishing.remove();
});

/** Files of a size that hold one stamp of eight bytes over and over. */
function stamped(names: readonly string[], size: number, stamp: number): Generation {
  const bytes = Buffer.alloc(size, String(stamp).padStart(8, '0'));
  return createGeneration(
    names.map((name) => ({ name, bytes })),
    { mode: 0o644, owner: null },
  );
}

interface Loop {
  readonly output: Output;
  readonly names: readonly string[];
  readonly size: number;
}

/** Publishes again and again while another process reads. */
async function readWhilePublishing({ output, names, size }: Loop, publisher: Publisher): Promise<Readings> {
  await publishNow(publisher, stamped(names, size, 0));
  const lines: string[] = [];
  const reader = startProgram(reading, { path: output.path, files: names.length, size }, (line) =>
    lines.push(line),
  );
  await vi.waitFor(() => expect(lines).toEqual(['reading']), { timeout: 30_000 });
  for (let i = 1; i <= UPDATES; i += 1) {
    await publishNow(publisher, stamped(names, size, i));
    if (output.kind === 'directory') publisher.prune(performance.now());
  }
  reader.stdin?.end();
  await ended(reader);
  await vi.waitFor(() => expect(lines).toHaveLength(2), { timeout: 30_000 });
  return JSON.parse(lines[1] ?? '') as Readings;
}

describe('a reader in a tight loop', () => {
  it('never sees a partial, mixed or missing file over 1,000 updates of 800 kB', {
    timeout: 300_000,
  }, async () => {
    const output: Output = { kind: 'file', path: join(scratch(), 'app.conf') };
    const readings = await readWhilePublishing(
      { output, names: ['app.conf'], size: 800_000 },
      openPublisher(output, null),
    );
    expect(readings.wrong).toEqual([]);
    expect(readings.stamps).toBeGreaterThan(100);
  });

  it('never sees two versions in a directory of ten files when it resolves ..data once', {
    timeout: 300_000,
  }, async () => {
    const output: Output = { kind: 'directory', path: scratch() };
    const names = Array.from({ length: 10 }, (_, i) => `file-${i}`);
    const readings = await readWhilePublishing({ output, names, size: 8_000 }, openPublisher(output, null));
    expect(readings.wrong).toEqual([]);
    expect(readings.stamps).toBeGreaterThan(100);
  });
});

const KILLS = 110;

/** Starts the publisher, lets it publish at least once, and kills it at a random moment of its loop. */
async function killAtRandom(order: Order): Promise<void> {
  const child = startProgram(publishing, order);
  await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
  const delayMs = Math.random() * 12;
  const timer = setTimeout(() => child.kill('SIGKILL'), delayMs);
  await ended(child);
  clearTimeout(timer);
}

/** The one byte of which all the files consist; throws when they are not whole. */
function byteOf(paths: readonly string[], size: number): string {
  const texts = paths.map((path) => readFileSync(path));
  const [first = ''] = texts[0]?.toString('latin1') ?? '';
  for (const bytes of texts) expect(bytes.equals(Buffer.alloc(size, first))).toBe(true);
  return first;
}

describe('a publisher killed at any moment', () => {
  it('leaves a whole file, and left-overs that the next start removes', { timeout: 300_000 }, async () => {
    const directory = scratch();
    const path = join(directory, 'app.conf');
    const order: Order = { output: { kind: 'file', path }, files: { 'app.conf': 300_000 }, forEver: true };
    let leftOvers = 0;
    for (let i = 0; i < KILLS; i += 1) {
      await killAtRandom(order);
      byteOf([path], 300_000);
      const names = readdirSync(directory);
      leftOvers += names.length - 1;
      // The program removes them when it starts, so there is never more than one.
      expect(names.length).toBeLessThanOrEqual(2);
    }
    expect(leftOvers).toBeGreaterThan(0);
    openPublisher(order.output, null).recover();
    expect(readdirSync(directory)).toEqual(['app.conf']);
  });

  it('leaves a whole directory, and left-overs that the next start removes', {
    timeout: 300_000,
  }, async () => {
    const root = scratch();
    const names = ['a', 'b', 'c'];
    const output: Output = { kind: 'directory', path: root };
    const order: Order = {
      output,
      files: Object.fromEntries(names.map((name) => [name, 50_000])),
      forEver: true,
    };
    const publisher = openPublisher(output, null);
    let leftOvers = 0;
    for (let i = 0; i < KILLS; i += 1) {
      await killAtRandom(order);
      byteOf(
        names.map((name) => join(root, '..data', name)),
        50_000,
      );
      leftOvers += readdirSync(root).filter((name) => /^\.\.(stage|link)-/.test(name)).length;
      publisher.recover();
      byteOf(
        names.map((name) => join(root, name)),
        50_000,
      );
      expect(
        readdirSync(root)
          .filter((name) => !name.startsWith('..gen-'))
          .sort(),
      ).toEqual(['..data', ...names]);
      removeOldGenerations(root);
    }
    expect(leftOvers).toBeGreaterThan(0);
  });
});

/** They would fill the disk; how they are pruned is tested where the clock is ours. */
function removeOldGenerations(root: string): void {
  const current = lstatSync(join(root, '..data/')).ino;
  for (const name of readdirSync(root).filter((one) => one.startsWith('..gen-'))) {
    if (lstatSync(join(root, name)).ino !== current) rmSync(join(root, name), { recursive: true });
  }
}
