// Copies of generations on real disks: they come back whole or not at all, and nothing of others is touched.
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  CopyFolder,
  findGenerations,
  pruneGenerations,
  readGeneration,
} from '../../../src/ledger/kept-generations.ts';
import type { KeptGeneration } from '../../../src/ledger/ledger.ts';
import { temporaryName } from '../../../src/publish/atomic-file.ts';
import { createGeneration } from '../../../src/render/generation.ts';
import { type Release, releaseOf } from '../../../src/render/release.ts';
import type { KeepingOrder, KeepingOutcome } from '../../support/application/confirm/keeping-program.ts';
import { keepGeneration } from '../../support/ledger/writing.ts';
import { compile, type Program, runProgram } from '../../support/publish/programs.ts';
import { errorOf, generation, release, scratch } from '../../support/publish/scratch.ts';

function keptOf({ rendering }: Release, number: number, confirmedAt = number * 1_000): KeptGeneration {
  return {
    revision: `rev-${number}`,
    digest: `sha256:d${number}`,
    rendering,
    input: `input-${number}`,
    at: 500,
    generation: number,
    confirmedAt,
  };
}

const LARGEST = 2 ** 20;

function copyOf(directory: string, number: number): string {
  return join(directory, 'generations', `${number}.json`);
}

interface Copied {
  readonly directory: string;
  readonly path: string;
  readonly kept: KeptGeneration;
  readonly original: Release;
}

async function copied(
  files: Readonly<Record<string, string>> = { 'app.conf': 'port = 1\n' },
): Promise<Copied> {
  const directory = scratch();
  const original = release(files);
  const kept = keptOf(original, 7);
  await keepGeneration(directory, kept, original);
  return { directory, path: copyOf(directory, 7), kept, original };
}

describe('a kept generation', () => {
  it('is read as it was, modes and owner too, and only this user can read it', async () => {
    const directory = scratch();
    const files = [
      { name: 'sub/b', bytes: Buffer.from('\uFEFF{"a": "ü\u2028\0"}\r\n') },
      { name: 'a', bytes: Buffer.alloc(0) },
    ];
    const owner = { uid: 65_534, gid: null };
    const original = releaseOf([{ path: '', generation: createGeneration(files, { mode: 0o640, owner }) }]);
    const kept = keptOf(original, 12);
    await keepGeneration(directory, kept, original);
    expect(readGeneration(directory, kept)).toEqual(original);
    expect(statSync(join(directory, 'generations')).mode & 0o777).toBe(0o700);
    expect(statSync(copyOf(directory, 12)).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(directory, 'generations'))).toEqual(['12.json']);
  });

  it('is text where it can be, so that a person can read it', async () => {
    const { path } = await copied();
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({
      files: [{ name: 'app.conf', text: 'port = 1\n' }],
    });
  });

  it('comes back byte for byte where it is no text', async () => {
    const directory = scratch();
    const bytes = [
      randomBytes(100_000),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('ok \xed\xa0\x80', 'latin1'),
      // A view into something larger.
      Buffer.from('xx\xffyy', 'latin1').subarray(1, 4),
      new Uint8Array([0xc3]),
    ];
    const files = bytes.map((one, i) => ({ name: `f${i}`, bytes: one }));
    const whole = createGeneration(files, { mode: 0o644, owner: null });
    const original = releaseOf([{ path: '', generation: whole }]);
    await keepGeneration(directory, keptOf(original, 1), original);
    const [read] = readGeneration(directory, keptOf(original, 1)).parts;
    expect(read?.generation.files.map((file) => Buffer.from(file.bytes))).toEqual(
      bytes.map((one) => Buffer.from(one)),
    );
  });

  it('may have 10,000 files', async () => {
    const directory = scratch();
    const names = Array.from({ length: 10_000 }, (_, i) => [`conf.d/${i}.conf`, `value ${i}\n`.repeat(10)]);
    const original = release(Object.fromEntries(names));
    const kept = keptOf(original, 3);
    await keepGeneration(directory, kept, original);
    expect(readGeneration(directory, kept).rendering).toBe(original.rendering);
    expect(readdirSync(join(directory, 'generations'))).toEqual(['3.json']);
  });

  it('replaces the one that had its number', async () => {
    const { directory } = await copied();
    const other = release({ 'app.conf': 'port = 2\n' });
    await keepGeneration(directory, keptOf(other, 7), other);
    expect(readGeneration(directory, keptOf(other, 7))).toEqual(other);
  });
});

