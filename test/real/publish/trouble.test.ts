// What disks and other users do to a publication: real mounts in a private namespace, real users, real full disks.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import writeFileAtomic from 'write-file-atomic';
import { temporaryName } from '../../../src/publish/atomic-file.ts';
import { openPublisher } from '../../../src/publish/publisher.ts';
import { compile, type Program, runProgram, type Where } from '../../support/publish/programs.ts';
import { publishNow } from '../../support/publish/publish-now.ts';
import type { Order, Outcome } from '../../support/publish/publishing-program.ts';
import { generation, scratch } from '../../support/publish/scratch.ts';

const NOBODY = 65_534;
const OLD = 60_000;

let program: Program;
beforeAll(() => {
  program = compile('publish/publishing-program.ts');
});
afterAll(() => program.remove());

const run = (order: Order, where?: Where): Promise<Outcome> => runProgram<Outcome>(program, order, where);

/** A tmpfs of 128 kB at the directory, on which the old file takes 60 kB. */
const smallDisk = (directory: string, old: string): string =>
  `mount -t tmpfs -o size=128k,mode=777 none '${directory}'; head -c ${OLD} /dev/zero | tr '\\0' o > '${directory}/${old}'`;

describe('a full disk', () => {
  it('keeps the old file whole, leaves nothing behind, and says how much room is needed', async () => {
    const directory = scratch();
    const path = join(directory, 'app.conf');
    const order: Order = { output: { kind: 'file', path }, files: { 'app.conf': 200_000 } };
    const { error, there } = await run(order, { mounts: smallDisk(directory, 'app.conf') });
    expect(there).toEqual({ 'app.conf': { size: OLD, first: 'o' } });
    expect(error?.code).toBe('publish.no-space');
    const free = /(\d+) are free/.exec(error?.message ?? '')?.[1] ?? 'no number';
    expect(error?.message).toBe(
      `Cannot publish "${path}": no space is left: 200000 bytes are needed beside the old files, ${free} are free. Make the volume larger. The old configuration stays.`,
    );
    expect(Number(free)).toBeGreaterThan(0);
    expect(Number(free)).toBeLessThan(131_072);
  });

  it('keeps the old generation of a directory, and speaks of that directory', async () => {
    const root = scratch();
    const order: Order = { output: { kind: 'directory', path: root }, files: { a: 50_000, b: 150_000 } };
    const { error, there } = await run(order, { mounts: smallDisk(root, 'foreign') });
    expect(there).toEqual({ foreign: { size: OLD, first: 'o' } });
    const free = /(\d+) are free/.exec(error?.message ?? '')?.[1] ?? 'no number';
    expect(error).toEqual({
      code: 'publish.no-space',
      message: `Cannot publish "${root}/": no space is left: 200000 bytes are needed beside the old files, ${free} are free. Make the volume larger. The old configuration stays.`,
    });
    expect(Number(free)).toBeLessThan(131_072);
  });

  it.each(['file', 'directory'] as const)(
    'whose inodes are used up says that, and not that bytes are missing, for a %s output',
    async (kind) => {
      const directory = scratch();
      const path = kind === 'file' ? join(directory, 'app.conf') : directory;
      const order: Order = { output: { kind, path }, files: { 'app.conf': 10 } };
      const mounts = `mount -t tmpfs -o nr_inodes=3,mode=777 none '${directory}'; mkdir '${directory}/f' '${directory}/g'`;
      const { error, there } = await run(order, { mounts });
      expect(error?.code).toBe('publish.no-space');
      expect(error?.message).toMatch(
        /: no inode is left: [13] files have to be made, and 0 more are possible \(\d+ bytes are free\)\. Remove files, or use a volume with more inodes\. The old configuration stays\.$/,
      );
      expect(new Set(Object.keys(there))).toEqual(new Set(['f', 'g']));
    },
  );

  // why write-file-atomic is not used.
  it('makes write-file-atomic report success and install a file cut short', async () => {
    const directory = scratch();
    const path = join(directory, 'app.conf');
    const order: Order = {
      output: { kind: 'file', path },
      files: { 'app.conf': 200_000 },
      by: 'write-file-atomic',
    };
    const { error, there } = await run(order, { mounts: smallDisk(directory, 'app.conf') });
    expect(error).toBeNull();
    expect(there['app.conf']?.first).toBe('n');
    expect(there['app.conf']?.size).toBeLessThan(200_000);
  });
});

