// Several outputs on real disks: staged whole, swapped in order, finished after a crash, and nothing of others is touched.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryName } from '../../../src/publish/atomic-file.ts';
import { openOutputs } from '../../../src/publish/outputs.ts';
import { type Release, releaseOf, renderingOf } from '../../../src/render/release.ts';
import { errorOf, generation, scratch } from '../../support/publish/scratch.ts';

function place() {
  const root = scratch();
  const at = (path: string): string => join(root, path);
  mkdirSync(at('a'));
  mkdirSync(at('b'));
  const open = () =>
    openOutputs(
      [
        { kind: 'file', path: at('a/app.conf'), owner: null },
        { kind: 'directory', path: at('b'), owner: null },
      ],
      1_000_000,
    );
  const release = (file: string, inDirectory = file): Release =>
    releaseOf([
      { path: at('a/app.conf'), generation: generation({ 'app.conf': file }) },
      { path: at('b'), generation: generation({ 'one.conf': inDirectory, 'sub/two.conf': inDirectory }) },
    ]);
  const publish = async (outputs: ReturnType<typeof open>, wanted: Release) => {
    const staged = await outputs.stage(wanted);
    await staged.swap();
    await outputs.settled();
    return staged;
  };
  const shown = (): readonly (string | null)[] =>
    ['a/app.conf', 'b/one.conf', 'b/sub/two.conf'].map((path) =>
      existsSync(at(path)) ? readFileSync(at(path), 'utf8') : null,
    );
  return { at, open, release, publish, shown };
}

/** Visible names, and hidden ones that are no generation. */
function namesIn(directory: string): readonly string[] {
  return readdirSync(directory).filter((name) => !name.startsWith('..gen-'));
}

describe('a release of two outputs', () => {
  it('looks like what was published, and different after a change in any of them', async () => {
    const { at, open, release, publish, shown } = place();
    const outputs = open();
    expect(outputs.look()).toMatchObject({ rendering: null, changedAt: null, problem: null });
    expect(outputs.isThere()).toBe(false);
    await publish(outputs, release('1'));
    expect(shown()).toEqual(['1', '1', '1']);
    expect(outputs.look()).toMatchObject({ rendering: release('1').rendering, problem: null });
    expect(await outputs.lookInSlices()).toEqual(outputs.look());
    expect(outputs.read().rendering).toBe(release('1').rendering);
    expect(outputs.isThere()).toBe(true);
    writeFileSync(at('b/one.conf'), 'x');
    expect(outputs.look().rendering).not.toBe(release('1').rendering);
    rmSync(at('b'), { recursive: true });
    expect(outputs.look().problem?.code).toBe('publish.no-directory');
    expect(outputs.isThere()).toBe(false);
    outputs.release();
  });

  it('is the same in any order, and one output is as it was without another', () => {
    const { release } = place();
    const { parts, rendering } = release('1');
    expect(releaseOf([...parts].reverse()).rendering).toBe(rendering);
    const [first] = parts;
    expect(releaseOf(parts.slice(0, 1)).rendering).toBe(first?.generation.rendering);
    const missing = parts.map(({ path }, at) => ({ path, rendering: at === 0 ? null : 'r' }));
    expect(renderingOf(missing)).not.toBe(rendering);
  });

  it('is staged before anything is visible; what is discarded leaves nothing', async () => {
    const { at, open, release, publish, shown } = place();
    const outputs = open();
    await publish(outputs, release('1'));
    const staged = await outputs.stage(release('2'));
    expect(shown()).toEqual(['1', '1', '1']);
    expect(staged.parts.map(({ output }) => output)).toEqual([at('a/app.conf'), at('b')]);
    await staged.discard();
    expect(namesIn(at('a'))).toEqual(['app.conf']);
    expect(readdirSync(at('b')).filter((name) => name.startsWith('..gen-'))).toHaveLength(1);
    outputs.release();
  });

  it('writes no output that shows it already', async () => {
    const { at, open, release, publish } = place();
    const outputs = open();
    await publish(outputs, release('1', 'same'));
    const before = statSync(at('b/one.conf')).ino;
    const staged = await publish(outputs, release('2', 'same'));
    // One swap has nothing between the first and the last.
    expect(staged.parts).toEqual([]);
    expect(statSync(at('b/one.conf')).ino).toBe(before);
    expect(outputs.look().rendering).toBe(release('2', 'same').rendering);
    outputs.release();
  });

  it('that cannot be staged in one output is visible in none, and leaves nothing', async () => {
    const { at, open, release, publish, shown } = place();
    const outputs = open();
    await publish(outputs, release('1'));
    mkdirSync(at('b/..else'));
    rmSync(at('b/sub'));
    writeFileSync(at('b/sub'), 'of others');
    const { code } = await errorOf(() => outputs.stage(release('2')));
    expect(code).toBe('publish.foreign');
    expect(shown().slice(0, 2)).toEqual(['1', '1']);
    expect(namesIn(at('a'))).toEqual(['app.conf']);
    outputs.release();
  });

  it('whose second swap fails is published by the next try', async () => {
    const { at, open, release, publish, shown } = place();
    const outputs = open();
    await publish(outputs, release('1'));
    const staged = await outputs.stage(release('2'));
    rmSync(at('b/..data'));
    mkdirSync(at('b/..data'));
    await errorOf(() => staged.swap());
    await staged.discard();
    expect(shown()[0]).toBe('2');
    expect(outputs.look().rendering).not.toBe(release('2').rendering);
    rmSync(at('b/..data'), { recursive: true });
    await publish(outputs, release('2'));
    expect(shown()).toEqual(['2', '2', '2']);
    outputs.release();
  });
});