describe('a copy of several outputs', () => {
  const several = () => {
    const owner = { uid: 7, gid: null };
    const files = [
      { name: 'a.key', bytes: Buffer.from('secret'), mode: 0o600 },
      { name: 'b.crt', bytes: Buffer.from('public') },
      { name: 'c.key', bytes: Buffer.from('\xff', 'latin1'), mode: 0o600 },
    ];
    return releaseOf([
      { path: '/etc/app.conf', generation: generation({ 'app.conf': 'port = 1\n' }, { mode: 0o640 }) },
      { path: '/etc/tls', generation: createGeneration(files, { mode: 0o644, owner }) },
      { path: '/etc/empty', generation: generation({}) },
    ]);
  };
  const kept = async () => {
    const [directory, original] = [scratch(), several()];
    await keepGeneration(directory, keptOf(original, 4), original);
    const read = (...outputs: string[]) => readGeneration(directory, keptOf(original, 4), { outputs });
    return { directory, original, read };
  };

  const filesOf = ({ parts }: Release) =>
    parts.flatMap(({ path, generation: { files, mode, owner } }) =>
      files.map((file) => [
        path,
        file.name,
        file.mode ?? mode,
        owner,
        Buffer.from(file.bytes).toString('hex'),
      ]),
    );

  it('brings back all of them, with the owner and the mode of every file', async () => {
    const { directory, original, read } = await kept();
    const found = read('/etc/app.conf', '/etc/tls', '/etc/empty');
    expect(found.rendering).toBe(original.rendering);
    expect(filesOf(found)).toEqual(filesOf(original));
    expect(findGenerations(directory)).toEqual([keptOf(original, 4)]);
  });

  it('serves the same outputs in another order, and no others', async () => {
    const { original, read } = await kept();
    expect(read('/etc/empty', '/etc/tls', '/etc/app.conf').rendering).toBe(original.rendering);
    for (const outputs of [
      ['/etc/app.conf'],
      ['/etc/app.conf', '/etc/tls'],
      ['/etc/app.conf', '/etc/tls', '/x'],
    ]) {
      const { message } = await errorOf(() => read(...outputs));
      expect(message).toMatch(/it was kept for other outputs$/);
    }
  });

  it('is never made of one that was kept for one output', async () => {
    const { directory, original } = await copied();
    const outputs = ['/etc/app.conf', '/etc/tls'];
    const { message } = await errorOf(() => readGeneration(directory, keptOf(original, 7), { outputs }));
    expect(message).toMatch(/it was kept for other outputs$/);
    expect(
      readGeneration(directory, keptOf(original, 7), { outputs: ['/moved/app.conf'] }).parts,
    ).toMatchObject([{ path: '/moved/app.conf' }]);
  });

  it('of one output with modes of single files has them all', async () => {
    const directory = scratch();
    const [, { generation: tls }] = several().parts as [unknown, Release['parts'][number]];
    const original = releaseOf([{ path: '/etc/tls', generation: tls }]);
    await keepGeneration(directory, keptOf(original, 1), original);
    const found = readGeneration(directory, keptOf(original, 1), { outputs: ['/etc/tls'] });
    expect(found.rendering).toBe(original.rendering);
    expect(filesOf(found)).toEqual(filesOf(original));
  });

  it.each([
    ['a count that is too large', '"count":2', '"count":3'],
    ['a count below zero', '"count":1', '"count":-1'],
    ['a mode that no file of ours has', '"mode":416', '"mode":2541'],
  ])('is refused with %s', async (_what, before, after) => {
    const { directory, read } = await kept();
    const path = copyOf(directory, 4);
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace(before, after));
    expect(readFileSync(path, 'utf8')).not.toBe(text);
    const { code } = await errorOf(() => read('/etc/app.conf', '/etc/tls', '/etc/empty'));
    expect(code).toBe('state.generation-damaged');
  });
});