describe('a mount', () => {
  it('of the single file is refused with what to mount instead', async () => {
    const directory = scratch();
    const path = join(directory, 'app.conf');
    const source = join(scratch(), 'source');
    for (const file of [path, source]) writeFileSync(file, 'old');
    const order: Order = { output: { kind: 'file', path }, files: { 'app.conf': 10 } };
    expect(await run(order, { mounts: `mount --bind '${source}' '${path}'` })).toEqual({
      error: {
        code: 'publish.single-file-mount',
        message: `Cannot publish "${path}": it is a mount of its own, and a mounted single file cannot be replaced. Mount its directory instead of the file (no subPath).`,
      },
      there: { 'app.conf': { size: 3, first: 'o' } },
    });
  });

  it.each(['file', 'directory'] as const)('that is read-only is named, for a %s output', async (kind) => {
    const directory = scratch();
    writeFileSync(join(directory, 'foreign'), 'old');
    const path = kind === 'file' ? join(directory, 'app.conf') : directory;
    const mounts = `mount --bind '${directory}' '${directory}'; mount -o remount,ro,bind '${directory}'`;
    expect(await run({ output: { kind, path }, files: { 'app.conf': 10 } }, { mounts })).toEqual({
      error: {
        code: 'publish.read-only',
        message: `Cannot publish "${kind === 'file' ? path : `${path}/`}": the file system is read-only. Mount the volume writable in the sidecar; only the application's mount may be read-only.`,
      },
      there: { foreign: { size: 3, first: 'o' } },
    });
  });

  it.each(['file', 'directory'] as const)(
    'of another file system than the temporary directory is no trouble, for a %s output',
    async (kind) => {
      const directory = scratch();
      const path = kind === 'file' ? join(directory, 'app.conf') : directory;
      const mounts = `mount -t tmpfs none '${directory}'`;
      const { error, there } = await run({ output: { kind, path }, files: { 'app.conf': 10 } }, { mounts });
      expect(error).toBeNull();
      expect(there['app.conf']).toEqual({ size: 10, first: 'n' });
    },
  );
});

