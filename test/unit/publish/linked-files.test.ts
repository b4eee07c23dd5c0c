// Files of a directory output that have not changed are linked from the generation before, unless others have touched them.
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openPublisher } from '../../../src/publish/publisher.ts';
import { GRACE_MS } from '../../../src/publish/retired.ts';
import { createGeneration, type Generation } from '../../../src/render/generation.ts';
import { until } from '../../support/e2e/until.ts';
import { publishNow } from '../../support/publish/publish-now.ts';
import { generation, scratch } from '../../support/publish/scratch.ts';

const FILES = { a: 'one', 'b/c': 'two', 'b/d/e': 'three', z: 'four' };
const NAMES = Object.keys(FILES);

/** A published directory; `publish` changes `z` and returns which files are new. */
async function published() {
  const root = scratch();
  const publisher = openPublisher({ kind: 'directory', path: root }, null);
  await publishNow(publisher, generation(FILES));
  const inodes = (): readonly number[] =>
    NAMES.map((name) => statSync(join(root, name), { throwIfNoEntry: false })?.ino ?? 0);
  const publish = async (
    next: Generation = generation({ ...FILES, z: 'five' }),
  ): Promise<readonly string[]> => {
    const before = inodes();
    await publishNow(publisher, next);
    const after = inodes();
    expect(publisher.look().rendering).toBe(next.rendering);
    return NAMES.filter((_, at) => before[at] !== after[at]);
  };
  return { root, publisher, publish, live: join(root, readlinkSync(join(root, '..data'))) };
}

describe('of a directory', () => {
  it('only what has changed is written again', async () => {
    const { root, publish } = await published();
    expect(await publish()).toEqual(['z']);
    expect(await publish(generation({ ...FILES, 'b/c': 'deux' }))).toEqual(['b/c', 'z']);
    expect(readFileSync(join(root, 'b/d/e'), 'utf8')).toBe('three');
  });

  it('names that come and go leave the others linked', async () => {
    const { publisher, publish } = await published();
    const more = generation({ ...FILES, '0': 'first', 'b/bb': 'between', 'b/d/f/g': 'below', zz: 'last' });
    expect(await publish(more)).toEqual([]);
    expect(await publish(generation(FILES))).toEqual([]);
    expect(publisher.read().map(({ name }) => name)).toEqual(NAMES);
  });

  it('what stands for a folder now, or for a file, is written again', async () => {
    const { root, publisher } = await published();
    await publishNow(publisher, generation({ 'a/x': 'one', b: 'two' }));
    expect([readFileSync(join(root, 'a/x'), 'utf8'), readFileSync(join(root, 'b'), 'utf8')]).toEqual([
      'one',
      'two',
    ]);
    await publishNow(publisher, generation(FILES));
    expect(publisher.look().rendering).toBe(generation(FILES).rendering);
  });

  it('another mode writes all of them again, and leaves those of the generation before as they are', async () => {
    const { live, publish } = await published();
    const files = NAMES.map((name) => ({ name, bytes: Buffer.from(FILES[name as keyof typeof FILES]) }));
    expect(await publish(createGeneration(files, { mode: 0o600, owner: null }))).toEqual(NAMES);
    expect(lstatSync(join(live, 'a')).mode & 0o777).toBe(0o644);
  });

  it.each<[string, (file: string) => void]>([
    ['wrote other bytes of the same length into it', (file) => writeFileSync(file, 'eno')],
    ['made it shorter', (file) => writeFileSync(file, 'on')],
    ['changed its mode', (file) => chmodSync(file, 0o666)],
    [
      'put another file in its place',
      (file) => {
        writeFileSync(`${file}.next`, 'one');
        renameSync(`${file}.next`, file);
      },
    ],
    [
      'put a link in its place',
      (file) => {
        renameSync(file, `${file}.moved`);
        symlinkSync(`${file}.moved`, file);
      },
    ],
    [
      'put a directory in its place',
      (file) => {
        rmSync(file);
        mkdirSync(file);
      },
    ],
    ['removed it', (file) => rmSync(file)],
  ])('a file is written again when another process %s', async (_what, tamper) => {
    const { live, publish } = await published();
    // The times of files are taken from a clock that ticks every few milliseconds.
    await wait(20);
    tamper(join(live, 'a'));
    expect(await publish()).toEqual(['a', 'z']);
  });

  it('a file that was changed without a trace is replaced at the look that sees it, and so are all others', async () => {
    const { live, publisher, publish } = await published();
    const { atime, mtime } = statSync(join(live, 'a'));
    writeFileSync(join(live, 'a'), 'eno');
    utimesSync(join(live, 'a'), atime, mtime);
    expect(publisher.look().rendering).not.toBe(generation(FILES).rendering);
    expect(await publish(generation(FILES))).toEqual(NAMES);
  });

  it('a generation that is removed takes nothing away from the one that shares its files', async () => {
    const { root, live, publisher, publish } = await published();
    await publish();
    publisher.prune(0);
    publisher.prune(GRACE_MS);
    await until('it is gone', () => !readdirSync(root).includes(basename(live)));
    expect(await publish(generation(FILES))).toEqual(['z']);
    expect(statSync(join(root, 'a')).nlink).toBe(2);
  });

  it('a name of the same file elsewhere, made by others, changes nothing', async () => {
    const { live, publish } = await published();
    linkSync(join(live, 'a'), join(scratch(), 'elsewhere'));
    expect(await publish()).toEqual(['z']);
  });
});