describe('a copy that is not what was kept', () => {
  const reading = async ({ directory, kept }: Copied) => await errorOf(() => readGeneration(directory, kept));
  const refusal = ({ path }: Copied, reason: string) => ({
    code: 'state.generation-damaged',
    message: `Cannot roll back to generation 7 in "${path}": ${reason}`,
  });

  it('is refused when it is cut at any byte', async () => {
    const one = await copied();
    const bytes = readFileSync(one.path);
    // The last byte is a line feed, which nothing depends on.
    for (let length = 0; length < bytes.length - 1; length += 1) {
      writeFileSync(one.path, bytes.subarray(0, length));
      expect(await reading(one), `cut at ${length}`).toEqual(refusal(one, 'it is cut or changed'));
    }
  });

  it('is refused when any of its files, their names, mode or owner has changed', async () => {
    const one = await copied({ 'app.conf': 'port = 1\n', b: 'x' });
    const text = readFileSync(one.path, 'utf8');
    const changes: readonly (readonly [string, string])[] = [
      ['port = 1', 'port = 2'],
      ['"b"', '"c"'],
      ['"mode":420', '"mode":511'],
      ['"owner":null', '"owner":{"uid":0,"gid":null}'],
      [',{"name":"b","text":"x"}', ''],
    ];
    for (const [from, to] of changes) {
      expect(text).toContain(from);
      writeFileSync(one.path, text.replace(from, to));
      expect(await reading(one), from).toEqual(refusal(one, 'its files are not those that were kept'));
    }
    writeFileSync(one.path, text);
    expect(readGeneration(one.directory, one.kept)).toEqual(one.original);
  });

  it.each([
    'null',
    '[]',
    '7',
    '{}',
    '{"format":1}',
    '{"format":1,"files":[null]}',
    '\0'.repeat(99),
    '{"format":1,"files":[{"name":"a"}]}',
  ])('is refused when it holds %j', async (text) => {
    const one = await copied();
    writeFileSync(one.path, text);
    expect((await reading(one)).code).toBe('state.generation-damaged');
  });

  it('is refused when another version of ours wrote it', async () => {
    const one = await copied();
    writeFileSync(one.path, readFileSync(one.path, 'utf8').replace('"format":1', '"format":3'));
    expect(await reading(one)).toEqual(refusal(one, 'it was written by another version of config-sidecar'));
  });

  it('is refused when it is another generation under its number', async () => {
    const one = await copied();
    const other = release({ 'app.conf': 'port = 2\n' });
    await keepGeneration(one.directory, keptOf(other, 8), other);
    renameSync(copyOf(one.directory, 8), one.path);
    expect(await reading(one)).toEqual(refusal(one, 'its files are not those that were kept'));
  });

  it('is refused when it is not there, or nothing is', async () => {
    const one = await copied();
    expect(await errorOf(() => readGeneration(scratch(), one.kept))).toMatchObject({
      code: 'state.generation-damaged',
    });
    pruneGenerations(one.directory, []);
    expect(await reading(one)).toEqual(refusal(one, 'it is no longer there'));
  });

  it('is refused through a link, even to the very copy', async () => {
    const one = await copied();
    const elsewhere = join(scratch(), 'copy');
    renameSync(one.path, elsewhere);
    symlinkSync(elsewhere, one.path);
    expect(await reading(one)).toEqual(refusal(one, 'a symbolic link is in its place'));
    const folder = join(one.directory, 'generations');
    const moved = join(scratch(), 'moved');
    renameSync(folder, moved);
    renameSync(elsewhere, join(moved, 'real.json'));
    symlinkSync(moved, folder);
    expect(await reading(one)).toEqual(refusal(one, 'a symbolic link is in its place'));
  });

  it('is refused when it is a directory', async () => {
    const one = await copied();
    pruneGenerations(one.directory, []);
    mkdirSync(one.path);
    expect(await reading(one)).toEqual(refusal(one, 'it is not a regular file'));
  });
});