describe('after a crash between two swaps', () => {
  /** The first output shows the new release, the second one does not; the rest is staged. */
  async function half() {
    const one = place();
    const outputs = one.open();
    await one.publish(outputs, one.release('1'));
    const { parts } = await outputs.stage(one.release('2'));
    const hidden = parts[0]?.name ?? '';
    renameSync(one.at(`a/${hidden}`), one.at('a/app.conf'));
    outputs.release();
    return { ...one, parts };
  }

  it('the rest is made visible, and nothing is left', async () => {
    const { at, open, release, parts, shown } = await half();
    expect(shown()).toEqual(['2', '1', '1']);
    const outputs = open();
    await outputs.complete(parts);
    outputs.recover();
    expect(shown()).toEqual(['2', '2', '2']);
    expect(outputs.look().rendering).toBe(release('2').rendering);
    expect(namesIn(at('a'))).toEqual(['app.conf']);
    expect([...namesIn(at('b'))].sort()).toEqual(['..data', 'one.conf', 'sub']);
    outputs.release();
  });

  it('nothing is done where nothing was visible, and what was staged goes', async () => {
    const { at, open, release, publish, shown } = place();
    const first = open();
    await publish(first, release('1'));
    const { parts } = await first.stage(release('2'));
    first.release();
    const outputs = open();
    await outputs.complete(parts);
    outputs.recover();
    expect(shown()).toEqual(['1', '1', '1']);
    expect(namesIn(at('a'))).toEqual(['app.conf']);
    outputs.release();
  });

  it('nothing is done where a part is gone, belongs to another output, or has a foreign name', async () => {
    const { at, open, parts, shown } = await half();
    const [first, second] = parts;
    if (first === undefined || second === undefined) throw new Error('nothing was staged');
    const outputs = open();
    writeFileSync(at('b/theirs'), 'theirs');
    for (const other of [
      { ...second, output: at('elsewhere') },
      { ...second, name: 'theirs' },
      { ...second, name: '..gen-000000000000' },
      { ...second, name: '../a' },
      { ...second, name: temporaryName('theirs') },
    ]) {
      await outputs.complete([first, other]);
      expect(shown()).toEqual(['2', '1', '1']);
    }
    expect(readFileSync(at('b/theirs'), 'utf8')).toBe('theirs');
    outputs.release();
  });
});