// These need files of several users.
describe('another user', { tags: ['root'] }, () => {
  const shared = (mode: number): string => {
    const directory = scratch();
    chmodSync(directory, mode);
    return directory;
  };

  it.each(['file', 'directory'] as const)(
    'who owns what is in place keeps it in a sticky directory, for a %s output',
    async (kind) => {
      const directory = shared(0o1777);
      const path = kind === 'file' ? join(directory, 'app.conf') : directory;
      if (kind === 'file') writeFileSync(path, 'old');
      else {
        mkdirSync(join(directory, '..gen-0123456789ab'));
        symlinkSync('..gen-0123456789ab', join(directory, '..data'));
      }
      const before = readdirSync(directory);
      const { error } = await run({ output: { kind, path }, files: { 'app.conf': 10 } }, { uid: NOBODY });
      expect(error).toEqual({
        code: 'publish.not-permitted',
        message: `Cannot publish "${kind === 'file' ? path : `${path}/`}": the directory is sticky and the file in place belongs to uid 0, the sidecar is uid ${NOBODY}. Remove the file, run both as the same user, or drop the sticky bit.`,
      });
      expect(readdirSync(directory)).toEqual(before);
    },
  );

  it.each(['file', 'directory'] as const)(
    'who owns the directory may have to let us in, for a %s output',
    async (kind) => {
      const directory = shared(0o755);
      const path = kind === 'file' ? join(directory, 'app.conf') : directory;
      expect(await run({ output: { kind, path }, files: { 'app.conf': 10 } }, { uid: NOBODY })).toEqual({
        error: {
          code: 'publish.not-permitted',
          message: `Cannot publish "${kind === 'file' ? path : `${path}/`}": uid ${NOBODY} may not write in "${directory}" (it belongs to uid 0, gid 0, mode 755). Give both containers the same runAsUser or fsGroup.`,
        },
        there: {},
      });
    },
  );

  it.each(['file', 'directory'] as const)(
    'gets the files when OUTPUT_OWNER says so, for a %s output',
    async (kind) => {
      const directory = shared(0o755);
      const path = kind === 'file' ? join(directory, 'app.conf') : directory;
      const owner = { uid: NOBODY, gid: 1_234 };
      const { error } = await run({
        output: { kind, path },
        files: { 'app.conf': 10 },
        owner,
        mode: 0o640,
        umask: 0o077,
      });
      expect(error).toBeNull();
      const stat = statSync(join(directory, 'app.conf'));
      expect([stat.uid, stat.gid, stat.mode & 0o7777]).toEqual([NOBODY, 1_234, 0o640]);
    },
  );

  it.each(['file', 'directory'] as const)(
    'cannot get them from a sidecar that may not give files away, for a %s output',
    async (kind) => {
      const directory = shared(0o777);
      const path = kind === 'file' ? join(directory, 'app.conf') : directory;
      const owner = { uid: 0, gid: null };
      const { error, there } = await run(
        { output: { kind, path }, files: { 'app.conf': 10 }, owner },
        { uid: NOBODY },
      );
      expect(error).toEqual({
        code: 'publish.owner',
        message: `Cannot give the file to "0": uid ${NOBODY} is not permitted to. Run the sidecar as that user, or leave OUTPUT_OWNER out and share the file by group (fsGroup) and OUTPUT_MODE.`,
      });
      expect(there).toEqual({});
    },
  );

  it('whose left-overs cannot be removed does not keep us from starting', async () => {
    const directory = shared(0o1777);
    const path = join(directory, 'app.conf');
    const leftOver = temporaryName('app.conf');
    writeFileSync(join(directory, leftOver), 'half');
    chownSync(join(directory, leftOver), 1_234, 1_234);
    const { error, there } = await run(
      { output: { kind: 'file', path }, files: { 'app.conf': 10 } },
      { uid: NOBODY },
    );
    expect(error).toBeNull();
    expect(new Set(Object.keys(there))).toEqual(new Set([leftOver, 'app.conf']));
  });
});

describe('write-file-atomic', () => {
  // Why it is not used: every user who may write in the directory can guess its next temporary name and plant a link there.
  it('writes through a planted link and installs that link as the configuration; we do neither', async () => {
    const directory = scratch();
    const path = join(directory, 'app.conf');
    const victim = join(scratch(), 'victim');
    writeFileSync(victim, 'precious');
    for (let call = 1; call <= 20; call += 1) symlinkSync(victim, predictedName(path, call));
    await writeFileAtomic(path, 'theirs');
    expect(readFileSync(victim, 'utf8')).toBe('theirs');
    expect(lstatSync(path).isSymbolicLink()).toBe(true);

    writeFileSync(victim, 'precious');
    await publishNow(openPublisher({ kind: 'file', path }, null), generation({ 'app.conf': 'ours' }));
    expect(readFileSync(victim, 'utf8')).toBe('precious');
    expect(lstatSync(path).isFile()).toBe(true);
    expect(readFileSync(path, 'utf8')).toBe('ours');
  });
});

/** As the library makes it: from its own path, the process, the thread and a counter. */
function predictedName(path: string, call: number): string {
  const hash = createHash('sha1');
  for (const part of [createRequire(import.meta.url).resolve('write-file-atomic'), process.pid, 0, call])
    hash.update(`${part}`);
  return `${path}.${hash.digest().readUInt32BE(0)}`;
}