describe('keeping', () => {
  it('never writes through a planted link', async () => {
    const directory = scratch();
    const victims = scratch();
    writeFileSync(join(victims, 'victim'), 'precious');
    symlinkSync(victims, join(directory, 'generations'));
    const original = release({ a: 'ours' });
    await keepGeneration(directory, keptOf(original, 1), original);
    expect(readdirSync(victims)).toEqual(['victim']);
    expect(lstatSync(join(directory, 'generations')).isDirectory()).toBe(true);

    symlinkSync(join(victims, 'victim'), copyOf(directory, 2));
    linkSync(join(victims, 'victim'), copyOf(directory, 3));
    for (const number of [2, 3]) {
      await keepGeneration(directory, keptOf(original, number), original);
      expect(readGeneration(directory, keptOf(original, number))).toEqual(original);
    }
    expect(readFileSync(join(victims, 'victim'), 'utf8')).toBe('precious');
  });

  it('says when a foreign file has the name of its directory', async () => {
    const directory = scratch();
    writeFileSync(join(directory, 'generations'), 'foreign');
    const original = release({ a: 'ours' });
    const error = await errorOf(() => keepGeneration(directory, keptOf(original, 1), original));
    expect(error).toEqual({
      code: 'state.generation-write',
      message: `Cannot keep generation 1 as "${copyOf(directory, 1)}": EEXIST: file already exists. Rolling back to it will not be possible.`,
    });
    expect(readFileSync(join(directory, 'generations'), 'utf8')).toBe('foreign');
  });

  describe('on a full disk', () => {
    let program: Program;
    beforeAll(() => {
      program = compile('application/confirm/keeping-program.ts');
    });
    afterAll(() => program.remove());

    it('says so, leaves nothing behind, and keeps what was there', async () => {
      const directory = scratch();
      chmodSync(directory, 0o777);
      const order: KeepingOrder = { directory, number: 7, size: 200_000 };
      const mounts = `mount -t tmpfs -o size=128k,mode=777 none '${directory}'; mkdir '${directory}/generations'; printf old > '${copyOf(directory, 7)}'`;
      const { error, there } = await runProgram<KeepingOutcome>(program, order, { mounts });
      expect(error?.code).toBe('state.generation-write');
      expect(error?.message).toMatch(
        /^Cannot keep generation 7 as ".*\/generations\/7\.json": no space is left: 200\d\d\d bytes are needed beside the old files, \d+ are free\. Make the volume larger\. Or give STATE_DIR a volume of its own\. Rolling back to it will not be possible\.$/,
      );
      expect(there).toEqual({ '7.json': 3 });
    });
  });
});

describe('pruning', () => {
  it('removes our other copies and left-overs, and nothing foreign', async () => {
    const directory = scratch();
    const original = release({ a: 'ours' });
    for (const number of [1, 2, 3, 10]) await keepGeneration(directory, keptOf(original, number), original);
    const folder = join(directory, 'generations');
    const victim = join(scratch(), 'victim');
    writeFileSync(victim, 'precious');
    symlinkSync(victim, join(folder, '4.json'));
    writeFileSync(join(folder, temporaryName('5.json')), 'half');
    const foreign = ['007.json', '1.json.bak', '.config-sidecar.tmp', 'notes', '-1.json', '1e3.json'];
    for (const name of foreign) writeFileSync(join(folder, name), 'foreign');
    mkdirSync(join(folder, '6.json'));
    writeFileSync(join(folder, '6.json', 'inside'), 'foreign');
    pruneGenerations(directory, [2, 10, 99]);
    expect(readdirSync(folder).sort()).toEqual([...foreign, '6.json', '2.json', '10.json'].sort());
    expect(readdirSync(join(folder, '6.json'))).toEqual(['inside']);
    expect(readFileSync(victim, 'utf8')).toBe('precious');
  });

  it('is no trouble where there is nothing, and does not go through a link', () => {
    const directory = scratch();
    expect(() => pruneGenerations(directory, [1])).not.toThrow();
    const theirs = scratch();
    writeFileSync(join(theirs, '1.json'), 'theirs');
    symlinkSync(theirs, join(directory, 'generations'));
    pruneGenerations(directory, []);
    expect(readdirSync(theirs)).toEqual(['1.json']);
  });
});

describe('a folder of copies that is held', () => {
  async function held() {
    const directory = scratch();
    const copies = new CopyFolder(() => directory);
    onTestFinished(() => copies.release());
    const original = release({ a: 'ours' });
    const keep = (number: number): Promise<void> => copies.keep(keptOf(original, number), original, LARGEST);
    const names = (): readonly string[] => readdirSync(join(directory, 'generations')).sort();
    for (const number of [1, 2, 3]) await keep(number);
    copies.prune([2, 3]);
    return { directory, copies, keep, names };
  }

  it('loses what is no longer kept', async () => {
    const { copies, keep, names } = await held();
    expect(names()).toEqual(['2.json', '3.json']);
    await keep(4);
    copies.prune([3, 4]);
    expect(names()).toEqual(['3.json', '4.json']);
    // A copy of which the ledger never knew.
    await keep(5);
    copies.prune([3, 4]);
    expect(names()).toEqual(['3.json', '4.json']);
  });

  it('is made again when it was removed or moved, and what has its name by then is not written to', async () => {
    const { directory, copies, keep, names } = await held();
    const folder = join(directory, 'generations');
    rmSync(folder, { recursive: true });
    await keep(4);
    expect(names()).toEqual(['4.json']);
    renameSync(folder, join(directory, 'moved'));
    const theirs = scratch();
    symlinkSync(theirs, folder);
    await keep(5);
    copies.prune([5]);
    expect(names()).toEqual(['5.json']);
    expect(readdirSync(theirs)).toEqual([]);
    expect(readdirSync(join(directory, 'moved'))).toEqual(['4.json']);
    chmodSync(folder, 0o755);
    await keep(6);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });
});

describe('without a ledger', () => {
  it('the copies identify themselves, the one confirmed last first', async () => {
    const directory = scratch();
    expect(findGenerations(directory)).toEqual([]);
    const [a, b] = [release({ a: 'a' }), release({ a: 'b' })];
    const kept = [keptOf(a, 4), keptOf(b, 9, 20_000), keptOf(a, 11, 15_000)];
    for (const one of kept) await keepGeneration(directory, one, one.rendering === a.rendering ? a : b);
    await keepGeneration(directory, keptOf(b, 12), b);
    writeFileSync(copyOf(directory, 12), readFileSync(copyOf(directory, 12), 'utf8').replace('"b"', '"x"'));
    const c = release({ a: 'c' });
    await keepGeneration(directory, keptOf(c, 13), c);
    renameSync(copyOf(directory, 13), copyOf(directory, 14));
    writeFileSync(copyOf(directory, 15), 'cut');
    writeFileSync(copyOf(directory, 16), '{"format":1,"mode":420,"owner":null,"files":[]}');
    expect(findGenerations(directory)).toEqual([kept[1], kept[2]]);
  });
});
